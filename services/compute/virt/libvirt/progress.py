"""How far a move is, from libvirt's job statistics; pure, and never going back."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

from common import objects

# A running job is never done: the switch is still to come.
ALMOST = 99


class Progress:
    """One move's progress so far.

    `memory` is the guest's memory in bytes: libvirt reports none while it
    copies disks, and what is still to come counts too.
    """

    def __init__(self, migration: str, memory: int, targets: Iterable[str] = ()) -> None:
        """Begin at nothing; `targets` are the disks that are copied."""
        self._migration = migration
        self._memory = memory
        self._percent = 0
        self._disks = {target: objects.DiskProgress(target=target) for target in targets}

    @property
    def targets(self) -> list[str]:
        """The disks that are copied, as the guest calls them."""
        return list(self._disks)

    def read(
        self,
        stats: Mapping[str, int],
        iteration: int,
        copies: Iterable[objects.DiskProgress] = (),
        *,
        post_copy: bool = False,
    ) -> objects.MigrationProgress:
        """Turn one answer of virDomainGetJobStats into progress.

        A disk of which `copies` tell nothing is as far as it was.
        """
        self._disks.update((disk.target, disk) for disk in copies)
        total = stats.get("memory_total", 0) or self._memory
        remaining = stats.get("memory_remaining", 0) if stats.get("memory_total") else total
        disk_total = stats.get("disk_total", 0)
        disk_remaining = stats.get("disk_remaining", 0)
        rate = stats.get("memory_bps", 0) + stats.get("disk_bps", 0)
        dirty = stats.get("memory_dirty_rate", 0) * stats.get("memory_page_size", 4096)
        left = remaining + disk_remaining
        self._advance(total + disk_total, left)
        return objects.MigrationProgress(
            migration_uuid=self._migration,
            percent=self._percent,
            memory_total=total,
            memory_processed=stats.get("memory_processed", 0),
            memory_remaining=remaining,
            disk_total=disk_total,
            disk_processed=stats.get("disk_processed", 0),
            disk_remaining=disk_remaining,
            rate=rate,
            dirty_rate=dirty,
            iteration=max(iteration, stats.get("memory_iteration", 0)),
            elapsed_ms=stats.get("time_elapsed", 0),
            eta_ms=eta(left, rate, 0 if post_copy else dirty),
            post_copy=post_copy,
            disks=list(self._disks.values()),
        )

    def _advance(self, whole: int, left: int) -> None:
        if whole > 0:
            now = 100 * max(whole - left, 0) // whole
            self._percent = max(self._percent, min(now, ALMOST))


def eta(left: int, rate: int, dirty: int) -> int | None:
    """Milliseconds until nothing is left, or None while the guest writes faster than is copied."""
    if rate <= dirty:
        return None
    return 1000 * left // (rate - dirty)
