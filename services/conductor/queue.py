"""The queue of live moves: who may start, by the limits of source and destination.

The limits hold for the whole cluster, because the change from queued to
preparing is one transaction that counts both hosts' slots.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import objects
from common import states
from common.db import confirmations
from common.db import journal
from common.db import moves
from common.db import servers
from common.db import settings
from services.conductor import liveness
from services.conductor import moves as moving
from services.conductor.cold import advance
from services.conductor.cold import confirming
from services.conductor.cold import entering
from services.conductor.cold import steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


def pump(deps: Deps) -> set[str]:
    """Start every queued move that fits into the limits, and give their uuids."""
    admitted = _admit(deps)
    for migration in admitted:
        _start(deps, migration)
    return {migration.uuid for migration in admitted}


def tick(deps: Deps) -> None:
    """Start what fits, and tell sources again whose start message was lost."""
    pump(deps)
    with deps.database.read() as tx:
        lost = moves.expired(tx, deps.clock.now())
    for migration in lost:
        _care(deps, migration)
    entering.begin_copies(deps)
    with deps.database.read() as tx:
        due = confirmations.due(tx, deps.clock.now())
    for migration in due:
        confirming.by_itself(deps, migration)


def _care(deps: Deps, migration: objects.Migration) -> None:
    """Do what its status asks for; a move that changed meanwhile needs nothing."""
    cold = migration.type in steps.kinds()
    care = advance.care if cold else CARE.get(states.Move(migration.status))
    if care is None:
        return
    try:
        care(deps, migration)
    except errors.StaleWrite as decided:
        LOG.info("migration %s: left as it is: %s", migration.uuid, decided)
    except errors.Error as trouble:
        # The others are not to wait for it.
        LOG.warning("migration %s: looked at again in a moment: %s", migration.uuid, trouble)


def _start_again(deps: Deps, migration: objects.Migration) -> None:
    with deps.database.write() as tx:
        if liveness.given_up(deps, tx, migration.source):
            # Told again when it is up; until then the lease that has run out lets it be resolved.
            return
        moves.extend(tx, migration.uuid, deps.clock.now(), moving.lease(deps))
        written = journal.steps(tx, migration.uuid)
    LOG.info("migration %s: %s is told again to start it", migration.uuid, migration.source)
    _start(deps, migration, written)


def _give_up(deps: Deps, migration: objects.Migration) -> None:
    """End the move; one that is renewed in this moment is its conductor's."""
    host, _, _process = str(migration.owner).partition("/")
    orphaned = errors.MoveFailed(f"the conductor on {host} that was checking this move is gone")
    with deps.database.write() as tx:
        mine = moves.take(tx, migration.uuid, deps.owner, deps.clock.now(), moving.lease(deps))
    moving.fail(deps, mine, states.Move.FAILED, orphaned, None, host)


# What is done for a move whose owner has been silent for a lease. A running one
# belongs to its source's libvirt: its compute, when it is back, takes it up again.
CARE: dict[states.Move, Callable[[Deps, objects.Migration], None]] = {
    states.Move.ACCEPTED: _give_up,
    **dict.fromkeys(states.IN_SLOT, _start_again),
}


def _admit(deps: Deps) -> list[objects.Migration]:
    with deps.database.write() as tx:
        most = settings.limits(tx, deps.conf.conductor)
        admitted = moves.admit(
            tx,
            max_outbound=most["max_outbound"],
            max_inbound=most["max_inbound"],
            owner=deps.owner,
            lease_until=moving.lease(deps),
        )
        # The step is written before the message that causes it is sent.
        for migration in admitted:
            journal.step(tx, _preparing(deps, migration))
    return admitted


def _start(
    deps: Deps, migration: objects.Migration, written: Sequence[objects.MigrationStep] = ()
) -> None:
    context = contexts.admin(migration.request_id)
    try:
        with deps.database.read() as tx:
            instance = servers.get(tx, migration.instance_uuid)
        deps.compute(migration.source).live_migration(context, instance, migration, written)
    except errors.Error as trouble:
        # The slot is taken; its lease runs out, and it is told again.
        LOG.warning("migration %s: waits to be started: %s", migration.uuid, trouble)


def _preparing(deps: Deps, migration: objects.Migration) -> objects.MigrationStep:
    return objects.MigrationStep(
        migration_uuid=migration.uuid,
        step="pre_live_migration",
        host=migration.destination,
        state=states.StepState.STARTED,
        started_at=deps.clock.now(),
    )
