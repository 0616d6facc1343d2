"""A step of a cold move begins: in the rows first, then as a message to its host."""

from __future__ import annotations

import logging
from typing import Any
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import ids
from common import objects
from common import states
from common.db import journal
from common.db import moves
from common.db import servers
from common.db import settings
from services.conductor import moves as moving
from services.conductor.cold import steps

if TYPE_CHECKING:
    import datetime

    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


def enter(
    deps: Deps,
    tx: Tx,
    migration: objects.Migration,
    name: str,
    **values: Any,  # noqa: ANN401 - columns
) -> objects.Migration:
    """Make this the move's step, in its row, its server's and its journal; send() tells the host.

    A copy whose hosts are busy waits: its row has no owner then, and sending
    it does nothing.
    """
    step = steps.STEPS[name]
    now = deps.clock.now()
    if name == moves.COPY:
        return moves.advance(
            tx,
            migration,
            stage=name,
            owner=None,
            lease_until=None,
            **values,
        )
    if step.status not in {None, migration.status}:
        values["status"] = step.status
    after = moves.advance(
        tx,
        migration,
        stage=name,
        owner=steps.host(migration.replace(**values), name),
        lease_until=moving.lease(deps),
        **values,
    )
    if step.task is not None:
        _set_task(tx, after, step.task)
    journal.step(tx, _row(after, name, now))
    return after


def begin_copies(deps: Deps) -> None:
    """Begin the copy of every cold move that waits for it, as far as the limits allow."""
    begun = []
    with deps.database.write() as tx:
        most = settings.limits(tx, deps.conf.conductor)
        for migration in moves.admit_copies(
            tx, most["max_copies_outbound"], most["max_copies_inbound"]
        ):
            after = moves.change(
                tx,
                migration.uuid,
                expected={states.Move.PRE_MIGRATING},
                generation=migration.generation,
                at={moves.COPY},
                status=states.Move.MIGRATING,
                owner=migration.source,
                lease_until=moving.lease(deps),
            )
            _set_task(tx, after, states.Task.RESIZE_MIGRATING)
            journal.step(tx, _row(after, moves.COPY, deps.clock.now()))
            begun.append(after)
    for migration in begun:
        send(deps, migration)


def send(deps: Deps, migration: objects.Migration) -> None:
    """Tell the step's host to do it; what is lost is told again when the lease has run out."""
    name = migration.stage
    if name is None or migration.owner is None:
        return
    try:
        with deps.database.read() as tx:
            instance = servers.get(tx, migration.instance_uuid, deleted=True)
        instance = instance.replace(
            flavor=steps.flavor(migration, name),
            # The run that this step may begin: the same however often it is told.
            run_token=ids.derive(migration.uuid, _number(name)),
        )
        deps.compute(steps.host(migration, name)).cold_step(
            contexts.admin(migration.request_id), instance, migration, name
        )
    except errors.Error as trouble:
        LOG.warning("migration %s: %s waits to be told: %s", migration.uuid, name, trouble)


def _set_task(tx: Tx, migration: objects.Migration, task: states.Task) -> None:
    """Show the step at the server, which may be deleted by the time of the last ones."""
    found = servers.get(tx, migration.instance_uuid, deleted=True)
    if found.vm_state != states.Vm.DELETED and found.task_state != task:
        servers.change(tx, found.uuid, expect={"generation": found.generation}, task_state=task)


def _number(name: str) -> int:
    return list(steps.STEPS).index(name)


def _row(migration: objects.Migration, name: str, now: datetime.datetime) -> objects.MigrationStep:
    return objects.MigrationStep(
        migration_uuid=migration.uuid,
        step=name,
        host=steps.host(migration, name),
        attempt=migration.generation + 1,
        started_at=now,
    )
