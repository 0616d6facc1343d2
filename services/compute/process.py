"""The life of one compute: driver up, serving and reporting, driver down."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from rpc import service
from rpc.conductor import Conductor
from services.compute import cache
from services.compute import resources
from services.compute.deps import Deps
from services.compute.manager import Manager
from services.compute.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Generator

    from oslo_config.cfg import ConfigOpts

    from common.clock import Clock
    from rpc.bus import Bus
    from services.compute.concurrency import Threads
    from services.compute.virt.driver import Driver

BINARY = "nova-compute"
# Pre-checks, preparations and operations that one host answers at once.
HANDLERS = 32


@contextlib.contextmanager
def running(
    conf: ConfigOpts, bus: Bus, driver: Driver, threads: Threads, clock: Clock
) -> Generator[Manager]:
    """Serve the host while the block lasts."""
    stop = threading.Event()
    conductor = bus.client(Conductor)
    reporter = Reporter(conf.host, conductor)
    tracker = resources.Tracker(
        conf, lambda: threads.native(driver.capacity), driver.allow, reporter.host_changed
    )
    manager = Manager(Deps(conf, driver, cache.Cache(conf), threads, reporter, bus, clock))
    threads.start(driver.run_events, stop.is_set)
    threads.native(driver.start)
    threads.spawn(reporter.send_board, conf.compute.progress_interval, stop)
    try:
        with service.serving(
            conf,
            bus,
            manager,
            binary=BINARY,
            threads=HANDLERS,
            conductor=conductor,
            zone=conf.compute.availability_zone,
            numbers=tracker,
        ):
            yield manager
    finally:
        stop.set()
        reporter.close()
        threads.native(driver.stop)
