"""Steers one running job by its policy: what the engine decides is done, logged and journaled."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

import tenacity

from common import errors
from common import migration_policy
from common import policy_fields
from common import states
from services.compute.convergence import engine
from services.compute.convergence.sample import Action
from services.compute.convergence.sample import Decision
from services.compute.convergence.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from common import objects
    from services.compute.deps import Deps
    from services.compute.journal import Journal

LOG = logging.getLogger(__name__)

MIB = 1 << 20
MS = 1000
RELEASE = 15  # seconds for which a hypervisor that is away is asked to let a guest go on
# What a driver raises whose hypervisor does not take an order now.
REFUSALS = (errors.WrongState, errors.HypervisorError, errors.GuestNotFound)
# How what is no decision of the engine is journaled.
REFUSED = "refused"
LEFT_OUT = "left-out"
BANDWIDTH = "set-bandwidth"


class Steering:
    """The policy at work on one move."""

    def __init__(
        self,
        deps: Deps,
        instance: objects.Instance,
        migration: objects.Migration,
        journal: Journal,
    ) -> None:
        """Begin with the policy of the move, as far as the hypervisors can follow it."""
        self._deps = deps
        self._instance = instance
        self._uuid = migration.uuid
        self._journal = journal
        self._last: Sample | None = None
        disks = migration.data.disks if migration.data and migration.data.block_migration else []
        wanted = _policy(deps, instance, migration)
        terms = deps.threads.native(deps.driver.terms, instance, migration.data, wanted)
        if terms.refusal:
            raise errors.CheckFailed(terms.refusal)
        self._left_out = (terms.notes, _changes(wanted, terms.policy))
        self.policy = terms.policy
        self.recovers = terms.recovers
        self.given_up: str | None = None  # why the job was aborted
        self._lifted = False  # the job has no limit of bandwidth, whatever the policy says
        self._before = 0.0  # seconds for which earlier processes have steered
        # libvirt sets the limit anew when memory begins: the second from which it is given again.
        self._limit_due: float | None = None
        self._stands_still = instance.vm_state == states.Vm.PAUSED
        self._engine = engine.Engine(
            terms.policy,
            instance.flavor.memory_mb * MIB,
            sum(disk.allocated_bytes for disk in disks),
        )

    def begin(self) -> None:
        """Note what was left out of the policy, and with what downtime the job will start."""
        notes, inputs = self._left_out
        if notes:
            self._note(LEFT_OUT, "; ".join(notes), inputs)
        first = self._engine.begin()
        self._note(first.action, first.reason, first.inputs)

    def resume(self, elapsed: float) -> None:
        """Go on with a job that an earlier process began, so many seconds ago.

        A guest that stands still, and not because of its user, was made to for
        the move: its limit of bandwidth is lifted.
        """
        self._before = elapsed
        if not self._stands_still and paused(self._deps, self._instance):
            self._stands_still = self._lifted = True
            self._engine.resume()

    def observe(self, progress: objects.MigrationProgress, elapsed: float) -> None:
        """Take a look at the job in, and do what follows from it."""
        self._last = Sample(
            elapsed=max(self._before + elapsed, progress.elapsed_ms / MS),
            iteration=progress.iteration,
            remaining=progress.memory_remaining,
            total=progress.memory_total,
            rate=progress.rate,
            dirty_rate=progress.dirty_rate,
            disk_remaining=progress.disk_remaining,
            in_postcopy=progress.post_copy,
            paused=self._stands_still,
        )
        if progress.iteration >= 1:
            self._limit_again(self._last.elapsed)
        for decision in self._engine.observe(self._last):
            self.do(decision)

    @property
    def copies(self) -> bool:
        """Whether the job has been seen at work."""
        return self._last is not None

    def force(self) -> None:
        """Make the move end, as an operator asked.

        WrongState when there is nothing to force, or what the hypervisor said
        when it did not take the order: then it may be asked for again.
        """
        if self._last is None:
            raise errors.WrongState(
                f"migration {self._uuid} copies nothing yet; try again in a second"
            )
        refusal = self.do(self._engine.force(self._last))
        if refusal is not None:
            raise refusal

    def change(self, policy: objects.MigrationPolicy) -> None:
        """Go on by another policy: its downtime and bandwidth hold at once.

        What these hosts could not combine stays left out. WrongState or
        HypervisorError when the bandwidth was not taken: nothing has changed then.
        """
        if policy.bandwidth != self.policy.bandwidth:
            self._limit("an operator changed the bandwidth", policy.bandwidth)
            self._lifted = False
        changed = {name: getattr(policy, name) for name in migration_policy.CHANGEABLE}
        self.policy = self.policy.replace(**changed)
        iteration = self._last.iteration if self._last else 0
        for decision in self._engine.change(self.policy, iteration):
            self.do(decision)

    def apply(self) -> None:
        """Tell a job that stood still what the policy has become meanwhile."""
        with contextlib.suppress(*REFUSALS):
            self._limit("the move goes on", self._bandwidth)

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(errors.HypervisorError),
        wait=tenacity.wait_exponential(multiplier=0.5, max=5),
        stop=tenacity.stop_after_delay(RELEASE),
        before_sleep=tenacity.before_sleep_log(LOG, logging.WARNING),
        reraise=True,
    )
    def release(self) -> None:
        """Let a guest that was made to stand still for its move go on here, where it stayed."""
        if self._instance.vm_state == states.Vm.ACTIVE and paused(self._deps, self._instance):
            self._deps.threads.native(self._deps.driver.unpause, self._instance)

    def do(self, decision: Decision) -> errors.Error | None:
        """Do what was decided, or else what follows from that; gives why nothing was done.

        Whatever the hypervisor says to an order, its job goes on, and so do we.
        """
        self._note(decision.action, decision.reason, decision.inputs)
        try:
            ACTIONS[decision.action](self, decision)
        except REFUSALS as refusal:
            return self._refused(decision, refusal)
        return None

    def _note(self, action: str, reason: str, inputs: Mapping[str, object]) -> None:
        LOG.info("migration %s: %s: %s %s", self._uuid, action, reason, json.dumps(inputs))
        self._deps.reporter.note(self._journal.decided(action, reason, inputs))

    def _refused(self, decision: Decision, refusal: errors.Error) -> errors.Error | None:
        """Say that an order was not taken, and do what the engine makes of it."""
        words = f"{decision.action} was not done: {refusal.message}"
        self._note(REFUSED, words, decision.inputs)
        if decision.action is not Action.POST_COPY or self._last is None:
            self._engine.failed(decision, self._last.elapsed if self._last else 0.0)
            return refusal
        instead = self._engine.refused(self._last, refusal.message)
        return self.do(instead) if instead is not None else refusal

    def _native(self, act: Callable[..., None], *values: int) -> None:
        self._deps.threads.native(act, self._instance.uuid, *values)

    def set_downtime(self, decision: Decision) -> None:
        """Allow the guest to stand still for so long."""
        self._native(self._deps.driver.set_downtime, decision.value or 0)

    def post_copy(self, _decision: Decision) -> None:
        """Let the guest run at the destination now."""
        self._native(self._deps.driver.post_copy)

    def pause(self, _decision: Decision) -> None:
        """Keep the guest from writing, until it has arrived: soon, so at full speed."""
        self._lift()
        self._deps.threads.native(self._deps.driver.pause, self._instance)
        self._stands_still = True

    @property
    def _bandwidth(self) -> int:
        return 0 if self._lifted else int(self.policy.bandwidth)

    def _lift(self) -> None:
        """Let a job that has a limit of bandwidth go as fast as it can."""
        if not self._bandwidth:
            return
        with contextlib.suppress(*REFUSALS):
            self._limit("the guest is to stand still", 0)
            self._lifted = True

    def _limit(self, why: str, mib: int) -> None:
        """Limit the bandwidth, of the memory that is still to begin, too."""
        words = f"{why}: {f'{mib} MiB/s' if mib else 'no limit'} from now on"
        inputs = {"bandwidth": mib, "before": self._bandwidth}
        self._note(BANDWIDTH, words, inputs)
        try:
            self._native(self._deps.driver.set_bandwidth, mib)
        except REFUSALS as refusal:
            self._note(REFUSED, f"{BANDWIDTH} was not done: {refusal.message}", inputs)
            raise
        early = self._last is None or self._last.iteration < 1
        self._limit_due = 0.0 if early else None

    def _limit_again(self, now: float) -> None:
        """Repeat a limit that was given while disks were copied."""
        if self._limit_due is None or now < self._limit_due:
            return
        self._limit_due = now + engine.AGAIN
        with contextlib.suppress(*REFUSALS):
            self._limit("memory begins", self._bandwidth)

    def abort(self, decision: Decision) -> None:
        """Give the move up; from now on the order is repeated until the job has ended."""
        self.given_up = decision.reason
        self._native(self._deps.driver.abort)


ACTIONS: dict[Action, Callable[[Steering, Decision], None]] = {
    Action.SET_DOWNTIME: Steering.set_downtime,
    Action.POST_COPY: Steering.post_copy,
    Action.PAUSE: Steering.pause,
    Action.ABORT: Steering.abort,
}


def paused(deps: Deps, instance: objects.Instance) -> bool:
    """Tell whether the guest stands still here."""
    guest = deps.threads.native(deps.driver.guest, instance.uuid)
    return guest is not None and guest.power == states.Power.PAUSED


def _policy(
    deps: Deps, instance: objects.Instance, migration: objects.Migration
) -> objects.MigrationPolicy:
    """Give the policy of a move; one that was begun before there were any gets the default."""
    if migration.policy is not None:
        return migration.policy
    site = migration_policy.defaults(deps.conf)
    return migration_policy.resolve(site, instance.flavor.extra_specs, {})


def _changes(wanted: objects.MigrationPolicy, agreed: objects.MigrationPolicy) -> dict[str, object]:
    """Give what was wanted of the policy and was left out."""
    both = ((name, getattr(wanted, name), getattr(agreed, name)) for name in policy_fields.FIELDS)
    return {name: was for name, was, now in both if was != now}
