"""The downtime that a guest is asked for, by iteration: little first, more as it does not help."""

from __future__ import annotations

from collections.abc import Sequence


class Ladder:
    """Climbs from rung to rung, one per iteration, and never down.

    oVirt's idea: iterations, unlike seconds, are long for a large guest and
    short for a small one.
    """

    def __init__(self, rungs: Sequence[int], most: int) -> None:
        """Stand below the first rung; after the rungs below it, `most` (ms) is the last."""
        self._rungs = [*sorted(rung for rung in rungs if rung < most), most]
        self.downtime = 0
        self._before = 0

    @property
    def most(self) -> int:
        """The downtime at the top, in milliseconds."""
        return self._rungs[-1]

    def climb(self, iteration: int) -> int | None:
        """Give the new downtime in milliseconds if this iteration has a higher rung."""
        return self._rise(self._rungs[min(max(iteration - 1, 0), len(self._rungs) - 1)])

    def jump(self) -> int | None:
        """Give the last rung's downtime unless it is reached already."""
        return self._rise(self.most)

    def step_back(self) -> None:
        """Stand where it stood before: the last downtime that was given could not be asked for."""
        self.downtime = self._before

    def _rise(self, wanted: int) -> int | None:
        if wanted <= self.downtime:
            return None
        self._before, self.downtime = self.downtime, wanted
        return wanted
