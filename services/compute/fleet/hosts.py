"""Many computes in one process: each with its own queues, heartbeat and simulated hypervisor.

What they share is what a process has once: the connections on which messages
are sent, and that on which answers come back. Each host keeps the connection
on which it listens, as a compute of its own would.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from common import errors
from common.config import load
from services.compute import process
from services.compute.virt.simulated import driver

if TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Sequence

    from oslo_config.cfg import ConfigOpts

    from common.clock import Clock
    from rpc.bus import Bus
    from services.compute.concurrency import Threads
    from services.compute.fleet.member import Member
    from services.compute.virt.simulated.world import World

LOG = logging.getLogger(__name__)

# Seconds between two words about how many hosts have started.
WORDS = 2.0
# Seconds until hosts that do not end are left behind.
ENDING = 30.0


class Fleet:
    """The computes of this process."""

    def __init__(
        self, conf: ConfigOpts, bus: Bus, world: World, threads: Threads, clock: Clock
    ) -> None:
        """Begin with no host; the world knows how each will behave."""
        self._conf = conf
        self._bus = bus
        self._world = world
        self._threads = threads
        self._clock = clock
        self._stop = threading.Event()
        self._gate = threading.Semaphore(conf.fleet.starting)
        self._settled = threading.Semaphore(0)
        self._serving: set[str] = set()
        self._running: list[threading.Thread] = []

    def start(self, members: Sequence[Member]) -> None:
        """Start a compute for each, some at a time, and return when all serve; raises NoAnswer."""
        for member in members:
            thread = threading.Thread(
                target=self._live, args=(member,), name=f"compute {member.name}", daemon=True
            )
            thread.start()
            self._running.append(thread)
        for done in range(len(members)):
            while not self._settled.acquire(timeout=WORDS):
                LOG.info("%d of %d simulated hosts serve", done, len(members))
        absent = sorted({member.name for member in members} - self._serving)
        if absent:
            raise errors.NoAnswer(
                f"{len(absent)} of {len(members)} simulated hosts could not start, {absent[0]} "
                "among them; the log has the reasons"
            )
        LOG.info("all %d simulated hosts serve", len(members))

    def stop(self) -> None:
        """End every compute, all at once, within bounded time."""
        self._stop.set()
        deadline = self._clock.monotonic() + ENDING
        for thread in self._running:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        left = sum(thread.is_alive() for thread in self._running)
        if left:
            LOG.warning("%d simulated hosts did not end within %d s", left, ENDING)

    def _live(self, member: Member) -> None:
        """Be one compute until the end."""
        own = load.derived(self._conf, {**member.options, "host": member.name})
        made = driver.Driver(own, self._world)
        try:
            with contextlib.ExitStack() as stack:
                with self._gate:
                    if self._stop.is_set():
                        return
                    stack.enter_context(
                        process.running(own, self._bus, made, self._threads, self._clock)
                    )
                self._serving.add(member.name)
                self._settled.release()
                self._stop.wait()
        except Exception:
            LOG.exception("the simulated host %s has failed", member.name)
        finally:
            if member.name not in self._serving:
                self._settled.release()


@contextlib.contextmanager
def running(
    conf: ConfigOpts,
    bus: Bus,
    members: Sequence[Member],
    world: World,
    threads: Threads,
    clock: Clock,
) -> Generator[Fleet]:
    """Run a compute for each member while the block lasts; all of them serve when it begins."""
    fleet = Fleet(conf, bus, world, threads, clock)
    try:
        fleet.start(members)
        yield fleet
    finally:
        fleet.stop()
