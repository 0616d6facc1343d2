"""`whimbrel-api`: serves the HTTP API with waitress."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

import waitress

from common import clock as clocks
from common import errors
from common import images
from common import log
from common import policy
from common.config import load
from common.db import engine
from common.db import schema
from rpc import bus as buses
from rpc import conductor
from services.api import app
from services.api import auth
from services.api import calls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oslo_config.cfg import ConfigOpts

LOG = logging.getLogger(__name__)
AGAIN = 3.0  # seconds between two looks at the tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; give the exit status."""
    conf = load.load(sys.argv[1:] if arguments is None else arguments, "whimbrel-api")
    log.start(conf, "whimbrel-api")
    try:
        auth.make(conf)
        serve(conf)
    except errors.Error as wrong:
        LOG.error("whimbrel-api does not start: %s", wrong)  # noqa: TRY400 - a user's mistake
        return 1
    return 0


def serve(conf: ConfigOpts) -> None:
    """Wait for the tables, then answer requests until the process ends."""
    database = engine.Database(
        conf.database.connection, pool=conf.database.pool, timeout=conf.database.timeout
    )
    wait(database)
    bus = buses.Bus(conf)
    server = waitress.create_server(
        app.make(parts(conf, database, bus)),
        host=conf.api.listen,
        port=conf.api.port,
        threads=conf.api.threads,
        ident="whimbrel",
    )
    LOG.info("listening on http://%s:%s, auth = %s", conf.api.listen, conf.api.port, conf.api.auth)
    try:
        server.run()
    finally:
        server.close()
        bus.close()
        database.close()


def parts(conf: ConfigOpts, database: engine.Database, bus: buses.Bus) -> calls.Parts:
    """Wire what handlers work with."""
    return calls.Parts(
        conf=conf,
        database=database,
        conductor=bus.client(conductor.Conductor),
        images=images.Store(conf.image.store),
        policy=policy.Policy(conf),
        clock=clocks.SystemClock(),
    )


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
