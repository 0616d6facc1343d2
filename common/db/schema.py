"""Bringing the tables up to date, and telling whether they are."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import alembic.command
import alembic.config
from alembic import migration
from alembic import script

from common import errors
from common.db import engine

if TYPE_CHECKING:
    import sqlalchemy as sa

HERE = pathlib.Path(__file__).parent / "migrations"


def upgrade(database: engine.Database) -> str:
    """Apply the revisions that are missing, and give the one reached."""
    with database.write() as tx:
        alembic.command.upgrade(_config(tx.connection), "head")
    return head()


def version(database: engine.Database) -> str | None:
    """Give the revision that the database is at, or None for an empty one."""
    with database.read() as tx:
        return migration.MigrationContext.configure(tx.connection).get_current_revision()


def head() -> str:
    """Give the revision that this program needs."""
    found = script.ScriptDirectory(str(HERE)).get_current_head()
    if found is None:
        raise errors.Unavailable(f"no revisions in {HERE}; install Whimbrel again")
    return found


def check(database: engine.Database) -> None:
    """Raise Unavailable with what to do, unless the tables are those that are needed."""
    found = version(database)
    if found == head():
        return
    raise errors.Unavailable(
        f"the database is at revision {found or 'none'} and {head()} is needed; "
        "run: whimbrel-manage db upgrade"
    )


def _config(connection: sa.Connection) -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["connection"] = connection
    return config
