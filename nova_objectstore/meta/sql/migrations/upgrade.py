"""Run alembic's migrations on a database that is older than this release."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.pool import StaticPool


def make_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade_sqlite(connection: sqlite3.Connection, revision: str) -> None:
    """Migrate to ``revision`` in one transaction of a connection in autocommit mode; all of it happens, or nothing."""
    engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    config = make_config()
    try:
        with engine.connect() as bound:
            bound.exec_driver_sql("BEGIN IMMEDIATE")  # the driver itself begins none before DDL
            config.attributes["connection"] = bound
            command.upgrade(config, revision)
            bound.commit()
    except sa.exc.DBAPIError as error:
        raise error.orig or error from error  # the engine knows its driver's errors, not SQLAlchemy's
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
