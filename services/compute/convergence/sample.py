"""What the engine is told of a running job, and what it says."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Sample(NamedTuple):
    """One look at a running job; bytes, and bytes per second.

    `elapsed` is in seconds since the job began, `iteration` counts from 1 and is
    0 until memory is copied. `remaining` and `total` are of memory. A sample taken
    at libvirt's iteration event is worth most: only there is `remaining` the
    whole truth, before the iteration has copied anything.
    """

    elapsed: float
    iteration: int
    remaining: int
    total: int
    rate: int
    dirty_rate: int = 0
    disk_remaining: int = 0
    in_postcopy: bool = False
    paused: bool = False


class Action(enum.StrEnum):
    """What can be done to a running job."""

    SET_DOWNTIME = "set-downtime"
    POST_COPY = "post-copy"
    PAUSE = "pause"
    ABORT = "abort"


class Decision(NamedTuple):
    """One thing to do now: why, in a sentence, and the numbers that led to it.

    `value` is the new downtime in milliseconds, None for other actions.
    """

    action: Action
    reason: str
    inputs: dict[str, int | float]
    value: int | None = None
