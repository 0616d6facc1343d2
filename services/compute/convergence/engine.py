"""What is to be done about a move, sample by sample; pure: time comes in with each sample.

What it promises, whatever the samples are:

* the downtime that it asks for never falls, unless an operator changes the policy;
* at most one of post-copy and abort is decided, and nothing after it, unless
  the order could not be given: then it is decided again;
* post-copy is never decided when the policy says never or while the guest
  stands still; nor, before the timeout, when it would not be over by then, nor
  at the timeout when it would not be over before the last moment;
* abort is decided only when a timeout has passed.
"""

from __future__ import annotations

from common import errors
from common import objects
from services.compute.convergence import deadline
from services.compute.convergence import ladder
from services.compute.convergence import stall
from services.compute.convergence.sample import Action
from services.compute.convergence.sample import Decision
from services.compute.convergence.sample import Sample

MIB = 1 << 20
AGAIN = 2.0  # seconds after which an order that could not be given is decided again
NEAR = 1.5  # so many times the allowed downtime is near enough to wait for luck (KubeVirt)


class Engine:
    """Decides for one move; forget it when the move has ended."""

    def __init__(self, policy: objects.MigrationPolicy, memory: int, disk: int = 0) -> None:
        """Begin a move of a guest with this much memory and copied disk, in bytes."""
        self._policy = policy
        self._size = (memory, disk)
        self._budget = deadline.budget(policy, memory, disk)
        self._ladder = ladder.Ladder(policy.ladder, policy.downtime_ms)
        self._stall = stall.Stall(policy.stall_window)
        self._rate = stall.Rate()
        self._ended: Action | None = None
        self._pushed = False  # made to stand still, by us
        self._quiet = 0.0  # nothing is decided before this second

    @property
    def budget(self) -> float | None:
        """Seconds after which the timeout action is due; None: never."""
        return self._budget

    def begin(self) -> Decision:
        """Give the downtime with which the job starts; not for one that runs already."""
        self._ladder.climb(0)
        first = self._ladder.downtime
        return Decision(
            Action.SET_DOWNTIME, f"the move begins with {first} ms", {"downtime_ms": first}, first
        )

    def resume(self) -> None:
        """Take over a move whose guest stands still already, made to by an earlier process."""
        self._pushed = True

    def observe(self, sample: Sample) -> list[Decision]:
        """Take one sample in; gives what to do now, in this order, mostly nothing."""
        if self._ended or sample.in_postcopy:
            return []
        self._rate.add(sample.rate)
        began = self._stall.see(sample.elapsed, sample.iteration, sample.remaining)
        if sample.elapsed < self._quiet:
            return []
        due = self._overdue(sample)
        if due:
            return due
        decisions = self._climb(sample)
        if began and self._stall.since is not None:
            decisions += self._stalled(sample)
        return decisions

    def force(self, sample: Sample) -> Decision:
        """Decide how an operator's force-complete is done: post-copy if allowed, else a pause.

        WrongState when there is nothing left to force.
        """
        if self._ended or sample.in_postcopy:
            raise errors.WrongState(
                f"the move is already made to end by {self._ended or 'post-copy'}"
            )
        if sample.paused or self._pushed:
            raise errors.WrongState("the guest stands still already, the move can only end")
        self._rate.add(sample.rate)
        refusal = self._no_postcopy(sample)
        if refusal is None:
            return self._decide(Action.POST_COPY, "forced by an operator", sample)
        return self._decide(Action.PAUSE, f"forced by an operator; {refusal}", sample)

    def failed(self, decision: Decision, elapsed: float) -> None:
        """Take a decision back whose order could not be given: it is taken again, in a moment.

        An abort stands: whoever ordered it repeats it until the move ends.
        """
        self._quiet = elapsed + AGAIN
        if decision.action is Action.SET_DOWNTIME:
            self._ladder.step_back()
        elif decision.action is Action.PAUSE:
            self._pushed = False
        elif decision.action is Action.POST_COPY:
            self._ended = None

    def refused(self, sample: Sample, why: str) -> Decision | None:
        """Decide what follows when the hypervisor refused the post-copy decided before.

        None: the move goes on, without post-copy from now on.
        """
        if self._ended is not Action.POST_COPY or sample.in_postcopy:
            return None
        self._ended = None
        self._rate.add(sample.rate)
        self._policy = self._policy.replace(post_copy="never")
        words = f"post-copy was refused: {why}"
        last = deadline.last(self._budget)
        if self._policy.allow_paused and not sample.paused and self._in_time(sample, last):
            return self._decide(Action.PAUSE, words, sample)
        return self._abort(words, sample) if self._past(self._budget, sample) else None

    def change(self, policy: objects.MigrationPolicy, iteration: int) -> list[Decision]:
        """Go on by another policy, as an operator asked; another downtime holds at once."""
        before = self._policy
        self._policy = policy
        self._stall.look_back(policy.stall_window)
        self._budget = deadline.budget(policy, *self._size)
        if (before.downtime_ms, before.ladder) == (policy.downtime_ms, policy.ladder):
            return []
        rungs = policy.ladder if before.downtime_ms == policy.downtime_ms else []
        was = self._ladder.downtime
        self._ladder = ladder.Ladder(rungs, policy.downtime_ms)
        self._ladder.climb(iteration)
        now = self._ladder.downtime
        if now == was or self._ended:
            return []
        words = f"an operator changed the policy: {now} ms from now on"
        return [Decision(Action.SET_DOWNTIME, words, {"downtime_ms": now}, now)]

    def _climb(self, sample: Sample) -> list[Decision]:
        value = self._ladder.climb(sample.iteration)
        if value is None:
            return []
        words = f"iteration {sample.iteration} allows {value} ms"
        return [Decision(Action.SET_DOWNTIME, words, self._inputs(sample), value)]

    def _stalled(self, sample: Sample) -> list[Decision]:
        """Decide at the beginning of an iteration that is no smaller than those long before."""
        value = self._ladder.jump()
        if value is not None:
            words = f"no progress in {self._policy.stall_window} s: the most allowed, {value} ms"
            return [Decision(Action.SET_DOWNTIME, words, self._inputs(sample), value)]
        if self._policy.post_copy != "on-stall" or self._no_postcopy(sample) or sample.paused:
            return []
        if not self._stall.is_low() or self._near(sample):
            return []
        if not self._in_time(sample, self._budget):
            return []
        words = (
            f"no progress in {self._policy.stall_window} s, and {sample.remaining / MIB:.0f} MiB "
            "is as little as was left lately"
        )
        return [self._decide(Action.POST_COPY, words, sample)]

    def _near(self, sample: Sample) -> bool:
        """Whether pre-copy may still end by luck, and it is early enough to hope so."""
        need = deadline.projected(sample.remaining, self._rate.value)
        close = need is not None and 1000 * need <= NEAR * self._policy.downtime_ms
        return close and self._stall.patient(sample.elapsed)

    def _overdue(self, sample: Sample) -> list[Decision]:
        if not self._past(self._budget, sample):
            return []
        if self._past(deadline.last(self._budget), sample):
            return [self._abort(f"not over after {sample.elapsed:.0f} s, the last moment", sample)]
        if self._pushed:
            return []
        words = f"not finished within {self._budget:.0f} s"
        if self._policy.on_timeout == "abort":
            return [self._abort(words, sample)]
        if sample.paused:  # nothing is written any more: it ends, or the last moment comes
            return []
        return [self._push(words, sample)]

    def _push(self, words: str, sample: Sample) -> Decision:
        """Make an overdue move end: by post-copy, by standing still, or not at all."""
        if not self._in_time(sample, deadline.last(self._budget)):
            return self._abort(f"{words}, and not to be ended in as long again", sample)
        if self._policy.on_timeout == "post-copy":
            refusal = self._no_postcopy(sample)
            if refusal is None:
                return self._decide(Action.POST_COPY, words, sample)
            words = f"{words}; {refusal}"
        if not self._policy.allow_paused:
            return self._abort(f"{words}; the guest may not stand still", sample)
        return self._decide(Action.PAUSE, words, sample)

    def _no_postcopy(self, sample: Sample) -> str | None:
        """Why post-copy cannot be, or None."""
        if self._policy.post_copy == "never":
            return "the policy does not allow post-copy"
        if sample.iteration < 1:
            return "post-copy cannot begin before memory is copied"
        return None

    def _in_time(self, sample: Sample, limit: float | None) -> bool:
        """Whether the rest, with nothing more written before the switch, is over by then."""
        if limit is None:
            return self._rate.value > 0
        need = deadline.projected(self._left(sample), self._rate.value)
        return need is not None and sample.elapsed + need <= limit

    def _left(self, sample: Sample) -> int:
        began = self._stall.last.at if self._stall.last else None
        return deadline.left(sample, began, self._size[0])

    def _past(self, limit: float | None, sample: Sample) -> bool:
        return limit is not None and sample.elapsed > limit

    def _abort(self, words: str, sample: Sample) -> Decision:
        return self._decide(Action.ABORT, words, sample)

    def _decide(self, action: Action, words: str, sample: Sample) -> Decision:
        if action is Action.PAUSE:
            self._pushed = True
        else:
            self._ended = action
        return Decision(action, words, self._inputs(sample))

    def _inputs(self, sample: Sample) -> dict[str, int | float]:
        """Give the numbers behind a decision; what is unknown or does not apply is left out."""
        left = self._left(sample)
        need = deadline.projected(left, self._rate.value)
        numbers: dict[str, int | float | None] = {
            "elapsed_s": round(sample.elapsed, 3),
            "iteration": sample.iteration,
            "remaining": sample.remaining,
            "left": left,
            "rate": round(self._rate.value),
            "dirty_rate": sample.dirty_rate,
            "downtime_ms": self._ladder.downtime,
            "projected_s": None if need is None else round(need, 3),
            "budget_s": self._budget,
            "best_before": self._stall.best(sample.elapsed),
            "stalled_since_s": self._stall.since,
        }
        return {name: number for name, number in numbers.items() if number is not None}
