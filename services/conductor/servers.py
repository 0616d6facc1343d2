"""Servers that stay where they are: create, and the operations of states.OPERATIONS."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import ids
from common import objects
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from common.db import networks
from common.db import servers
from services.conductor import liveness

if TYPE_CHECKING:
    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

BUILD = "build"
# What a server is after an operation that failed half-way, by what its host sees.
OBSERVED = {
    states.Power.RUNNING: states.Vm.ACTIVE,
    states.Power.PAUSED: states.Vm.PAUSED,
    states.Power.SHUTDOWN: states.Vm.STOPPED,
}
# Work on a server that its delete need not wait for; a move is aborted first.
INTERRUPTED = frozenset({states.Task.SPAWNING, *(row.during for row in states.OPERATIONS.values())})
# What a build that was given up may be when its guest turns up after all.
GIVEN_UP = frozenset({states.Vm.ERROR, states.Vm.DELETED})
# Starting afresh gives a new run token: two runs of one guest can be told apart.
FRESH_RUN = frozenset({"start", "reboot_hard"})


def create(deps: Deps, context: Context, request: objects.NewServer) -> objects.Instance:
    """Write the server as building; place() then looks for its host."""
    if request.requested_host is not None:
        with deps.database.read() as tx:
            liveness.require(deps, tx, request.requested_host, "the host of a new server")
    with deps.database.write() as tx:
        instance = servers.create(tx, _new(deps, context, request))
        for network in request.networks:
            networks.allocate(tx, network, instance.uuid)
        instance = servers.get(tx, instance.uuid)
        journal.start(tx, action(deps, context, instance.uuid, "create"))
    LOG.info("server %s (%s) is accepted", instance.uuid, instance.name)
    return instance


def operate(deps: Deps, context: Context, server: str, operation: str) -> None:
    """Begin an operation: the task is set before this returns."""
    row = states.OPERATIONS.get(operation)
    if row is None:
        raise errors.Invalid(f"no operation is named {operation}")
    with deps.database.write() as tx:
        before = servers.get(tx, server)
        _check(before, operation, row)
        if operation != "delete":
            settled(tx, before, operation)
        reachable = _reachable(deps, tx, before, operation)
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
            _take_back(deps, context, instance, host)
        return
    if error is None:
        settle(deps, context, instance, operation, power)
        return
    _fail(deps, context, instance, operation, error, power)


def _take_back(deps: Deps, context: Context, instance: objects.Instance, host: str) -> None:
    """Have a guest removed that was built after its server was given up."""
    if instance.vm_state not in GIVEN_UP or instance.launched_at is not None:
        return
    LOG.warning("server %s: its guest on %s came too late and is removed", instance.uuid, host)
    _remove(deps, context, instance, host)


def _remove(deps: Deps, context: Context, instance: objects.Instance, host: str) -> None:
    """Have a host remove whatever it has of a server that is not there by any record."""
    try:
        deps.compute(host).operate(context, instance, "delete")
    except errors.Unavailable as away:
        LOG.error("server %s: look on %s for a leftover of it: %s", instance.uuid, host, away)  # noqa: TRY400 - the sentence says all


def _next_run(instance: objects.Instance) -> str:
    """Give the token of the run that this generation begins; recorded when it has begun."""
    return ids.derive(instance.uuid, instance.generation)


def orphaned(deps: Deps, context: Context, instance: objects.Instance) -> None:
    """End a server whose conductor is gone before it had a host."""
    gone = errors.NoAnswer(
        f"the conductor that looked for a host for server {instance.uuid} is gone; "
        "delete the server and create it again"
    )
    _fail(deps, context, instance, BUILD, gone, states.Power.NOSTATE)


def settle(
    deps: Deps, context: Context, instance: objects.Instance, operation: str, power: int
) -> None:
    """Write that the operation succeeded."""
    then = states.Vm.ACTIVE if operation == BUILD else states.OPERATIONS[operation].then
    now = deps.clock.now()
    changes: dict[str, object] = {"vm_state": then, "task_state": None, "power_state": power}
    if operation == BUILD:
        changes["launched_at"] = now
    if operation in FRESH_RUN:
        changes["run_token"] = _next_run(instance)
    elsewhere: set[str] = set()
    with deps.database.write() as tx:
        if then == states.Vm.DELETED:
            changes["terminated_at"] = now
            elsewhere = _release(tx, instance)
            _finish_all(deps, tx, instance.uuid)
        after = servers.change(
            tx, instance.uuid, expect={"generation": instance.generation}, **changes
        )
        journal.finish(tx, context.request_id, instance.uuid, now)
    LOG.info("server %s: %s is done, it is %s", instance.uuid, operation, then)
    for host in sorted(elsewhere):
        _remove(deps, context, after, host)


def _release(tx: Tx, instance: objects.Instance) -> set[str]:
    """Give back all that is held for the server, also by a move that nobody understood.

    Gives the other hosts of such moves: the guest may be there.
    """
    hosts: set[str] = set()
    claims.release(tx, instance.uuid)
    networks.release(tx, instance.uuid)
    for move in moves.unsettled(tx, instance.uuid):
        claims.release(tx, move.uuid)
        hosts |= {move.source, move.destination or move.source}
    return hosts - {instance.host}


def _finish_all(deps: Deps, tx: Tx, server: str) -> None:
    """End every action on a server that is gone: one end answers all who asked to delete it."""
    for asked in journal.actions(tx, server):
        if asked.finished_at is None:
            journal.finish(tx, asked.request_id, server, deps.clock.now())


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


def _new(deps: Deps, context: Context, request: objects.NewServer) -> objects.Instance:
    return objects.Instance(
        uuid=ids.new(),
        name=request.name,
        hostname=request.hostname or request.name,
        description=request.description,
        project_id=context.project_id or "",
        user_id=context.user_id or "",
        pinned_zone=request.availability_zone,
        availability_zone=request.availability_zone,
        task_state=states.Task.SPAWNING,
        flavor=request.flavor,
        image=request.image,
        kernel=request.kernel,
        ramdisk=request.ramdisk,
        metadata=request.metadata,
        run_token=ids.new(),
        created_at=deps.clock.now(),
    )


def place(
    deps: Deps, context: Context, instance: objects.Instance, requested_host: str | None
) -> None:
    """Find a host and have the guest built there; what fails ends in the row."""
    contexts.adopt(context)
    try:
        chosen = deps.scheduler.select_destinations(
            context,
            objects.RequestSpec(
                instance_uuid=instance.uuid,
                consumer=instance.uuid,
                flavor=instance.flavor,
                image=instance.image,
                availability_zone=instance.pinned_zone,
                requested_host=requested_host,
            ),
        )
        placed = _settle_on(deps, context, instance, chosen.host)
        deps.compute(chosen.host).build_server(context, placed)
    except errors.Error as error:
        _fail_build(deps, context, instance, error)
    except Exception as error:
        LOG.exception("server %s: looking for a host failed", instance.uuid)
        _fail_build(deps, context, instance, errors.RemoteError(f"unexpected: {error}"))


def _settle_on(
    deps: Deps, context: Context, instance: objects.Instance, host: str
) -> objects.Instance:
    with deps.database.write() as tx:
        zone = liveness.node(deps, tx, host).availability_zone
        placed = servers.change(
            tx,
            instance.uuid,
            expect={"generation": instance.generation},
            host=host,
            availability_zone=zone,
        )
        journal.begin_event(
            tx, context.request_id, instance.uuid, "compute_build_server", host, deps.clock.now()
        )
    return placed


def _fail_build(
    deps: Deps, context: Context, instance: objects.Instance, error: errors.Error
) -> None:
    """Write why there is no guest, unless the server was given up meanwhile."""
    with deps.database.write() as tx:
        now = servers.get(tx, instance.uuid, deleted=True)
        # A guest that runs after all keeps its room.
        if now.vm_state in GIVEN_UP:
            claims.release(tx, instance.uuid)
    if now.task_state == states.Task.SPAWNING:
        _fail(deps, context, now, BUILD, error, states.Power.NOSTATE)


def _fail(
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
    elif power in OBSERVED:
        changes["vm_state"] = OBSERVED[states.Power(power)]
    with deps.database.write() as tx:
        if operation == BUILD:
            claims.release(tx, instance.uuid)
        servers.change(tx, instance.uuid, expect={"generation": instance.generation}, **changes)
        journal.finish(tx, context.request_id, instance.uuid, now, error.message)
    LOG.warning("server %s: %s failed: %s", instance.uuid, operation, error)


def _check(instance: objects.Instance, operation: str, row: states.Operation) -> None:
    interrupts = operation == "delete" and instance.task_state in INTERRUPTED
    if instance.task_state is not None and not interrupts:
        raise wrong_state(instance, operation, "task_state", instance.task_state)
    never_ran = instance.launched_at is None and operation != "delete"
    if instance.vm_state not in row.allowed or never_ran:
        raise wrong_state(instance, operation, "vm_state", instance.vm_state)


def settled(tx: Tx, instance: objects.Instance, operation: str) -> None:
    """Refuse while nobody knows which host has the guest: the other may have it, too."""
    for move in moves.unsettled(tx, instance.uuid):
        raise errors.WrongState(
            f"Cannot '{operation}' instance {instance.uuid} while its migration {move.uuid} is "
            f"{move.status}: its guest is on {move.source} or {move.destination}; see to it: "
            f"whimbrel migration resolve {instance.uuid}"
        )


def wrong_state(
    instance: objects.Instance, operation: str, kind: str, state: str
) -> errors.WrongState:
    """Make the refusal that names the state in the way."""
    return errors.WrongState(
        f"Cannot '{operation}' instance {instance.uuid} while it is in {kind} {state}"
    )


def _reachable(deps: Deps, tx: Tx, instance: objects.Instance, operation: str) -> bool:
    """Tell whether there is a host to tell, or raise WrongState because it is down now.

    A host that an operator forced down is gone for good: its servers can be
    deleted without it.
    """
    if instance.host is None:
        return False
    try:
        liveness.require(deps, tx, instance.host, f"told to {operation} a server")
    except errors.HostUnsuitable as down:
        if operation == "delete" and liveness.given_up(deps, tx, instance.host):
            LOG.warning("server %s: deleted without its host: %s", instance.uuid, down)
            return False
        hint = "; when it never will be, force its service down" if operation == "delete" else ""
        raise errors.WrongState(
            f"Cannot '{operation}' instance {instance.uuid} now: {down}; "
            f"try again when the host is back{hint}"
        ) from down
    return True


def _send(
    deps: Deps,
    context: Context,
    before: objects.Instance,
    after: objects.Instance,
    operation: str,
) -> None:
    """Tell the host; when the broker is away the server gets its old task back."""
    try:
        order(deps, context, after, operation)
    except errors.Unavailable:
        with deps.database.write() as tx:
            servers.change(
                tx,
                after.uuid,
                expect={"generation": after.generation},
                task_state=before.task_state,
            )
            journal.finish(
                tx, context.request_id, after.uuid, deps.clock.now(), "the broker was away"
            )
        raise
