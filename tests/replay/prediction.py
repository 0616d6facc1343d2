"""Replay a trace under a policy: what is decided, and how the move would have ended.

A trace shows what the guest did, not what it would have done under another
policy. So the replay stops at the first of these, and calculates the rest:

* a switch: at the beginning of an iteration (only there the remaining bytes
  are the truth) these can be copied within the allowed downtime. QEMU looks
  more often, so that a real move may end an iteration earlier;
* post-copy: the rest follows while the guest runs at the destination;
* a pause: the rest follows while the guest stands still;
* an abort.

Auto-converge is not in the traces: a policy that uses it does no worse.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import NamedTuple

from common import migration_policy
from services.compute.convergence import deadline
from services.compute.convergence import engine
from services.compute.convergence.sample import Action
from services.compute.convergence.sample import Decision
from services.compute.convergence.sample import Sample
from tests.replay import legacy
from tests.replay import trace

LONGEST = 4000.0  # seconds: past every timeout here


class Taken(NamedTuple):
    """A decision and when it was taken."""

    at: float
    decision: Decision


class Outcome(NamedTuple):
    """How a replayed move ends; seconds, and milliseconds of downtime."""

    how: str
    seconds: float
    downtime_ms: int
    after: float  # seconds of copying after the guest runs at the destination
    taken: list[Taken]

    def __str__(self) -> str:
        if self.how == Action.ABORT:
            return f"aborted at {self.seconds:.0f} s"
        if self.how == Action.POST_COPY:
            return f"{self.seconds:.0f} s, the last {self.after:.1f} s in post-copy"
        if self.how == Action.PAUSE:
            return f"{self.seconds:.0f} s, paused for {self.downtime_ms / 1000:.1f} s"
        return f"{self.seconds:.0f} s, {self.downtime_ms} ms"


Make = Callable[[trace.Trace], legacy.Decider]


def deciders() -> Mapping[str, Make]:
    """Give every policy that is replayed, by its name in the table."""
    ours = {name: _ours(name) for name in migration_policy.PRESETS}
    nova = {
        "Nova, its defaults": Action.ABORT,
        "Nova, force_complete by post-copy": Action.POST_COPY,
    }
    ovirt = {
        "oVirt, minimal downtime": legacy.Ovirt.MINIMAL,
        "oVirt, post-copy": legacy.Ovirt.POST_COPY,
    }
    return {
        **ours,
        **{name: _nova(action) for name, action in nova.items()},
        **{name: _ovirt(schedule) for name, schedule in ovirt.items()},
    }


def replay(recorded: trace.Trace, decider: legacy.Decider) -> Outcome:
    """Play a trace until the move would have ended."""
    taken = [Taken(0.0, decider.begin())]
    allowed = taken[0].decision.value or 0
    iteration, began = 0, 0.0
    for sample in recorded.play(LONGEST):
        fresh = sample.iteration > iteration
        if fresh:
            iteration, began = sample.iteration, sample.elapsed
        for decision in decider.observe(sample):
            taken.append(Taken(sample.elapsed, decision))
            if decision.action is not Action.SET_DOWNTIME:
                left = deadline.left(sample, began, recorded.memory)
                return _ended(recorded, sample, decision.action, left, taken)
            allowed = decision.value or allowed
        need = round(1000 * sample.remaining / _rate(recorded, sample))
        if fresh and iteration > 1 and need <= allowed:
            seconds = round(sample.elapsed + need / 1000, 3)
            return Outcome("switch", seconds, need, 0.0, taken)
    raise AssertionError(f"{recorded.name}: no end in {LONGEST} s")


def _ended(
    recorded: trace.Trace, sample: Sample, action: Action, left: int, taken: list[Taken]
) -> Outcome:
    if action is Action.ABORT:
        return Outcome(action, sample.elapsed, 0, 0.0, taken)
    rest = left / _rate(recorded, sample)
    seconds = round(sample.elapsed + rest, 3)
    if action is Action.PAUSE:
        return Outcome(action, seconds, round(1000 * rest), 0.0, taken)
    return Outcome(action, seconds, 0, rest, taken)


def _rate(recorded: trace.Trace, sample: Sample) -> int:
    return sample.rate or recorded.bandwidth


def _ours(name: str) -> Make:
    def make(recorded: trace.Trace) -> legacy.Decider:
        policy = migration_policy.resolve(migration_policy.Defaults(), {}, {"policy": name})
        return engine.Engine(policy, recorded.memory, recorded.disk)

    return make


def _nova(action: Action) -> Make:
    return lambda recorded: legacy.Nova(action, recorded.memory, recorded.disk)


def _ovirt(schedule: tuple[legacy.Rung, ...]) -> Make:
    return lambda _recorded: legacy.Ovirt(schedule)
