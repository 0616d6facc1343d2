"""A live migration that ended in `error`, or never will, settled by what its hosts have.

Nothing is guessed: the hypervisors are asked, a table decides, and where it
does not the refusal says what each host has. No guest is ever ended by it. The
migration is or becomes `error`; it is settled once it holds nothing any more.
"""

from __future__ import annotations

import json
import logging
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import evidence
from services.conductor import liveness
from services.conductor import moves as moving
from services.conductor import placement
from services.conductor import refusals
from services.conductor import servers as stationary
from services.conductor import stuck

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

STEP = "resolve"


class Case(NamedTuple):
    """One move that nobody understood, and what its hosts say."""

    deps: Deps
    context: Context
    instance: objects.Instance
    migration: objects.Migration
    source: objects.GuestSeen
    destination: objects.GuestSeen


class Found(NamedTuple):
    """Where the guest is now, how it stands there, and what is left to do by hand."""

    outcome: str
    host: str
    power: int
    notes: list[str]


def resolve(deps: Deps, context: Context, server: str, key: str) -> objects.Resolution:
    """Ask both hosts and settle the move, or raise Unresolved with what was seen."""
    with deps.database.read() as tx:
        instance = servers.get(tx, server)
        migration = _subject(deps, tx, instance, key)
    hosts = [_look(deps, context, instance, host) for host in _hosts(migration)]
    if migration.status != states.Move.ERROR:
        stuck.end(deps, migration)
        with deps.database.read() as tx:
            instance = servers.get(tx, server)
            migration = _unsettled(tx, instance, key)
    case = Case(deps, context, instance, migration, *hosts)
    step = _begin(case)
    try:
        found = _tidy(case)
        _settle(case, found, step)
    except errors.Error as refusal:
        _end(case, step, refusal)
        raise errors.Unresolved(
            f"migration {key} stays in error: {refusal}; {evidence.words(*hosts)}"
        ) from refusal
    _tell(case, found)
    return objects.Resolution(
        migration_uuid=key, outcome=found.outcome, host=found.host, seen=hosts, notes=found.notes
    )


def _hosts(migration: objects.Migration) -> tuple[str, str]:
    return migration.source, str(migration.destination)


def _subject(deps: Deps, tx: Tx, instance: objects.Instance, key: str) -> objects.Migration:
    """Give a move that ended in `error`, or one that goes on and on whose end nobody will tell."""
    migration = moves.own(moves.get(tx, key), instance.uuid, key)
    if migration.status in states.TERMINAL:
        return _unsettled(tx, instance, key)
    stuck.require(deps, tx, migration)
    return migration


def _unsettled(tx: Tx, instance: objects.Instance, key: str) -> objects.Migration:
    migration = moves.own(moves.get(tx, key), instance.uuid, key)
    if migration.type != states.Kind.LIVE or migration.status != states.Move.ERROR:
        raise errors.WrongState(
            f"migration {key} has nothing to resolve: it is a {migration.type} that is "
            f"{migration.status}; only a live migration that ended in error has"
        )
    if not claims.held(tx, key):
        raise errors.WrongState(f"migration {key} has nothing to resolve: it was resolved already")
    if instance.task_state is not None:
        raise refusals.wrong_state(instance, STEP, "task_state", instance.task_state)
    return migration


def _look(deps: Deps, context: Context, instance: objects.Instance, host: str) -> objects.GuestSeen:
    """Ask a host; one that an operator has given up has no guest any more."""
    with deps.database.read() as tx:
        gone = liveness.given_up(deps, tx, host)
    if gone:
        return objects.GuestSeen(host=host, asked=False)
    try:
        return deps.compute(host).observe_guest(context, instance)
    except errors.Error as silence:
        raise errors.Unresolved(evidence.silent(host, silence)) from silence


def _tidy(case: Case) -> Found:
    """Decide, and have the hosts do their part; all of it may be repeated."""
    outcome, why = evidence.judge(case.instance.run_token, case.source, case.destination)
    if outcome is None:
        if why == evidence.BOTH:
            LOG.critical("server %s: %s", case.instance.uuid, why)
        raise errors.Unresolved(why)
    return TIDY[outcome](case)


def _undo(case: Case) -> Found:
    """Have the destination remove what was made for the guest."""
    source, destination = case.source, case.destination
    if destination.asked:
        case.deps.compute(destination.host).rollback_live_migration_at_destination(
            case.context, case.instance, case.migration
        )
    notes = []
    if source.power_state == states.Power.PAUSED and case.instance.vm_state == states.Vm.ACTIVE:
        notes = [f"it stands still on {source.host}: unpause it when it shall go on"]
    return Found(evidence.UNDONE, source.host, int(source.power_state or 0), notes)


def _take_over(case: Case) -> Found:
    """Have the destination keep the guest, then the source remove what is left of it."""
    host = case.destination.host
    arrival = case.deps.compute(host).post_live_migration_at_destination(
        case.context, case.instance, case.migration
    )
    return Found(evidence.COMPLETED, host, int(arrival.power_state), _leave(case))


def _leave(case: Case) -> list[str]:
    """Clean the source; the guest is safe, so what stays there only takes room."""
    host = case.source.host
    if not case.source.asked:
        return [f"remove what {host} has of it before that host is used again"]
    try:
        case.deps.compute(host).leave_live_migration_source(
            case.context, case.instance, case.migration
        )
    except errors.Error as left:
        return [f"look for a leftover of it on {host}: {left}"]
    return []


TIDY: dict[str, Callable[[Case], Found]] = {
    evidence.UNDONE: _undo,
    evidence.COMPLETED: _take_over,
}


def _settle(case: Case, found: Found, step: objects.MigrationStep) -> None:
    """Make server and allocations agree with what was seen, all at once."""
    deps, instance = case.deps, case.instance
    power = states.Power(found.power)
    vm_state = stationary.OBSERVED.get(power, states.Vm(instance.vm_state))
    with deps.database.write() as tx:
        # Who asked at the same time may have been quicker.
        _unsettled(tx, servers.get(tx, instance.uuid), case.migration.uuid)
        if found.outcome == evidence.UNDONE:
            moving.put_back(tx, case.migration)
        else:
            claims.release(tx, case.migration.uuid)
        zone = liveness.node(deps, tx, found.host).availability_zone
        servers.change(
            tx,
            instance.uuid,
            expect={"generation": instance.generation, "task_state": None},
            host=found.host,
            power_state=power,
            vm_state=vm_state,
            **placement.arrived(instance, zone),
        )
        _finish(case, tx, step.replace(state=states.StepState.DONE))


def _tell(case: Case, found: Found) -> None:
    LOG.warning(
        "migration %s: resolved as %s: server %s is on %s; %s",
        case.migration.uuid,
        found.outcome,
        case.instance.uuid,
        found.host,
        "; ".join([evidence.words(case.source, case.destination), *found.notes]),
    )


def _begin(case: Case) -> objects.MigrationStep:
    """Write what was seen into the journal before anything follows from it."""
    deps, migration = case.deps, case.migration
    with deps.database.write() as tx:
        before = [one for one in journal.steps(tx, migration.uuid) if one.step == STEP]
        step = objects.MigrationStep(
            migration_uuid=migration.uuid,
            step=STEP,
            host=deps.conf.host,
            attempt=len(before) + 1,
            started_at=deps.clock.now(),
            details=json.dumps([evidence.inputs(case.source), evidence.inputs(case.destination)]),
        )
        journal.step(tx, step)
        asked = stationary.action(deps, case.context, case.instance.uuid, "resolve-migration")
        journal.start(tx, asked)
    return step


def _end(case: Case, step: objects.MigrationStep, error: errors.Error) -> None:
    """Write why the move stays as it is."""
    with case.deps.database.write() as tx:
        _finish(
            case,
            tx,
            step.replace(state=states.StepState.FAILED, error_code=error.code, error=error.message),
        )


def _finish(case: Case, tx: Tx, step: objects.MigrationStep) -> None:
    now = case.deps.clock.now()
    journal.step(tx, step.replace(finished_at=now))
    journal.finish(tx, case.context.request_id, case.instance.uuid, now, step.error)
