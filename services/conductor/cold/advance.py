"""What follows when a step of a cold move is reported, or when nobody reports it."""

from __future__ import annotations

import logging
from typing import Any
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states
from common.db import journal
from common.db import moves
from services.conductor import evidence
from services.conductor import leftovers
from services.conductor import liveness
from services.conductor import moves as moving
from services.conductor.cold import endings
from services.conductor.cold import entering
from services.conductor.cold import place
from services.conductor.cold import steps

if TYPE_CHECKING:
    import datetime

    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


def report(deps: Deps, told: objects.StepReport) -> None:
    """Take how a step ended, and do what follows from it.

    The row is held: a delete that is asked for meanwhile must not be overwritten.
    """
    with deps.database.write() as tx:
        migration = moves.hold(tx, told.migration_uuid)
        told = _judged(migration, told)
        if not _again(migration, told):
            journal.step(tx, _ended(told, migration))
        if not _expected(migration, told):
            LOG.info("migration %s: a late report of %s is ignored", migration.uuid, told.step)
            return
        after = _follow(deps, tx, migration, told)
    if after.stage == told.step:
        LOG.info("migration %s: %s is told again when its lease is over", after.uuid, told.step)
        return
    LOG.info("migration %s: %s, then %s", after.uuid, told.step, after.stage or after.status)
    follow_up(deps, after)


def follow_up(deps: Deps, migration: objects.Migration) -> None:
    """Do outside of the transaction what the move's row asks for now."""
    if migration.status in states.TERMINAL or migration.status == states.Move.FINISHED:
        endings.follow_up(deps, migration)
    elif migration.stage is None:
        place.later(deps, migration)
    else:
        entering.send(deps, migration)
    entering.begin_copies(deps)


def care(deps: Deps, migration: objects.Migration) -> None:
    """Look after a cold move whose owner has been silent for a lease."""
    if migration.stage is None:
        _place_again(deps, migration)
        return
    step = steps.STEPS[migration.stage]
    host = steps.host(migration, migration.stage)
    with deps.database.read() as tx:
        away = _away(deps, tx, host)
        forced = away is not None and liveness.given_up(deps, tx, host)
    if away is not None and _given_up(migration, migration.stage):
        _answer_for(deps, migration, away, failed=step.otherwise is steps.End.NEXT_HOST)
        return
    if forced and steps.left_out(migration, migration.stage):
        LOG.warning("migration %s: %s is left out: %s", migration.uuid, migration.stage, away)
        _answer_for(deps, migration, str(away), failed=False)
        return
    if forced and step.otherwise == "undo_resize" and step.role is steps.Role.DESTINATION:
        # It is said to run nothing any more; what was kept at the source is the guest then.
        _answer_for(deps, migration, str(away), failed=True)
        return
    why: dict[str, Any] = (
        {} if away is None else {"error_message": _still(migration, f"{migration.stage}: {away}")}
    )
    with deps.database.write() as tx:
        after = moves.advance(
            tx,
            migration,
            lease_until=moving.lease(deps),
            **why,
        )
    if away is None:
        LOG.info("migration %s: %s is told again: %s", migration.uuid, host, migration.stage)
        entering.send(deps, after)


def _judged(migration: objects.Migration, told: objects.StepReport) -> objects.StepReport:
    """Take a start after which the guest does not run for one that failed."""
    meant = steps.STEPS.get(told.step)
    if meant is None or not meant.starts or told.error_code is not None:
        return told
    if steps.cold(migration).was != states.Vm.ACTIVE or told.power_state in evidence.ALIVE:
        return told
    power = states.Power(told.power_state or states.Power.NOSTATE).name.lower()
    dead = errors.HypervisorError(f"its guest was started and runs no more, its power is {power}")
    return told.replace(error_code=dead.code, error_message=dead.message)


def _given_up(migration: objects.Migration, name: str) -> bool:
    """Tell whether a silent host is given up for the next one: the guest was not touched yet."""
    ways = {steps.STEPS[name].otherwise, steps.follows(name, None, migration.error_code)}
    return steps.End.NEXT_HOST in ways


def _follow(
    deps: Deps, tx: Tx, migration: objects.Migration, told: objects.StepReport
) -> objects.Migration:
    what = _next(migration, told)
    values: dict[str, Any] = {}
    if told.cold is not None:
        values["cold"] = steps.merge(steps.cold(migration), told.cold)
    if told.error_code is not None and what != steps.End.AGAIN:
        values |= _reason(migration, told)
    if what in steps.STEPS:
        # A host that has done the step answers for what it saw then: it is to look anew.
        anew = steps.before(what, told.step)
        return entering.enter(deps, tx, migration, what, renumber=anew, **values)
    if what == steps.End.AGAIN:
        return moves.advance(
            tx,
            migration,
            error_message=_still(migration, f"{told.step} on {told.host}: {told.error_message}"),
        )
    return endings.END[steps.End(what)](deps, tx, migration, told, values)


def _next(migration: objects.Migration, told: objects.StepReport) -> str:
    """Give what follows; a move that was aborted while it was prepared goes no further."""
    aborted = migration.error_code == errors.MoveAborted.code
    if aborted and told.step == steps.PREPARE:
        return "undo_resize" if told.error_code is None else steps.End.UNDONE
    return steps.follows(told.step, told.error_code, migration.error_code)


def _still(migration: objects.Migration, trouble: str) -> str:
    """Say what holds the move up now, behind the reason why it is undone, if it is."""
    first = endings.cause(migration) if migration.error_code is not None else ""
    return f"{first}{endings.MEANWHILE}{trouble}, which is tried again"


def _reason(migration: objects.Migration, told: objects.StepReport) -> dict[str, Any]:
    """Give what went wrong first: what goes wrong while that is undone is another matter."""
    if migration.error_code is not None:
        return {}
    return {
        "error_code": told.error_code,
        "error_message": f"{told.host}: {told.error_message}",
        "failed_step": told.step,
        "failed_host": told.host,
    }


def _expected(migration: objects.Migration, told: objects.StepReport) -> bool:
    return bool(
        migration.stage == told.step
        and migration.owner is not None
        and migration.generation == told.generation
        and steps.host(migration, told.step) == told.host
    )


def _again(migration: objects.Migration, told: objects.StepReport) -> bool:
    """Tell whether it is about a leftover that is asked for again: of many tries one is enough."""
    return migration.status in states.TERMINAL and told.error_code in leftovers.PASSING


def _answer_for(deps: Deps, migration: objects.Migration, away: str, *, failed: bool) -> None:
    """Report for a host that is away; should it report later, nobody listens.

    The journal remembers what it has not done, so that it is asked once it is back.
    """
    now = deps.clock.now()
    error = errors.NoAnswer(away)
    with deps.database.write() as tx:
        mine = moves.advance(
            tx,
            migration,
            renumber=True,
        )
        for name, generation in _missed(migration, mine):
            journal.step(tx, _ended(_told(mine, name, generation, now, error), mine))
    report(deps, _told(mine, str(mine.stage), mine.generation, now, error if failed else None))


def _missed(before: objects.Migration, mine: objects.Migration) -> set[tuple[str, int]]:
    """Name what the journal must not believe to be done: by step and generation."""
    name = str(mine.stage)
    return {
        (name, before.generation),
        (name, mine.generation),
        (steps.LATER.get(name, name), mine.generation),
    }


def _told(
    mine: objects.Migration,
    name: str,
    generation: int,
    now: datetime.datetime,
    error: errors.Error | None,
) -> objects.StepReport:
    return objects.StepReport(
        migration_uuid=mine.uuid,
        generation=generation,
        step=name,
        host=steps.host(mine, str(mine.stage)),
        started_at=now,
        finished_at=now,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
    )


def _place_again(deps: Deps, migration: objects.Migration) -> None:
    with deps.database.write() as tx:
        after = moves.take(tx, migration.uuid, deps.owner, deps.clock.now(), moving.lease(deps))
    place.later(deps, after)


def _away(deps: Deps, tx: Tx, host: str) -> str | None:
    try:
        liveness.require(deps, tx, host, "asked")
    except errors.HostUnsuitable as down:
        return down.message
    return None


def _ended(told: objects.StepReport, migration: objects.Migration) -> objects.MigrationStep:
    ended = states.StepState.DONE if told.error_code is None else states.StepState.FAILED
    return objects.MigrationStep(
        migration_uuid=migration.uuid,
        step=told.step,
        host=told.host,
        attempt=told.generation + 1,
        state=ended,
        started_at=told.started_at,
        finished_at=told.finished_at,
        error_code=told.error_code,
        error=told.error_message,
    )
