"""What every part of compute works with, wired once in process.py."""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

from rpc import compute

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

    from common.clock import Clock
    from rpc.bus import Bus
    from services.compute.cache import Cache
    from services.compute.concurrency import Threads
    from services.compute.reporter import Reporter
    from services.compute.virt.driver import Driver


class Deps(NamedTuple):
    """The process's parts: passed on, never looked up."""

    conf: ConfigOpts
    driver: Driver
    cache: Cache
    threads: Threads
    reporter: Reporter
    bus: Bus
    clock: Clock

    def peer(self, host: str) -> compute.Compute:
        """Give the client of another host's compute."""
        return self.bus.client(compute.Compute, server=host)
