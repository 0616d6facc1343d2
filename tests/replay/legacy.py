"""How Nova and oVirt decide, small enough to be replayed beside our engine.

Both are written from the behaviour that their documentation and code show,
and only as far as a trace without auto-converge can tell the difference.
"""

from __future__ import annotations

from typing import NamedTuple
from typing import Protocol

from services.compute.convergence import deadline
from services.compute.convergence.sample import Action
from services.compute.convergence.sample import Decision
from services.compute.convergence.sample import Sample


class Decider(Protocol):
    """What a replay asks."""

    def begin(self) -> Decision:
        """Give the first downtime."""
        ...

    def observe(self, sample: Sample) -> list[Decision]:
        """Give what to do now."""
        ...


class Nova:
    """Downtime by time in ten linear steps; at 800 s per GiB, at least two, the timeout action."""

    DOWNTIME = 500  # live_migration_downtime
    STEPS = 10  # live_migration_downtime_steps
    DELAY = 75  # live_migration_downtime_delay, seconds per GiB
    TIMEOUT = 800  # live_migration_completion_timeout, seconds per GiB

    def __init__(self, action: Action, memory: int, disk: int) -> None:
        """Take live_migration_timeout_action: abort, or force_complete as a post-copy."""
        self._action = action
        self._size = max((memory + disk) / deadline.GIB, deadline.LEAST)
        self._step = 0
        self._ended = False

    def begin(self) -> Decision:
        """Give the first step: a tenth."""
        return _downtime(self._downtime(0), "step 0")

    def observe(self, sample: Sample) -> list[Decision]:
        """Step by time, and act at the timeout."""
        if self._ended:
            return []
        if sample.elapsed > self.TIMEOUT * self._size:
            self._ended = True
            return [Decision(self._action, "completion timeout", {"elapsed_s": sample.elapsed})]
        step = min(int(sample.elapsed // (self.DELAY * self._size)), self.STEPS)
        if step <= self._step:
            return []
        self._step = step
        return [_downtime(self._downtime(step), f"step {step}")]

    def _downtime(self, step: int) -> int:
        base = self.DOWNTIME / self.STEPS
        return int(base + (self.DOWNTIME - base) / self.STEPS * step)


class Rung(NamedTuple):
    """Once more iterations than `limit` were begun: a downtime in ms, or what ends the move."""

    limit: int
    action: int | Action


class Ovirt:
    """A schedule of rungs by iteration; the last one ends the move whatever remains."""

    MINIMAL = (
        Rung(1, 150),
        Rung(2, 200),
        Rung(3, 300),
        Rung(4, 400),
        Rung(6, 500),
        Rung(7, Action.ABORT),
    )
    POST_COPY = (Rung(1, 150), Rung(2, 200), Rung(3, Action.POST_COPY))

    def __init__(self, schedule: tuple[Rung, ...]) -> None:
        """Take one of oVirt's policies."""
        self._schedule = list(schedule)
        self._ended = False

    def begin(self) -> Decision:
        """Give the first rung: 100 ms."""
        return _downtime(100, "initial")

    def observe(self, sample: Sample) -> list[Decision]:
        """Take every rung that the iteration has passed."""
        decisions = []
        while not self._ended and self._schedule and sample.iteration > self._schedule[0].limit:
            action = self._schedule.pop(0).action
            words = f"iteration {sample.iteration}"
            if isinstance(action, Action):
                self._ended = True
                decisions.append(Decision(action, words, {"iteration": sample.iteration}))
            else:
                decisions.append(_downtime(action, words))
        return decisions


def _downtime(value: int, words: str) -> Decision:
    return Decision(Action.SET_DOWNTIME, words, {}, value)
