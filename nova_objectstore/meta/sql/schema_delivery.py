"""The tables of what waits for delivery: topics, subscriptions, events. The laws stand in ``schema.py``."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Index, Table, Text
from sqlalchemy import literal_column as _sql

from nova_objectstore.meta.sql.schema_columns import Big, metadata
from nova_objectstore.meta.sql.schema_columns import key as _key
from nova_objectstore.meta.sql.schema_columns import number as _number
from nova_objectstore.meta.sql.schema_columns import text as _text

topics = Table(
    "topics",
    metadata,
    Column("arn", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    _text("owner_id"),
    _text("name"),
    _number("created_us"),
    _text("attributes", nullable=True),  # JSON object; NULL: none
    _text("tags", nullable=True),  # JSON object; NULL: none
    Index("topics_owner", "owner_id", "arn"),
    sqlite_with_rowid=False,
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("arn", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    _key("topic_arn"),
    _text("owner_id"),
    _text("protocol"),
    _text("endpoint"),
    _number("created_us"),
    _text("token"),  # empty: confirmed
    _text("attributes", nullable=True),  # JSON object; NULL: none
    _number("waiting"),  # rows of deliveries
    _number("delivered"),
    _number("dropped"),
    _number("failures"),  # in a row
    _number("retry_at_us"),
    _text("last_error"),
    _number("last_error_us"),
    _number("last_delivered_us"),
    _text("lease"),  # who delivers; empty: nobody
    _number("lease_until_us"),
    Index("subscriptions_topic", "topic_arn", "arn"),
    Index("subscriptions_owner", "owner_id", "arn"),
    sqlite_with_rowid=False,
)
SUBSCRIPTION_IS_DUE: ColumnElement[bool] = _sql("waiting > 0")
SUBSCRIPTION_IS_PENDING: ColumnElement[bool] = _sql("token <> ''")
Index(
    "subscriptions_due",
    subscriptions.c.retry_at_us,
    subscriptions.c.arn,
    sqlite_where=SUBSCRIPTION_IS_DUE,
    postgresql_where=SUBSCRIPTION_IS_DUE,
)
Index(
    "subscriptions_pending",
    subscriptions.c.created_us,
    sqlite_where=SUBSCRIPTION_IS_PENDING,
    postgresql_where=SUBSCRIPTION_IS_PENDING,
)

events = Table(
    "events",
    metadata,
    Column("id", Big, primary_key=True),
    _text("lane"),
    _text("name"),
    _text("body"),
    _number("created_us"),
    _text("kind"),  # delivery.ports.EventKind
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("subscription_arn", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("event_id", Big, primary_key=True, autoincrement=False),
    Index("deliveries_event", "event_id"),
    sqlite_with_rowid=False,
)
