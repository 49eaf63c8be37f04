"""What can go wrong with topics, subscriptions and deliveries, as facts."""

from __future__ import annotations

from nova_objectstore.errors import ConflictError, MissingError, RequestFault, StoreError


class NoSuchTopic(MissingError):
    """``topic_arn``: no such topic."""


class NoSuchSubscription(MissingError):
    """``subscription_arn``: no such subscription."""


class InvalidTopicParameter(RequestFault):
    """A parameter of the SNS API that it does not take; the message says which and why."""


class InvalidSubscriptionToken(RequestFault):
    """A token of no subscription of the topic that waits for its confirmation."""


class TopicLimitExceeded(ConflictError):
    """The account has as many topics, or the topic as many subscriptions, as it may."""


class DeliveryChanged(ConflictError):
    """The subscription is not leased to who believes so: another worker has it, or it is gone."""


class DeliveryFailed(StoreError):
    """An endpoint did not take a message; the message says why, in a line."""
