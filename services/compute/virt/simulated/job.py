"""A simulated migration job: memory goes over at a steady rate, then the guest."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from common import objects
from common import states
from services.compute.virt import driver

if TYPE_CHECKING:
    from services.compute.virt.simulated import world as worlds

MIB = 1 << 20
STEP = 0.05  # seconds
DOWNTIME = 1  # millisecond, for handing the guest over
MS = 1000


class Job:
    """One guest on its way: in pre-copy it runs at the source, in post-copy at the destination."""

    def __init__(
        self,
        world: worlds.World,
        rate: float,
        guest: worlds.Guest,
        policy: objects.MigrationPolicy,
    ) -> None:
        """Copy the guest's memory at `rate` MiB per second, or slower if the policy says so."""
        self.aborted = threading.Event()
        self.cut_off = threading.Event()
        self.sent = 0.0  # MiB, all passes
        self.post_copy = False
        self.broken = False
        self.policy = policy
        self.downtime = int(policy.downtime_ms)
        self.bandwidth = int(policy.bandwidth)
        self._world = world
        self._rate = rate
        self._guest = guest
        self._copied = 0.0  # MiB
        self._pass = 1
        self._news: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._begun = world.clock.monotonic()

    def run(self, source: worlds.Host, destination: worlds.Host) -> driver.JobEnd:
        """Copy, then move the guest in one instant; or first move it, and then copy the rest."""
        try:
            return self._run(source, destination)
        finally:
            self.tell()

    def switch(self, source: worlds.Host, destination: worlds.Host) -> None:
        """Let the guest run at the destination from now on."""
        with self._world.lock:
            if not self.post_copy:
                destination.guests[self._guest.uuid] = source.guests.pop(self._guest.uuid)
                self.post_copy = True
        self.tell()

    def tell(self) -> None:
        """Wake who waits for news."""
        self._news.put(True)

    def news(self, timeout: float) -> bool:
        """Wait for news."""
        try:
            self._news.get(timeout=timeout)
        except queue.Empty:
            return False
        return True

    def progress(self) -> objects.MigrationProgress:
        """Tell how much was copied."""
        total = self._guest.memory_mb * MIB
        copied = int(self._copied * MIB)
        rate = int(self._speed() * MIB)
        return objects.MigrationProgress(
            migration_uuid="",
            percent=100 * copied // max(total, 1),
            memory_total=total,
            memory_processed=copied,
            memory_remaining=total - copied,
            rate=rate,
            dirty_rate=int(self._guest.dirty_mib * MIB),
            iteration=self._pass,
            elapsed_ms=self._elapsed(),
            eta_ms=MS * (total - copied) // max(rate, 1),
            post_copy=self.post_copy,
        )

    def _run(self, source: worlds.Host, destination: worlds.Host) -> driver.JobEnd:
        while not self._done():
            cut = bool({source.name, destination.name} & self._world.cut)
            # As with a real hypervisor, an abort waits for streams that are dead.
            if self.aborted.wait(STEP) and not cut:
                return stayed("aborted", cancelled=True)
            if self.cut_off.is_set():
                return stayed("its streams were ended", cancelled=False)
            if self.post_copy and cut:
                self._stall(destination)
                return halved(f"the link between {source.name} and {destination.name} is cut")
            if not cut:
                self._copy()
        with self._world.lock:
            if not self.post_copy and source.guests.get(self._guest.uuid) is not self._guest:
                return stayed("the guest was stopped while it was copied", cancelled=False)
            if not self.post_copy:
                destination.guests[self._guest.uuid] = source.guests.pop(self._guest.uuid)
            if self.broken:
                self._guest.go(self._world.clock.monotonic())
        return driver.JobEnd(
            gone=True,
            cancelled=False,
            reason="",
            downtime_ms=DOWNTIME,
            job_ms=self._elapsed(),
        )

    def _stall(self, destination: worlds.Host) -> None:
        """Have the guest wait for memory that does not come."""
        with self._world.lock:
            guest = destination.guests.get(self._guest.uuid)
            if guest is not None and guest.power == states.Power.RUNNING:
                guest.halt(self._world.clock.monotonic(), states.Power.PAUSED)
        self.broken = True

    def _copy(self) -> None:
        """Copy for one step; a guest that writes has its memory gone over once more."""
        total = self._guest.memory_mb
        self._copied = min(total, self._copied + self._speed() * STEP)
        self.sent += self._speed() * STEP
        rest = self._guest.dirty_mib
        if self._copied < total or self.post_copy or not rest or self._fits(rest):
            return
        self._copied = max(total - rest, 0.0)
        self._pass += 1
        self.tell()

    def _fits(self, rest: float) -> bool:
        """Whether what a guest writes in a second goes over in the downtime; pausing it helps."""
        paused = self._guest.power == states.Power.PAUSED
        return paused or rest <= self._speed() * self.downtime / MS

    def _done(self) -> bool:
        return self._copied >= self._guest.memory_mb

    def _speed(self) -> float:
        return min(self._rate, self.bandwidth) if self.bandwidth else self._rate

    def _elapsed(self) -> int:
        return int(MS * (self._world.clock.monotonic() - self._begun))


def stayed(reason: str, *, cancelled: bool) -> driver.JobEnd:
    """Make the end of a job whose guest stays where it is."""
    return driver.JobEnd(
        gone=False, cancelled=cancelled, reason=reason, downtime_ms=None, job_ms=None
    )


def halved(reason: str) -> driver.JobEnd:
    """Make the end of a job that broke in post-copy."""
    return driver.JobEnd(
        gone=False, cancelled=False, reason=reason, downtime_ms=None, job_ms=None, broken=True
    )


def arrived() -> driver.JobEnd:
    """Make the end of a job that nobody here has seen end."""
    return driver.JobEnd(gone=True, cancelled=False, reason="", downtime_ms=None, job_ms=None)
