"""What every part of the conductor works with, wired once in main."""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

from rpc import compute

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from oslo_config.cfg import ConfigOpts

    from common.clock import Clock
    from common.db.engine import Database
    from rpc.bus import Bus
    from rpc.scheduler import Scheduler
    from services.conductor.checking import Checking


class Deps(NamedTuple):
    """The process's parts: passed on, never looked up."""

    conf: ConfigOpts
    database: Database
    bus: Bus
    scheduler: Scheduler
    clock: Clock
    pool: Executor
    process: str  # its own id: another on the same host is somebody else
    checking: Checking

    @property
    def owner(self) -> str:
        """Name who owns the moves that are in work here."""
        return f"{self.conf.host}/{self.process}"

    def compute(self, host: str) -> compute.Compute:
        """Give the client of one host's compute."""
        return self.bus.client(compute.Compute, server=host)
