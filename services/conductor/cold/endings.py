"""How a cold move ends: row, server and allocations agree, in one transaction each."""

from __future__ import annotations

import datetime
import logging
from typing import Any
from typing import TYPE_CHECKING

from common import errors
from common import reasons
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import failures
from services.conductor import liveness
from services.conductor import lost
from services.conductor import moves as moving
from services.conductor import placement
from services.conductor import servers as stationary
from services.conductor.cold import confirming
from services.conductor.cold import steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from common import objects
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

# Between the reason why a move is undone and what holds that up now.
MEANWHILE = " - waits for "


def finished(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    told: objects.StepReport,
    values: dict[str, Any],
) -> objects.Migration:
    """The guest is at its destination: the server is resized, until somebody decides."""
    destination = liveness.node(deps, tx, str(migration.destination))
    failures.forget(tx, destination.host)
    instance = servers.get(tx, migration.instance_uuid)
    servers.change(
        tx,
        instance.uuid,
        expect={"generation": instance.generation},
        host=destination.host,
        flavor=steps.cold(migration).new_flavor,
        vm_state=states.Vm.RESIZED,
        task_state=None,
        progress=0,
        **placement.arrived(instance, destination.availability_zone),
        **_seen(told),
    )
    journal.finish(tx, migration.request_id, instance.uuid, deps.clock.now())
    return _close(
        tx,
        migration,
        states.Move.FINISHED,
        **WELL,
        confirm_at=_confirm_at(deps, migration),
        progress=_all(migration.progress),
        **values,
    )


def _confirm_at(deps: Deps, migration: objects.Migration) -> datetime.datetime | None:
    """Say when the move confirms itself; at once is written too: who is to do it may die."""
    cold, window = steps.cold(migration), deps.conf.conductor.resize_confirm_window
    if cold.auto_confirm or cold.then_delete:
        return deps.clock.now()
    return deps.clock.now() + datetime.timedelta(seconds=window) if window else None


def confirmed(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    told: objects.StepReport,
    values: dict[str, Any],
) -> objects.Migration:
    """Nothing is kept at the source any more."""
    del told
    _lock(tx, migration)
    claims.release(tx, migration.uuid)
    _settle(deps, tx, migration, None)
    return _close(tx, migration, states.Move.CONFIRMED, **WELL, **values)


def reverted(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    told: objects.StepReport,
    values: dict[str, Any],
) -> objects.Migration:
    """The guest is where it was, as it was."""
    _give_back(tx, migration)
    source = liveness.node(deps, tx, migration.source)
    instance = servers.get(tx, migration.instance_uuid, deleted=True)
    _settle(
        deps,
        tx,
        migration,
        None,
        host=source.host,
        **placement.arrived(instance, source.availability_zone),
        flavor=steps.cold(migration).old_flavor,
        **_seen(told),
    )
    return _close(tx, migration, states.Move.REVERTED, **WELL, **values)


def undone(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    told: objects.StepReport,
    values: dict[str, Any],
) -> objects.Migration:
    """The guest never left; the row says why."""
    return _fail(deps, tx, migration, told, **values)


def next_host(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    told: objects.StepReport,
    values: dict[str, Any],
) -> objects.Migration:
    """The destination will not do, and nothing was touched: another one is looked for.

    It has refused, or its source has found no way to it and it has tidied up.
    """
    _lock(tx, migration)
    claims.release(tx, migration.instance_uuid)
    code = migration.error_code or told.error_code
    why = cause(migration) if migration.error_code else told.error_message
    if code == errors.MoveAborted.code:
        return _fail(deps, tx, migration, told, **values)
    refusal = {told.host: reasons.one(str(code), str(why))}
    tried = reasons.merge(migration.reasons or {}, refusal)
    if migration.requested_host is not None:
        migration = migration.replace(reasons=tried)
        return _fail(deps, tx, migration, told, reasons=tried, **values)
    failures.count(deps, tx, told.host, code)
    LOG.info("migration %s: not %s: %s", migration.uuid, told.host, why)
    return moves.advance(
        tx,
        migration,
        renumber=True,
        status=states.Move.PRE_MIGRATING,
        **WELL,
        stage=None,
        destination=None,
        reasons=tried,
        owner=deps.owner,
        lease_until=moving.lease(deps),
    )


def _all(last: objects.MigrationProgress | None) -> objects.MigrationProgress | None:
    """Give the last progress of a copy that is whole."""
    if last is None:
        return None
    return last.replace(percent=100, disk_processed=last.disk_total, disk_remaining=0, eta_ms=0)


def cause(migration: objects.Migration) -> str:
    """Give why the move is undone, without what held that up."""
    return (migration.error_message or "").partition(MEANWHILE)[0]


def require_unplaced(read: objects.Migration, now: objects.Migration) -> None:
    """Raise StaleWrite unless the move still looks for a host, and none else does so for it."""
    if (now.stage, now.generation) != (None, read.generation) or now.status in states.TERMINAL:
        raise errors.StaleWrite(
            f"migration {now.uuid} is {now.status} at {now.stage or 'no step'} by now: "
            "somebody else looks for its host, or has found one",
            status=now.status,
        )


def fail(
    deps: Deps, migration: objects.Migration, error: errors.Error, step: str, host: str
) -> None:
    """End a move that has no destination; nothing of the guest was touched.

    The row is held: what its users have asked for since it was read counts.
    """
    with deps.database.write() as tx:
        now = moves.hold(tx, migration.uuid)
        require_unplaced(migration, now)
        _give_back(tx, now)
        error = stopped(now) or error
        told = reasons.read(error.facts) or now.reasons
        _settle(deps, tx, now, error.message, **_fault(deps, error.code, error.message, told))
        after = moves.advance(
            tx,
            migration,
            status=_undone(error.code),
            stage=None,
            error_code=error.code,
            error_message=error.message,
            failed_step=step,
            failed_host=host,
            reasons=told,
        )
    LOG.warning("migration %s: %s: %s", migration.uuid, after.status, error)
    follow_up(deps, after)


def stopped(migration: objects.Migration) -> errors.MoveAborted | None:
    """Give why a move that has no destination is not to get one: nobody wants it any more."""
    if migration.error_code == errors.MoveAborted.code:
        return errors.MoveAborted(str(migration.error_message))
    if steps.cold(migration).then_delete:
        return errors.MoveAborted("aborted: the server is deleted")
    return None


def follow_up(deps: Deps, migration: objects.Migration) -> None:
    """Begin what was asked to come after the end: confirm by itself, or delete.

    It is written with the end: what cannot begin now, or is not begun by a
    conductor that dies, begins at a later tick.
    """
    cold = steps.cold(migration)
    try:
        if migration.status == states.Move.FINISHED:
            if cold.auto_confirm or cold.then_delete:
                confirming.by_itself(deps, migration)
            return
        if cold.then_delete:
            lost.again(deps, _server(deps, migration))
    except errors.NotFound:
        LOG.info("migration %s: its server is gone already", migration.uuid)
    except errors.Error as trouble:
        LOG.warning("migration %s: what follows it must wait: %s", migration.uuid, trouble)


def _server(deps: Deps, migration: objects.Migration) -> objects.Instance:
    with deps.database.read() as tx:
        return servers.get(tx, migration.instance_uuid)


def _fail(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    told: objects.StepReport,
    **values: Any,  # noqa: ANN401 - columns
) -> objects.Migration:
    code = str(values.get("error_code") or migration.error_code)
    message = str(values.setdefault("error_message", cause(migration)))
    _give_back(tx, migration)
    failures.count(deps, tx, values.get("failed_host") or migration.failed_host, code)
    seen = _seen(told) if told.step == "restore_instance" else {}
    _settle(deps, tx, migration, message, **seen, **_fault(deps, code, message, migration.reasons))
    return _close(tx, migration, _undone(code), **values)


def _undone(code: str) -> states.Move:
    aborted = code == errors.MoveAborted.code
    return states.Move.CANCELLED if aborted else states.Move.FAILED


def _fault(deps: Deps, code: str, message: str, told: reasons.Reasons | None) -> dict[str, Any]:
    """Tell at the server why its move failed; an abort is no fault."""
    if code == errors.MoveAborted.code:
        return {}
    return {
        "fault_code": code,
        "fault_message": message,
        "fault_at": deps.clock.now(),
        "fault_reasons": told,
    }


def _give_back(tx: Tx, migration: objects.Migration) -> None:
    """Give the destination's room back, and the source's to the server again."""
    _lock(tx, migration)
    claims.release(tx, migration.instance_uuid)
    claims.transfer(tx, migration.source, migration.uuid, migration.instance_uuid)


def _lock(tx: Tx, migration: objects.Migration) -> None:
    """Take the claims of both hosts, and of one that was just chosen, in everybody's order."""
    chosen = claims.held(tx, migration.instance_uuid)
    claims.lock(tx, [migration.source, migration.destination or migration.source, *chosen])


def _settle(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    said: str | None,
    /,
    **changes: Any,  # noqa: ANN401 - columns
) -> None:
    """Give the server, unless it was deleted meanwhile, the state that its guest has.

    One that was to be deleted at the end is being deleted from here on.
    `said` is what went wrong, for whoever asked; a move that ended well says
    nothing, whatever it waited for.
    """
    instance = servers.get(tx, migration.instance_uuid, deleted=True)
    if instance.vm_state != states.Vm.DELETED:
        power = int(changes.get("power_state", instance.power_state))
        cold = steps.cold(migration)
        state = stationary.OBSERVED.get(states.Power(power), states.Vm(cold.was))
        task = states.Task.DELETING if cold.then_delete else None
        changes |= {"vm_state": state, "task_state": task, "progress": 0}
        servers.change(tx, instance.uuid, expect={"generation": instance.generation}, **changes)
    for asked in journal.actions(tx, instance.uuid):
        if asked.finished_at is None and asked.action in ACTIONS:
            journal.finish(tx, asked.request_id, instance.uuid, deps.clock.now(), said)


def _close(
    tx: Tx,
    migration: objects.Migration,
    status: states.Move,
    **values: Any,  # noqa: ANN401 - columns
) -> objects.Migration:
    return moves.advance(
        tx,
        migration,
        status=status,
        stage=None,
        owner=None,
        lease_until=None,
        **values,
    )


def _seen(told: objects.StepReport) -> dict[str, Any]:
    """Give what the host saw of the guest after the step."""
    seen = {"power_state": told.power_state, "run_token": told.run_token}
    return {name: value for name, value in seen.items() if value is not None}


# A move that ended well has no error, whatever it met on its way.
WELL: dict[str, Any] = dict.fromkeys(("error_code", "error_message", "failed_step", "failed_host"))
ACTIONS = frozenset({"migrate", "resize", "confirmResize", "revertResize"})

END: dict[
    steps.End,
    Callable[[Deps, Tx, objects.Migration, objects.StepReport, dict[str, Any]], objects.Migration],
] = {
    steps.End.FINISHED: finished,
    steps.End.CONFIRMED: confirmed,
    steps.End.REVERTED: reverted,
    steps.End.UNDONE: undone,
    steps.End.NEXT_HOST: next_host,
}
