"""whimbrel-scheduler: an RPC server on native threads."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from common import clock
from common.db import engine
from common.db import schema
from rpc import broker
from rpc import service
from rpc.bus import Bus
from rpc.conductor import Conductor
from services.scheduler.manager import Manager

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

LOG = logging.getLogger(__name__)
BINARY = "nova-scheduler"


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-scheduler", sys.argv[1:], serve)


def serve(conf: ConfigOpts) -> None:
    """Wait for database and broker, then choose hosts until told to stop."""
    options = conf.database
    database = engine.Database(options.connection, options.pool, options.timeout)
    database.wait(LOG)
    schema.check(database)
    broker.wait(conf)
    bus = Bus(conf)
    manager = Manager(conf, database, clock.SystemClock())
    conductor = bus.client(Conductor)
    with service.serving(
        conf, bus, manager, binary=BINARY, threads=options.pool, conductor=conductor
    ):
        service.until_stopped()
    bus.close()
    database.close()
