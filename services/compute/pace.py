"""How fast a copy goes and may go: counted as it is sent, capped, and ended by an abort."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from common import errors
from services.compute import native

if TYPE_CHECKING:
    import threading

    import tenacity

    from common.clock import Clock

MIB = 1 << 20
# Seconds of its bandwidth that a copy which stood still may catch up at once.
CREDIT = 1.0
# Seconds that one wait lasts at most: so soon an abort is heard.
TURN = 1.0
# Seconds over which the rate is taken.
WINDOW = 10.0
# Seconds for which a broken connection is tried again; the guest runs meanwhile, or waits.
PATIENCE = 120


class Meter:
    """Counts the bytes of a copy in its own thread, keeps to a bandwidth, and ends it."""

    def __init__(self, clock: Clock, bandwidth: int, aborted: threading.Event) -> None:
        """Begin at 0; the bandwidth is in MiB per second, 0 for no limit."""
        self._clock = clock
        self._bandwidth = bandwidth * MIB
        self._aborted = aborted
        self._since = clock.monotonic()
        self._due = self._since  # when all that was sent may have been sent
        self._looks: collections.deque[tuple[float, int]] = collections.deque()
        self._never: native.Queue[None] = native.Queue()
        self._gone = 0  # bytes that were sent by whatever try
        self.done = 0  # bytes, those included that had landed before
        self.most = 0  # that `done` has ever been: a repeat begins anew, what is told does not
        self.total = 0

    def sent(self, count: int, *, over: bool = False) -> None:
        """Count a piece, wait while it is ahead of the bandwidth, and raise MoveAborted.

        One that is `over` already, from an earlier try, has taken no bandwidth.
        """
        if self._aborted.is_set():
            raise errors.MoveAborted("aborted by a user while its disks were copied")
        self.done += count
        self.most = max(self.most, self.done)
        if over:
            return
        self._gone += count
        if self._bandwidth:
            self._keep_to(count / self._bandwidth)

    def seconds(self) -> float:
        """Give for how long it has counted."""
        return self._clock.monotonic() - self._since

    def rate(self) -> int:
        """Give the bytes per second over the last seconds, between the looks by this call."""
        now = self._clock.monotonic()
        looks = self._looks
        looks.append((now, self._gone))
        while len(looks) > 2 and looks[1][0] <= now - WINDOW:  # noqa: PLR2004 - two make a rate
            looks.popleft()
        first, before = looks[0] if len(looks) > 1 else (self._since, 0)
        return int((looks[-1][1] - before) / (now - first)) if now > first else 0

    def _keep_to(self, takes: float) -> None:
        now = self._clock.monotonic()
        self._due = max(self._due, now - CREDIT) + takes
        if self._due > now:
            self._wait(min(self._due - now, TURN))

    def _wait(self, seconds: float) -> None:
        """Wait in this native thread, whatever the process has patched."""
        self._never.get(seconds)


class Patience:
    """For how long a copy that breaks is tried again: PATIENCE without a byte more."""

    def __init__(self, clock: Clock, meter: Meter) -> None:
        """Begin patient."""
        self._clock = clock
        self._meter = meter
        self._broke = 0.0
        self._most = -1

    def over(self, _state: tenacity.RetryCallState) -> bool:
        """Tell, as it has just broken, whether that is the end; a byte more begins it anew."""
        now = self._clock.monotonic()
        if self._meter.most > self._most:
            self._broke, self._most = now, self._meter.most
        return now - self._broke >= PATIENCE
