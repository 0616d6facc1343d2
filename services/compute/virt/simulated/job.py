"""A simulated migration job: memory goes over at a steady rate, then the guest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from common import objects
from services.compute.virt import driver

if TYPE_CHECKING:
    from services.compute.virt.simulated import world as worlds

MIB = 1 << 20
STEP = 0.05  # seconds
DOWNTIME = 1  # millisecond, for handing the guest over


class Job:
    """One guest on its way."""

    def __init__(self, world: worlds.World, rate: float, guest: worlds.Guest) -> None:
        """Copy the guest's memory at `rate` MiB per second."""
        self.aborted = threading.Event()
        self._world = world
        self._rate = rate
        self._guest = guest
        self._copied = 0.0  # MiB
        self._begun = world.clock.monotonic()

    def run(self, source: worlds.Host, destination: worlds.Host) -> driver.JobEnd:
        """Copy, then move the guest in one instant."""
        total = self._guest.memory_mb
        while self._copied < total:
            if self.aborted.wait(STEP):
                return stayed("aborted", cancelled=True)
            self._copied = min(total, self._copied + self._rate * STEP)
        with self._world.lock:
            if source.guests.get(self._guest.uuid) is not self._guest:
                return stayed("the guest was stopped while it was copied", cancelled=False)
            destination.guests[self._guest.uuid] = source.guests.pop(self._guest.uuid)
        return driver.JobEnd(
            gone=True,
            cancelled=False,
            reason="",
            downtime_ms=DOWNTIME,
            job_ms=self._elapsed(),
        )

    def progress(self) -> objects.MigrationProgress:
        """Tell how much was copied."""
        total = self._guest.memory_mb * MIB
        copied = int(self._copied * MIB)
        rate = int(self._rate * MIB)
        return objects.MigrationProgress(
            migration_uuid="",
            percent=100 * copied // max(total, 1),
            memory_total=total,
            memory_processed=copied,
            memory_remaining=total - copied,
            rate=rate,
            elapsed_ms=self._elapsed(),
            eta_ms=1000 * (total - copied) // max(rate, 1),
        )

    def _elapsed(self) -> int:
        return int(1000 * (self._world.clock.monotonic() - self._begun))


def stayed(reason: str, *, cancelled: bool) -> driver.JobEnd:
    """Make the end of a job whose guest stays where it is."""
    return driver.JobEnd(
        gone=False, cancelled=cancelled, reason=reason, downtime_ms=None, job_ms=None
    )
