"""How long a move may take, and what is the last moment at which it may still be made to end."""

from __future__ import annotations

from common import objects
from services.compute.convergence.sample import Sample

GIB = 1 << 30
LEAST = 2  # GiB that the smallest guest counts, as in Nova
# What is done at a timeout may take until this many times the budget: doc/decisions/0013.
STRETCH = 2


def budget(policy: objects.MigrationPolicy, memory: int, disk: int) -> float | None:
    """Give the seconds after which the policy's timeout action is due, or None without limit.

    Both timeouts may be set: the shorter one counts. `memory` and `disk`, the
    copied ones, are in bytes.
    """
    size = max((memory + disk) / GIB, LEAST)
    limits = (policy.completion_timeout, policy.completion_timeout_per_gib * size)
    return min((float(limit) for limit in limits if limit), default=None)


def last(budget: float | None) -> float | None:
    """Give the second by which a move must have ended, pushed or not; then it is aborted."""
    return None if budget is None else STRETCH * budget


def left(sample: Sample, began: float | None, memory: int) -> int:
    """Give the bytes to copy if the guest stopped writing now, rather too many than too few.

    Within an iteration, begun at second `began`, libvirt's `remaining` lacks
    what was written since. Before memory is copied all of `memory` is to come.
    """
    if sample.iteration < 1:
        return memory + sample.disk_remaining
    since = max(sample.elapsed - began, 0.0) if began is not None else 0.0
    written = int(sample.dirty_rate * since)
    return min(sample.remaining + written, max(sample.total, sample.remaining))


def projected(left: int, rate: float) -> float | None:
    """Give the seconds that copying `left` bytes takes with no more written, or None if unknown."""
    return left / rate if rate > 0 else None
