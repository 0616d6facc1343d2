"""whimbrel-conductor: an RPC server on native threads, and the tick of the queue."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from concurrent import futures
from typing import TYPE_CHECKING

from common import clock as clocks
from common import errors
from common import ids
from common import migration_policy
from rpc import service
from rpc.scheduler import Scheduler
from services import backing
from services.conductor import audit
from services.conductor import leftovers
from services.conductor import lost
from services.conductor import queue
from services.conductor.checking import Checking
from services.conductor.deps import Deps
from services.conductor.manager import Manager

if TYPE_CHECKING:
    from collections.abc import Generator

    from oslo_config.cfg import ConfigOpts

    from common.db.engine import Database
    from rpc.bus import Bus

LOG = logging.getLogger(__name__)
BINARY = "nova-conductor"


def main() -> int:
    """Run until SIGTERM or SIGINT, and give the exit status."""
    return service.main("whimbrel-conductor", sys.argv[1:], serve)


def serve(conf: ConfigOpts) -> None:
    """Wait for database and broker, then conduct until told to stop.

    Options that make no policy are refused now, not with the first move.
    """
    migration_policy.resolve(migration_policy.defaults(conf), {}, {})
    with (
        backing.ready(conf) as parts,
        running(conf, parts.bus, parts.database, clocks.SystemClock()),
    ):
        service.until_stopped()


@contextlib.contextmanager
def running(conf: ConfigOpts, bus: Bus, database: Database, clock: clocks.Clock) -> Generator[None]:
    """Conduct while the block lasts."""
    stop = threading.Event()
    with futures.ThreadPoolExecutor(conf.conductor.workers, "conductor") as pool:
        deps = Deps(conf, database, bus, bus.client(Scheduler), clock, pool, ids.new(), Checking())
        manager = Manager(deps)
        # A thread of its own: with one worker nobody else would get to work.
        ticking = threading.Thread(target=_tick, args=(deps, manager, stop), name="conductor tick")
        ticking.start()
        try:
            with service.serving(
                conf,
                bus,
                manager,
                binary=BINARY,
                threads=conf.conductor.workers,
                conductor=manager,
            ):
                yield
        finally:
            stop.set()
            ticking.join()


def _tick(deps: Deps, manager: Manager, stop: threading.Event) -> None:
    auditing = audit.Audit(deps)
    undone = leftovers.Leftovers(deps)
    while not stop.wait(deps.conf.conductor.tick):
        try:
            manager.renew()
            queue.tick(deps)
            lost.tick(deps)
            manager.observe()
            auditing.tick()
            undone.tick()
        except errors.Error as trouble:
            LOG.warning("moves and servers are looked at again in a moment: %s", trouble)
        except Exception:
            LOG.exception("looking after moves and servers failed")
