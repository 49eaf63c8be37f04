"""Bounds of what is delivered, with the reason for each number."""

from __future__ import annotations

from nova_objectstore.limits import KiB, MiB

# -- topics ---------------------------------------------------------------------------------------------------------
TOPIC_NAME_CHARS_MAX = 256  # SNS
TOPICS_PER_ACCOUNT_MAX = 10_000  # SNS allows 100,000; here an account's listing stays a few hundred pages
SUBSCRIPTIONS_PER_TOPIC_MAX = 100  # each event is written once for each of them, in the transaction of its change
PAGE_MAX = 100  # SNS: topics, or subscriptions, in one answer
MESSAGE_BYTES_MAX = 256 * KiB  # SNS: Publish
SUBJECT_CHARS_MAX = 100  # SNS
ENDPOINT_CHARS_MAX = 2048  # SNS
TOPIC_POLICY_BYTES_MAX = 30 * KiB  # SNS
TOPIC_TAGS_MAX = 50  # SNS
PENDING_KEPT_S = 3 * 24 * 3600  # SNS: a subscription that nobody confirms is gone after three days

# -- notifications ---------------------------------------------------------------------------------------------------
CONFIGURATIONS_MAX = 100  # S3: event notification configurations of a bucket
CONFIGURATION_ID_CHARS_MAX = 255  # S3
QUEUE_EVENTS_MAX = 100_000  # events that wait for one endpoint: some 80 MB; then the newest are dropped and counted
EVENT_KEPT_S = 14 * 24 * 3600  # the longest that SQS keeps a message; what waits longer is dropped and counted
BATCH_EVENTS = 100  # of one endpoint in one turn
LANES = 8  # keys of one endpoint that are delivered at once
TURN_S = 20.0  # how long an endpoint keeps a worker; then others get their turn
LEASE_S = 60.0  # longer than a turn and its last delivery
RETRY_MIN_S, RETRY_MAX_S = 1.0, 300.0  # pause after a failure: doubled each time
TARGETS_AT_ONCE = 8  # endpoints that one worker delivers to at the same time

# -- webhooks --------------------------------------------------------------------------------------------------------
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0  # SNS's
ANSWER_BYTES_MAX = 64 * KiB  # read and forgotten, so that the connection can be used again

# -- access logs -----------------------------------------------------------------------------------------------------
SPOOL_FILE_BYTES_MAX = 16 * MiB  # one log object; it is held in memory while it is stored
SPOOL_FILES_MAX = 256  # 4 GiB of full files where no worker takes them; then records are dropped, and that is logged
SPOOL_OPEN_MAX = 64  # files that a worker keeps open
FIELD_CHARS_MAX = 2048  # of a header in a record, after escaping
URI_CHARS_MAX = 8192  # of the request line
