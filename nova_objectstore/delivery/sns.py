"""The SNS API: topics and their subscriptions, as a service of the query protocol (AWS: Amazon SNS API Reference)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nova_objectstore.delivery.endpoints import obscure
from nova_objectstore.delivery.errors import (
    InvalidSubscriptionToken,
    InvalidTopicParameter,
    NoSuchSubscription,
    NoSuchTopic,
    TopicLimitExceeded,
)
from nova_objectstore.delivery.limits import PAGE_MAX
from nova_objectstore.delivery.messages import API_VERSION, BASE_URL, RAW_DELIVERY, is_push
from nova_objectstore.delivery.ports import Subscription, Topic
from nova_objectstore.delivery.topics import (
    PUSH_ENDPOINT,
    Message,
    Topics,
    check_subscription_attributes,
    policy_text,
)
from nova_objectstore.errors import AccessDenied
from nova_objectstore.query.action import Answer, action, bind_actions
from nova_objectstore.query.documents import element, entries, members, optional, tag_list
from nova_objectstore.query.faults import ErrorRow
from nova_objectstore.query.request import QueryRequest
from nova_objectstore.query.service import Service

PENDING = "pending confirmation"  # SNS: instead of an ARN
AUTHENTICATED = "nova:authenticate-on-unsubscribe"  # an attribute of our own


class TopicController:
    """Topics."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    @action("CreateTopic")
    def create_topic(self, req: QueryRequest) -> Answer:
        """Make a topic; the one of that name, if there is one, is answered as it is."""
        name = req.parameters.required("Name")
        account_id = req.principal.account_id
        arn = self._topics.arn(account_id, name)
        self._topics.check_account(req.principal, "sns:CreateTopic", arn, context=req.context)
        attributes = req.parameters.entries("Attributes")
        made = self._topics.create(account_id, name, attributes, dict(req.parameters.tags()))
        yield element("TopicArn", made.arn)

    @action("DeleteTopic")
    def delete_topic(self, req: QueryRequest) -> None:
        """Remove a topic with its subscriptions and what waits for them; one that is not there is gone already."""
        try:
            topic = self._open(req, "sns:DeleteTopic")
        except NoSuchTopic:
            return
        self._topics.store.delete_topic(topic.arn)

    @action("ListTopics")
    def list_topics(self, req: QueryRequest) -> Answer:
        """Answer the account's topics by ARN, a page at a time."""
        self._topics.check_account(req.principal, "sns:ListTopics", "*", context=req.context)
        after = req.parameters.text("NextToken")
        found = self._topics.store.list_topics(req.principal.account_id, after=after, limit=PAGE_MAX + 1)
        yield members("Topics", (element("TopicArn", topic.arn) for topic in found[:PAGE_MAX]))
        yield _next([topic.arn for topic in found])

    @action("GetTopicAttributes")
    def get_topic_attributes(self, req: QueryRequest) -> Answer:
        """Answer what was set of a topic, and how many subscriptions it has."""
        topic = self._open(req, "sns:GetTopicAttributes")
        found = self._topics.store.list_subscriptions_of(topic.arn, limit=1000)
        subscriptions = [subscription for subscription in found if not is_push(subscription)]
        pending = sum(1 for subscription in subscriptions if subscription.token)
        yield entries(
            "Attributes",
            {
                "DisplayName": "",
                **topic.attributes,
                **({PUSH_ENDPOINT: obscure(url)} if (url := topic.attributes.get(PUSH_ENDPOINT)) else {}),
                "TopicArn": topic.arn,
                "Owner": topic.owner_id,
                "Policy": policy_text(topic),
                "SubscriptionsConfirmed": str(len(subscriptions) - pending),
                "SubscriptionsPending": str(pending),
                "SubscriptionsDeleted": "0",
            },
        )

    @action("SetTopicAttributes")
    def set_topic_attributes(self, req: QueryRequest) -> None:
        """Set one attribute."""
        topic = self._open(req, "sns:SetTopicAttributes")
        self._topics.set_attribute(
            topic, req.parameters.required("AttributeName"), req.parameters.text("AttributeValue")
        )

    @action("Publish")
    def publish(self, req: QueryRequest) -> Answer:
        """Tell a topic's subscribers something."""
        name = "TopicArn" if req.parameters.has("TopicArn") else "TargetArn"
        topic = self._open(req, "sns:Publish", name)
        if req.parameters.text("MessageStructure") or req.parameters.has("MessageAttributes"):
            raise InvalidTopicParameter("Invalid parameter: MessageStructure and MessageAttributes are not offered")
        message = Message(req.parameters.required("Message"), req.parameters.text("Subject"))
        self._topics.publish(topic.arn, message)
        yield element("MessageId", req.environ.get("nova.request_id", ""))

    # -- tags ------------------------------------------------------------------------------------------------------------

    @action("TagResource")
    def tag_resource(self, req: QueryRequest) -> Answer:
        """Add tags to a topic, or replace those of the same names."""
        topic = self._open(req, "sns:TagResource", "ResourceArn")
        self._topics.set_tags(topic, {**topic.tags, **dict(req.parameters.tags())})
        return ()

    @action("UntagResource")
    def untag_resource(self, req: QueryRequest) -> Answer:
        """Remove tags of a topic."""
        topic = self._open(req, "sns:UntagResource", "ResourceArn")
        names = frozenset(req.parameters.members("TagKeys"))
        self._topics.set_tags(topic, {key: value for key, value in topic.tags.items() if key not in names})
        return ()

    @action("ListTagsForResource")
    def list_tags_for_resource(self, req: QueryRequest) -> Answer:
        """Answer a topic's tags."""
        yield tag_list(self._open(req, "sns:ListTagsForResource", "ResourceArn").tags)

    # -- subscriptions ---------------------------------------------------------------------------------------------------

    @action("Subscribe")
    def subscribe(self, req: QueryRequest) -> Answer:
        """Subscribe an endpoint; it gets a message that it has to confirm."""
        topic = self._open(req, "sns:Subscribe")
        made = self._topics.subscribe(
            topic,
            req.principal.account_id,
            req.parameters.required("Protocol"),
            req.parameters.required("Endpoint"),
            req.parameters.entries("Attributes"),
            base_url=_base_url(req),
        )
        whole = req.parameters.flag("ReturnSubscriptionArn") or not made.token
        yield element("SubscriptionArn", made.arn if whole else PENDING)

    @action("ConfirmSubscription", signed=False)
    def confirm_subscription(self, req: QueryRequest) -> Answer:
        """Confirm a subscription with the token that its endpoint got: who has it may."""
        topic_arn, token = req.parameters.required("TopicArn"), req.parameters.required("Token")
        made = self._topics.store.confirm_subscription(topic_arn, token)
        if req.parameters.flag("AuthenticateOnUnsubscribe") and not req.principal.is_anonymous:
            self._topics.store.set_subscription_attributes(made.arn, {**made.attributes, AUTHENTICATED: "true"})
        yield element("SubscriptionArn", made.arn)

    @action("Unsubscribe", signed=False)
    def unsubscribe(self, req: QueryRequest) -> None:
        """Remove a subscription; whoever was given its ARN may, unless it was confirmed otherwise (as SNS has it)."""
        arn = req.parameters.required("SubscriptionArn")
        try:
            found = self._topics.store.get_subscription(arn)
        except NoSuchSubscription:
            return
        if is_push(found):
            raise InvalidTopicParameter("Invalid parameter: SubscriptionArn")
        if not req.principal.is_anonymous or found.attributes.get(AUTHENTICATED):
            self._check_subscription(req, "sns:Unsubscribe", found)
        self._topics.store.delete_subscription(arn)

    @action("ListSubscriptions")
    def list_subscriptions(self, req: QueryRequest) -> Answer:
        """Answer the account's subscriptions by ARN, a page at a time."""
        self._topics.check_account(req.principal, "sns:ListSubscriptions", "*", context=req.context)
        after = req.parameters.text("NextToken")
        return _page(self._topics.store.list_subscriptions(req.principal.account_id, after=after, limit=PAGE_MAX + 1))

    @action("ListSubscriptionsByTopic")
    def list_subscriptions_by_topic(self, req: QueryRequest) -> Answer:
        """Answer a topic's subscriptions by ARN, a page at a time."""
        topic = self._open(req, "sns:ListSubscriptionsByTopic")
        after = req.parameters.text("NextToken")
        return _page(self._topics.store.list_subscriptions_of(topic.arn, after=after, limit=PAGE_MAX + 1))

    @action("GetSubscriptionAttributes")
    def get_subscription_attributes(self, req: QueryRequest) -> Answer:
        """Answer what was set of a subscription."""
        found = self._topics.store.get_subscription(req.parameters.required("SubscriptionArn"))
        self._check_subscription(req, "sns:GetSubscriptionAttributes", found)
        yield entries(
            "Attributes",
            {
                "SubscriptionArn": found.arn,
                "TopicArn": found.topic_arn,
                "Owner": found.owner_id,
                "Protocol": found.protocol,
                "Endpoint": obscure(found.endpoint),
                "PendingConfirmation": "true" if found.token else "false",
                "ConfirmationWasAuthenticated": found.attributes.get(AUTHENTICATED, "false"),
                RAW_DELIVERY: found.attributes.get(RAW_DELIVERY, "false"),
            },
        )

    @action("SetSubscriptionAttributes")
    def set_subscription_attributes(self, req: QueryRequest) -> None:
        """Set one attribute of a subscription."""
        found = self._topics.store.get_subscription(req.parameters.required("SubscriptionArn"))
        self._check_subscription(req, "sns:SetSubscriptionAttributes", found)
        if is_push(found):
            raise InvalidTopicParameter("Invalid parameter: SubscriptionArn")
        name, value = req.parameters.required("AttributeName"), req.parameters.text("AttributeValue")
        kept = {key: told for key, told in found.attributes.items() if key in (BASE_URL, AUTHENTICATED)}
        self._topics.store.set_subscription_attributes(
            found.arn, {**kept, **check_subscription_attributes({name: value})}
        )

    # -- who may ---------------------------------------------------------------------------------------------------------

    def _open(self, req: QueryRequest, permission: str, name: str = "TopicArn") -> Topic:
        """The topic that a parameter names. Raises NoSuchTopic, AccessDenied; of others' topics nobody learns which are."""
        arn = req.parameters.required(name)
        try:
            topic = self._topics.store.get_topic(arn)
        except NoSuchTopic:
            if arn.split(":")[4:5] != [req.principal.account_id]:
                raise AccessDenied from None
            self._topics.check_account(req.principal, permission, arn, context=req.context)
            raise
        self._topics.check(req.principal, permission, topic, context=req.context)
        return topic

    def _check_subscription(self, req: QueryRequest, permission: str, found: Subscription) -> None:
        """A subscription is its owner's, and its topic's."""
        if req.principal.account_id == found.owner_id:
            self._topics.check_account(req.principal, permission, found.arn, context=req.context)
            return
        topic = self._topics.store.get_topic(found.topic_arn)
        self._topics.check(req.principal, permission, topic, context=req.context)


def _page(found: Sequence[Subscription]) -> Iterable[str]:
    yield members("Subscriptions", (_member(one) for one in found[:PAGE_MAX] if not is_push(one)))
    yield _next([one.arn for one in found])


def _member(subscription: Subscription) -> str:
    return "".join(
        (
            element("SubscriptionArn", "PendingConfirmation" if subscription.token else subscription.arn),
            element("Owner", subscription.owner_id),
            element("Protocol", subscription.protocol),
            element("Endpoint", obscure(subscription.endpoint)),
            element("TopicArn", subscription.topic_arn),
        )
    )


def _next(arns: Sequence[str]) -> str:
    return optional("NextToken", arns[PAGE_MAX - 1] if len(arns) > PAGE_MAX else "")


def _base_url(req: QueryRequest) -> str:
    """Where the client has found this API: its endpoints find it there too."""
    return f"{req.environ.get('wsgi.url_scheme', 'http')}://{req.headers.get('host', '')}"


def sns_service(topics: Topics) -> Service:
    """The service, over the rules of topics."""
    return Service(
        "sns",
        version=API_VERSION,
        namespace=f"http://sns.amazonaws.com/doc/{API_VERSION}/",
        actions=bind_actions(TopicController(topics)),
        rows={
            AccessDenied: ErrorRow("AuthorizationError", 403, "The principal is not authorized to perform this action"),
            NoSuchTopic: ErrorRow("NotFound", 404, "Topic does not exist"),
            NoSuchSubscription: ErrorRow("NotFound", 404, "Subscription does not exist"),
            InvalidTopicParameter: ErrorRow("InvalidParameter", 400, "Invalid parameter"),
            InvalidSubscriptionToken: ErrorRow("InvalidParameter", 400, "Invalid token"),
            TopicLimitExceeded: ErrorRow(
                "TopicLimitExceeded", 403, "There are as many topics or subscriptions as may be"
            ),
        },
    )
