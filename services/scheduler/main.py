"""whimbrel-scheduler: an RPC server on native threads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common import clock
from rpc import service
from rpc.conductor import Conductor
from services import backing
from services.scheduler.manager import Manager

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

BINARY = "nova-scheduler"


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-scheduler", sys.argv[1:], serve)


def serve(conf: ConfigOpts) -> None:
    """Wait for database and broker, then choose hosts until told to stop."""
    with backing.ready(conf) as parts:
        manager = Manager(conf, parts.database, clock.SystemClock())
        with service.serving(
            conf,
            parts.bus,
            manager,
            binary=BINARY,
            threads=conf.database.pool,
            conductor=parts.bus.client(Conductor),
        ):
            service.until_stopped()
