"""What leaves the store by itself: access logs, event notifications, and the topics that they are published to.

    ports.py          values, and the verbs that a metadata engine has for topics, subscriptions and events
    errors.py limits.py
    spool.py          access records on their way: files that workers append to and the job takes
    topics.py         the rules of topics and subscriptions (AWS SNS)
    sns.py            the SNS API, as a service of the query protocol
    endpoints.py      where subscriptions deliver to: read, and checked against the networks that may be reached
    webhooks.py       POST to http and https endpoints
    brokers.py        publish to AMQP 0-9-1 exchanges, with the broker's confirmation
    messages.py       what an endpoint gets: S3's records, SNS's envelope

What is recorded of a request is in ``s3/access_records.py``; which events a bucket announces in ``domain/notifications.py``;
the jobs are ``jobs/deliver_logs.py`` and ``jobs/notify.py``.
"""
