"""`whimbrel-manage db upgrade` and `db version`: the tables of the services."""

from __future__ import annotations

import sys
from typing import Any
from typing import TYPE_CHECKING

from common.db import engine
from common.db import schema

if TYPE_CHECKING:
    import argparse

    from oslo_config.cfg import ConfigOpts

NAME = "db"


def register(subparsers: Any) -> None:  # noqa: ANN401 - argparse's own type for this is private
    """Declare the subcommand and its verbs."""
    parser = subparsers.add_parser(NAME, help="the database's tables")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("upgrade", help="bring the tables to what this release needs")
    verbs.add_parser("version", help="show the revision there is, and the one that is needed")


def run(conf: ConfigOpts, args: argparse.Namespace) -> int:
    """Do what the command line says and give the exit status."""
    options = conf.database
    database = engine.Database(options.connection, options.pool, options.timeout)
    sys.stdout.write(VERBS[args.verb](database))
    database.close()
    return 0


def _upgrade(database: engine.Database) -> str:
    return f"the database is at revision {schema.upgrade(database)}\n"


def _version(database: engine.Database) -> str:
    return f"found {schema.version(database) or 'none'}, needed {schema.head()}\n"


VERBS = {"upgrade": _upgrade, "version": _version}
