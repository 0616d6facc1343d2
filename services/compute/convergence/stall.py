"""Does the guest still converge? KubeVirt's stall detector (its proposal VEP-248).

What remains is trusted only where an iteration begins: within one it falls
whatever the guest writes. The move has stalled when the remaining bytes are
no longer `MARGIN` below the least of the iterations older than the window.
Counting iterations, comparing dirty rate with bandwidth and QEMU's own guess
of the downtime were all tried there and found too noisy.
"""

from __future__ import annotations

from typing import NamedTuple

MARGIN = 0.04  # less progress than this is none
ALPHA = 0.4  # weight of the newest rate
DECAY = 0.5  # what is left of the patience each time it runs out
LEAST = 1.0  # seconds of patience that are not worth halving
KEPT = 4  # windows of iterations that are remembered one by one


class Boundary(NamedTuple):
    """Where an iteration began."""

    at: float
    remaining: int


class Rate:
    """The rate of copying in bytes per second, smoothed (EWMA)."""

    def __init__(self) -> None:
        """Begin with none."""
        self.value = 0.0

    def add(self, rate: int) -> None:
        """Take a reading in; libvirt reports 0 until it has one."""
        if rate <= 0:
            return
        self.value = ALPHA * rate + (1 - ALPHA) * self.value if self.value else float(rate)


class Stall:
    """Watches the iterations of one move."""

    def __init__(self, window: float) -> None:
        """Look back `window` seconds."""
        self._window = window
        self._boundaries: list[Boundary] = []
        self._iteration = 0
        self._since: float | None = None
        self._older: int | None = None  # least of the boundaries that left the list

    def look_back(self, window: float) -> None:
        """Change the window."""
        self._window = window

    @property
    def since(self) -> float | None:
        """When the move stalled, in seconds since the job began; None while it converges."""
        return self._since

    @property
    def last(self) -> Boundary | None:
        """Where the present iteration began."""
        return self._boundaries[-1] if self._boundaries else None

    def see(self, elapsed: float, iteration: int, remaining: int) -> bool:
        """Take a sample in; tells whether an iteration has just begun."""
        if iteration <= self._iteration:
            return False
        self._iteration = iteration
        now = Boundary(elapsed, remaining)
        self._judge(now)
        self._boundaries.append(now)
        self._forget(elapsed)
        return True

    def best(self, elapsed: float) -> int | None:
        """Give the least bytes of the iterations older than the window, if there are any."""
        old = [each.remaining for each in self._boundaries if each.at <= elapsed - self._window]
        if self._older is not None:
            old.append(self._older)
        return min(old, default=None)

    def is_low(self) -> bool:
        """Whether the last boundary is a local minimum, a cheap moment to switch.

        The search looks back a window; each time its patience (half of that) has
        run out, both are halved, so that it ends within a window.
        """
        if self._since is None or self.last is None:
            return False
        now = self.last
        horizon = now.at - self._horizon(now.at - self._since)
        near = [each.remaining for each in self._boundaries if each.at >= horizon]
        return now.remaining <= (1 + MARGIN) * min(near)

    def patient(self, elapsed: float) -> bool:
        """Whether a stall is so young that it is worth waiting for luck."""
        return self._since is not None and elapsed - self._since < self._window * DECAY

    def _judge(self, now: Boundary) -> None:
        best = self.best(now.at)
        if best is None or now.remaining < (1 - MARGIN) * best:
            self._since = None
        elif self._since is None:
            self._since = now.at

    def _horizon(self, waited: float) -> float:
        """Give how far the search for a minimum looks back after so much waiting."""
        horizon, patience = self._window, self._window * DECAY
        while waited >= patience > LEAST:
            waited -= patience
            horizon = patience
            patience *= DECAY
        return horizon if patience > LEAST else 0.0

    def _forget(self, elapsed: float) -> None:
        while self._boundaries[0].at < elapsed - KEPT * self._window:
            gone = self._boundaries.pop(0).remaining
            self._older = gone if self._older is None else min(self._older, gone)
