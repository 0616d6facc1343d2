"""Servers that stay where they are: the operations of states.OPERATIONS, begun and ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import ids
from common import objects
from common import reasons
from common import states
from common.db import claims
from common.db import journal
from common.db import servers
from services.conductor import deletion
from services.conductor import failures
from services.conductor import placement
from services.conductor import refusals

if TYPE_CHECKING:
    from common.context import Context
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

BUILD = "build"
# What a server is after an operation that failed half-way, by what its host sees.
OBSERVED = {
    states.Power.RUNNING: states.Vm.ACTIVE,
    states.Power.PAUSED: states.Vm.PAUSED,
    states.Power.SHUTDOWN: states.Vm.STOPPED,
}
# Starting afresh gives a new run token: two runs of one guest can be told apart.
FRESH_RUN = frozenset({"start", "reboot_hard"})


def operate(deps: Deps, context: Context, server: str, operation: str) -> None:
    """Begin an operation: the task is set before this returns."""
    row = states.OPERATIONS.get(operation)
    if row is None:
        raise errors.Invalid(f"no operation is named {operation}")
    with deps.database.write() as tx:
        before = servers.get(tx, server)
        refusals.check(before, operation, row)
        if operation != "delete":
            refusals.settled(tx, before, operation)
        reachable = refusals.reachable(deps, tx, before, operation)
        after = servers.change(
            tx,
            server,
            expect={"vm_state": before.vm_state, "task_state": before.task_state},
            task_state=row.during,
        )
        journal.start(tx, action(deps, context, server, operation))
    if not reachable:
        settle(deps, context, after, operation, states.Power.NOSTATE)
        return
    _send(deps, context, before, after, operation)


def order(deps: Deps, context: Context, instance: objects.Instance, operation: str) -> None:
    """Tell the server's host to do it; the order may be repeated word for word."""
    if operation in FRESH_RUN:
        instance = instance.replace(run_token=_next_run(instance))
    deps.compute(str(instance.host)).operate(context, instance, operation)


def ended(  # noqa: PLR0913, PLR0917 - one report
    deps: Deps,
    context: Context,
    server: str,
    host: str,
    operation: str,
    generation: int,
    error: errors.Error | None,
    power: int,
) -> None:
    """Take a host's report of an operation; one that is late or repeated changes nothing."""
    with deps.database.read() as tx:
        instance = servers.get(tx, server, deleted=True)
    task = states.Task.SPAWNING if operation == BUILD else states.OPERATIONS[operation].during
    if instance.generation != generation or instance.task_state != task:
        LOG.info("server %s: a late report of %s is ignored", server, operation)
        if operation == BUILD and error is None:
            deletion.take_back(deps, context, instance, host)
        return
    if error is None:
        settle(deps, context, instance, operation, power)
        return
    fail(deps, context, instance, operation, error, power)


def _next_run(instance: objects.Instance) -> str:
    """Give the token of the run that this generation begins; recorded when it has begun."""
    return ids.derive(instance.uuid, instance.generation)


def settle(
    deps: Deps, context: Context, instance: objects.Instance, operation: str, power: int
) -> None:
    """Write that the operation succeeded."""
    then = states.Vm.ACTIVE if operation == BUILD else states.OPERATIONS[operation].then
    now = deps.clock.now()
    changes: dict[str, object] = {"vm_state": then, "task_state": None, "power_state": power}
    if operation == BUILD:
        changes |= {"launched_at": now, **placement.landed(deps.conf, instance)}
        changes["fault_reasons"] = None
    if operation in FRESH_RUN:
        changes["run_token"] = _next_run(instance)
    elsewhere: set[str] = set()
    with deps.database.write() as tx:
        if then == states.Vm.DELETED:
            changes["terminated_at"] = now
            elsewhere = deletion.release(tx, instance)
            deletion.finish_all(deps, tx, instance.uuid)
        if operation == BUILD:
            failures.forget(tx, str(instance.host))
        after = servers.change(
            tx, instance.uuid, expect={"generation": instance.generation}, **changes
        )
        journal.finish(tx, context.request_id, instance.uuid, now)
    LOG.info("server %s: %s is done, it is %s", instance.uuid, operation, then)
    for host in sorted(elsewhere):
        deletion.remove(deps, context, after, host)


def action(deps: Deps, context: Context, server: str, name: str) -> objects.InstanceAction:
    """Make the record of what was asked, begun now."""
    return objects.InstanceAction(
        request_id=context.request_id,
        instance_uuid=server,
        action=name,
        user_id=context.user_id or "",
        project_id=context.project_id or "",
        started_at=deps.clock.now(),
    )


def fail(
    deps: Deps,
    context: Context,
    instance: objects.Instance,
    operation: str,
    error: errors.Error,
    power: int,
) -> None:
    """Write that an operation failed; a guest that has run is never marked error.

    A build that failed has left nothing on its host, and holds nothing there.
    """
    now = deps.clock.now()
    changes: dict[str, object] = {
        "task_state": None,
        "power_state": power,
        "fault_code": error.code,
        "fault_message": error.message,
        "fault_at": now,
    }
    if operation == BUILD:
        changes["vm_state"] = states.Vm.ERROR
        changes["fault_reasons"] = reasons.read(error.facts) or instance.fault_reasons
    elif power in OBSERVED:
        changes["vm_state"] = OBSERVED[states.Power(power)]
    with deps.database.write() as tx:
        if operation == BUILD:
            claims.release(tx, instance.uuid)
        servers.change(tx, instance.uuid, expect={"generation": instance.generation}, **changes)
        journal.finish(tx, context.request_id, instance.uuid, now, error.message)
    LOG.warning("server %s: %s failed: %s", instance.uuid, operation, error)


def _send(
    deps: Deps,
    context: Context,
    before: objects.Instance,
    after: objects.Instance,
    operation: str,
) -> None:
    """Tell the host; when nobody is there to be told the server gets its old task back.

    A broker that goes away in this moment may have passed the order on. The task
    stays then, and what nobody reports on within a lease is ordered again.
    """
    try:
        order(deps, context, after, operation)
    except errors.BusDown as unsure:
        LOG.warning("server %s: %s may have to be ordered again: %s", after.uuid, operation, unsure)
    except errors.Unavailable as nobody:
        with deps.database.write() as tx:
            servers.change(
                tx,
                after.uuid,
                expect={"generation": after.generation},
                task_state=before.task_state,
            )
            journal.finish(tx, context.request_id, after.uuid, deps.clock.now(), nobody.message)
        raise
