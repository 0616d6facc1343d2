"""whimbrel-api: the HTTP API on waitress, an HTTP server of native threads."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

from common import clock as clocks
from common import images
from common import policy
from rpc import conductor
from rpc import service
from services import backing
from services.api import app
from services.api import auth
from services.api import calls
from services.api import http

if TYPE_CHECKING:
    from collections.abc import Generator

    from oslo_config.cfg import ConfigOpts

    from common.db.engine import Database
    from rpc.bus import Bus

LOG = logging.getLogger(__name__)


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-api", sys.argv[1:], serve)


def serve(conf: ConfigOpts) -> None:
    """Wait for the tables and the broker, then answer requests until told to stop."""
    auth.make(conf)
    with backing.ready(conf, patient=True) as parts:
        parts.bus.open()
        with running(conf, parts.bus, parts.database, clocks.SystemClock()):
            service.until_stopped()


@contextlib.contextmanager
def running(conf: ConfigOpts, bus: Bus, database: Database, clock: clocks.Clock) -> Generator[str]:
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
