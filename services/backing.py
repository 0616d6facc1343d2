"""What a service with a database stands on: tables and a bus, waited for, and let go at the end."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common.db import engine
from common.db import schema
from rpc import broker
from rpc import bus as buses

if TYPE_CHECKING:
    from collections.abc import Generator

    from oslo_config.cfg import ConfigOpts

LOG = logging.getLogger(__name__)

# Seconds between two looks at the tables.
AGAIN = 3.0


class Backing(NamedTuple):
    """One process's connections."""

    database: engine.Database
    bus: buses.Bus


@contextlib.contextmanager
def ready(conf: ConfigOpts, *, patient: bool = False) -> Generator[Backing]:
    """Wait for database and broker, saying so, and give both while the block lasts.

    Tables of another release raise Unavailable with what to run; who is
    `patient` waits for that to be done.
    """
    options = conf.database
    with contextlib.ExitStack() as stack:
        database = engine.Database(options.connection, options.pool, options.timeout)
        stack.callback(database.close)
        database.wait(LOG)
        if patient:
            _wait(database)
        else:
            schema.check(database)
        broker.wait(conf)
        bus = buses.Bus(conf)
        stack.callback(bus.close)
        yield Backing(database, bus)


def _wait(database: engine.Database) -> None:
    """Wait without end for a database with the right tables."""
    pause = threading.Event()
    while True:
        try:
            schema.check(database)
        except errors.Unavailable as behind:
            LOG.warning("waiting for the tables: %s", behind)
            pause.wait(AGAIN)
            database.wait(LOG)
        else:
            return
