"""The time, from one place, so that a test can hold it still."""

from __future__ import annotations

import datetime
import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime.datetime:
        """Give the wall time in UTC, with its time zone."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go back, for measuring."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime.datetime:
        """Give the wall time in UTC, with its time zone."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """Give seconds that never go back, for measuring."""
        return time.monotonic()


class HeldClock:
    """A clock that moves only when told; ships for tests and simulations."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        """Stand at `start`, or at the beginning of 2026."""
        self._now = start or datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self._elapsed = 0.0

    def now(self) -> datetime.datetime:
        """Give the held wall time."""
        return self._now

    def monotonic(self) -> float:
        """Give the seconds advanced so far."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move both readings forward."""
        self._now += datetime.timedelta(seconds=seconds)
        self._elapsed += seconds
