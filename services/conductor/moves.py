"""Live migrations as rows: begun, reported on, and settled in one transaction each."""

from __future__ import annotations

import contextlib
import datetime
import logging
from typing import Any
from typing import TYPE_CHECKING

from common import checks
from common import errors
from common import ids
from common import migration_policy
from common import objects
from common import reasons
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import checks as own
from services.conductor import failures
from services.conductor import liveness
from services.conductor import onward
from services.conductor import placement
from services.conductor import servers as stationary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

# A move is over for its server in one of two ways, or a person must look.
STAYS = frozenset({states.Move.FAILED, states.Move.CANCELLED})
# Ends that are told at the server; an abort is no fault.
FAULTY = frozenset({states.Move.FAILED, states.Move.ERROR})

FACTS = ("downtime_ms", "job_ms", "error_code", "error_message", "failed_step", "failed_host")


def lease(deps: Deps) -> datetime.datetime:
    """Give the time until which whoever takes a move now owns it."""
    return deps.clock.now() + datetime.timedelta(seconds=deps.conf.conductor.lease)


def begin(  # noqa: PLR0913 - all that a request says
    deps: Deps,
    context: Context,
    server: str,
    host: str | None,
    *,
    block_migration: bool | None,
    disk_over_commit: bool,
    policy: dict[str, str],
    zone: str | None,
) -> tuple[objects.Instance, objects.Migration]:
    """Take the server for a move: task, row and the source's claim, all at once."""
    with deps.database.write() as tx:
        before = servers.get(tx, server)
        checks.require(own.MOVE, own.Wish(deps, tx, before, host, zone))
        instance = servers.change(
            tx,
            server,
            expect={"vm_state": before.vm_state, "task_state": None, "host": before.host},
            task_state=states.Task.MIGRATING,
            progress=0,
        )
        migration = moves.create(
            tx,
            _row(
                deps,
                context,
                instance,
                host,
                block_migration=block_migration,
                disk_over_commit=disk_over_commit,
                zone=zone,
                policy=migration_policy.resolve(
                    migration_policy.defaults(deps.conf), before.flavor.extra_specs, policy
                ),
            ),
        )
        claims.transfer(tx, str(instance.host), server, migration.uuid)
        journal.start(tx, stationary.action(deps, context, server, "live-migration"))
    LOG.info(
        "migration %s: server %s leaves %s for %s",
        migration.uuid,
        server,
        instance.host,
        host or "a host of the scheduler's choice",
    )
    return instance, migration


def report(
    deps: Deps, told: objects.MoveReport, earlier: Sequence[objects.MoveReport] = ()
) -> objects.Migration:
    """Write a change of status with its steps; a repeat gives the row as it is.

    A move whose destination refuses at the last moment is `accepted` again, if
    another host may do: whoever called looks for one.
    """
    with deps.database.write() as tx:
        for change in earlier:
            catch_up(deps, tx, change)
        for step in told.steps:
            journal.step(tx, step)
        now = moves.get(tx, told.migration_uuid)
        if now.status == told.status and now.generation == told.generation:
            return _note(tx, told, now)
        if onward.wanted(told, now):
            return onward.give_up(deps, tx, told, now, lease(deps))
        after = _change(deps, tx, told, **onward.refusal(told, now))
        if after.status in states.TERMINAL:
            settle(deps, tx, after, told.power_state)
    LOG.info("migration %s: %s%s", after.uuid, after.status, _why(after))
    return after


def catch_up(deps: Deps, tx: Tx, told: objects.MoveReport) -> None:
    """Write a change of status that nobody waits for, unless the move is beyond it."""
    with contextlib.suppress(errors.StaleWrite, errors.MigrationNotFound):
        after = _change(deps, tx, told)
        for step in told.steps:
            journal.step(tx, step)
        LOG.info("migration %s: %s", after.uuid, after.status)


def settle(deps: Deps, tx: Tx, migration: objects.Migration, power: int | None) -> None:
    """Make server and allocations agree with how the move ended."""
    instance = servers.get(tx, migration.instance_uuid)
    changes: dict[str, Any] = {"task_state": None, "progress": 0}
    _remember(deps, tx, migration)
    if migration.status == states.Move.COMPLETED:
        claims.release(tx, migration.uuid)
        destination = liveness.node(deps, tx, str(migration.destination))
        changes["host"] = destination.host
        changes |= placement.arrived(instance, destination.availability_zone)
    if migration.status in STAYS:
        put_back(tx, migration)
    changes |= _fault(deps, migration)
    if power is not None:
        changes["power_state"] = power
    servers.change(tx, instance.uuid, expect={"task_state": states.Task.MIGRATING}, **changes)
    journal.finish(
        tx, migration.request_id, instance.uuid, deps.clock.now(), migration.error_message
    )


def _fault(deps: Deps, migration: objects.Migration) -> dict[str, Any]:
    """Tell at the server why its move failed, and who refused which host."""
    if migration.status not in FAULTY:
        return {}
    return {
        "fault_code": migration.error_code,
        "fault_message": migration.error_message,
        "fault_at": deps.clock.now(),
        "fault_reasons": migration.reasons,
    }


def _remember(deps: Deps, tx: Tx, migration: objects.Migration) -> None:
    """Forget what failed at a destination that was reached, or count where a move has failed.

    A move that no host was found for has failed nowhere: it was refused.
    """
    if migration.destination is None:
        return
    both = [migration.source, migration.destination]
    claims.lock(tx, both)
    if migration.status == states.Move.COMPLETED:
        failures.forget(tx, migration.destination)
    if migration.status == states.Move.FAILED and migration.failed_host in both:
        failures.count(deps, tx, migration.failed_host, migration.error_code)


def put_back(tx: Tx, migration: objects.Migration) -> None:
    """Give the destination's room back, and the source's to the server again."""
    onward.leave(tx, migration)
    claims.transfer(tx, migration.source, migration.uuid, migration.instance_uuid)


def fail(
    deps: Deps,
    migration: objects.Migration,
    status: states.Move,
    error: errors.Error,
    failed_step: str | None,
    failed_host: str | None,
) -> None:
    """End a move that never reached its source compute; nothing of the guest was touched."""
    with deps.database.write() as tx:
        after = moves.change(
            tx,
            migration.uuid,
            expected={states.Move.ACCEPTED, states.Move.QUEUED},
            generation=migration.generation,
            status=status,
            error_code=error.code,
            error_message=error.message,
            failed_step=failed_step,
            failed_host=failed_host,
            reasons=reasons.read(error.facts) or migration.reasons,
        )
        settle(deps, tx, after, None)
    LOG.warning("migration %s: %s%s", after.uuid, after.status, _why(after))


def _row(  # noqa: PLR0913 - all that a request says
    deps: Deps,
    context: Context,
    instance: objects.Instance,
    host: str | None,
    *,
    block_migration: bool | None,
    disk_over_commit: bool,
    zone: str | None,
    policy: objects.MigrationPolicy,
) -> objects.Migration:
    return objects.Migration(
        uuid=ids.new(),
        type=states.Kind.LIVE,
        status=states.Move.ACCEPTED,
        instance_uuid=instance.uuid,
        source=instance.host,
        requested_host=host,
        zone=zone,
        block_migration=block_migration,
        disk_over_commit=disk_over_commit,
        policy=policy,
        request_id=context.request_id,
        user_id=context.user_id or "",
        project_id=context.project_id or "",
        created_at=deps.clock.now(),
        owner=deps.owner,
        lease_until=lease(deps),
    )


def _note(tx: Tx, told: objects.MoveReport, now: objects.Migration) -> objects.Migration:
    """Write the reason why a move stands where it stands; a repeat writes it again."""
    if told.error_message is None or now.status in states.TERMINAL:
        return now
    return moves.change(
        tx, now.uuid, expected={now.status}, generation=told.generation, **_facts(told)
    )


def _facts(told: objects.MoveReport) -> dict[str, Any]:
    """Give what the report says; an empty reason takes back the one that is written.

    A move that ended well has no error, whatever it met.
    """
    facts = {name: getattr(told, name) for name in FACTS}
    if told.status == states.Move.COMPLETED:
        return facts
    return {
        name: None if value == "" else value for name, value in facts.items() if value is not None
    }


def _change(
    deps: Deps,
    tx: Tx,
    told: objects.MoveReport,
    **more: Any,  # noqa: ANN401 - columns
) -> objects.Migration:
    if told.progress is not None:
        moves.progress(tx, told.progress)
    return moves.change(
        tx,
        told.migration_uuid,
        expected=set(told.expected),
        generation=told.generation,
        status=told.status,
        owner=told.host,
        lease_until=lease(deps),
        **_facts(told),
        **more,
    )


def _why(migration: objects.Migration) -> str:
    if migration.error_message is None:
        return ""
    return f": {migration.error_message}"
