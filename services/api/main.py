"""whimbrel-api: the HTTP API on waitress, an HTTP server of native threads."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from typing import TYPE_CHECKING

from common import clock as clocks
from common import errors
from common import images
from common import policy
from common.db import engine
from common.db import schema
from rpc import broker
from rpc import bus as buses
from rpc import conductor
from rpc import service
from services.api import app
from services.api import auth
from services.api import calls
from services.api import http

if TYPE_CHECKING:
    from collections.abc import Generator

    from oslo_config.cfg import ConfigOpts

LOG = logging.getLogger(__name__)

# Seconds between two looks at the tables.
AGAIN = 3.0


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-api", sys.argv[1:], serve)


def serve(conf: ConfigOpts) -> None:
    """Wait for the tables and the broker, then answer requests until told to stop."""
    auth.make(conf)
    options = conf.database
    database = engine.Database(options.connection, options.pool, options.timeout)
    wait(database)
    broker.wait(conf)
    bus = buses.Bus(conf)
    bus.open()
    with running(conf, bus, database, clocks.SystemClock()):
        service.until_stopped()
    bus.close()
    database.close()


@contextlib.contextmanager
def running(
    conf: ConfigOpts, bus: buses.Bus, database: engine.Database, clock: clocks.Clock
) -> Generator[str]:
    """Answer requests while the block lasts, and give the root URL; port 0 takes a free one."""
    parts = calls.Parts(
        conf=conf,
        database=database,
        conductor=bus.client(conductor.Conductor),
        images=images.Store(conf.image.store),
        policy=policy.Policy(conf),
        clock=clock,
    )
    listening = http.listening(app.make(parts), conf.api.listen, conf.api.port, conf.api.threads)
    with listening as url:
        LOG.info("the API answers on %s, auth = %s", url, conf.api.auth)
        yield url
    LOG.info("the API on %s answers no longer", url)


def wait(database: engine.Database) -> None:
    """Wait without end for a database with the right tables, and say so."""
    pause = threading.Event()
    while True:
        database.wait(LOG)
        try:
            schema.check(database)
        except errors.Unavailable as behind:
            LOG.warning("waiting for the tables: %s", behind)
            pause.wait(AGAIN)
        else:
            return
