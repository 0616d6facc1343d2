"""Steers one running job by its policy: what the engine decides is done, logged and journaled."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

from common import errors
from common import migration_policy
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
# What a driver raises whose hypervisor does not take an order now.
REFUSALS = (errors.WrongState, errors.HypervisorError, errors.GuestNotFound)
REFUSED = "refused"  # how an order that was not taken is journaled


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
        terms = deps.threads.native(
            deps.driver.terms, instance, migration.data, _policy(deps, instance, migration)
        )
        if terms.refusal:
            raise errors.CheckFailed(terms.refusal)
        for note in terms.notes:
            LOG.info("migration %s: %s", migration.uuid, note)
        self.policy = terms.policy
        self.given_up: str | None = None  # why the job was aborted
        self._limit_due = False  # libvirt sets the limit anew when memory begins
        self._stands_still = instance.vm_state == states.Vm.PAUSED
        self._engine = engine.Engine(
            terms.policy,
            instance.flavor.memory_mb * MIB,
            sum(disk.allocated_bytes for disk in disks),
        )

    def begin(self) -> None:
        """Note with what downtime the job is about to start."""
        first = self._engine.begin()
        self._note(first.action, first.reason, first.inputs)

    def observe(self, progress: objects.MigrationProgress, elapsed: float) -> None:
        """Take a look at the job in, and do what follows from it."""
        self._last = Sample(
            elapsed=elapsed,
            iteration=progress.iteration,
            remaining=progress.memory_remaining,
            total=progress.memory_total,
            rate=progress.rate,
            dirty_rate=progress.dirty_rate,
            disk_remaining=progress.disk_remaining,
            in_postcopy=progress.post_copy,
            paused=self._stands_still,
        )
        if self._limit_due and progress.iteration >= 1:
            self._limit_again()
        for decision in self._engine.observe(self._last):
            self.do(decision)

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

        What these hosts could not combine stays left out.
        """
        if policy.bandwidth != self.policy.bandwidth:
            self._limit(policy.bandwidth)
        changed = {name: getattr(policy, name) for name in migration_policy.CHANGEABLE}
        self.policy = self.policy.replace(**changed)
        iteration = self._last.iteration if self._last else 0
        for decision in self._engine.change(self.policy, iteration):
            self.do(decision)

    def apply(self) -> None:
        """Tell a job that stood still what the policy has become meanwhile."""
        self._native(self._deps.driver.set_bandwidth, self.policy.bandwidth)

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

    def _lift(self) -> None:
        """Let a job that has a limit of bandwidth go as fast as it can."""
        if not self.policy.bandwidth:
            return
        with contextlib.suppress(errors.WrongState, errors.HypervisorError):
            self._limit(0)
            self.policy = self.policy.replace(bandwidth=0)

    def _limit(self, mib: int) -> None:
        """Limit the bandwidth, of the memory that is still to begin, too."""
        self._native(self._deps.driver.set_bandwidth, mib)
        self._limit_due = self._last is None or self._last.iteration < 1

    def _limit_again(self) -> None:
        """Repeat a limit that was given while disks were copied."""
        with contextlib.suppress(errors.WrongState, errors.HypervisorError):
            self._limit(int(self.policy.bandwidth))

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


def _policy(
    deps: Deps, instance: objects.Instance, migration: objects.Migration
) -> objects.MigrationPolicy:
    """Give the policy of a move; one that was begun before there were any gets the default."""
    if migration.policy is not None:
        return migration.policy
    site = migration_policy.defaults(deps.conf)
    return migration_policy.resolve(site, instance.flavor.extra_specs, {})
