"""What a move left on a host that could not be asked: removed once the host can be.

The source of a live move asks for a moment and then lets the move end; a cold
move goes on without a host that was forced down. From then on the journal
remembers, so that neither a restart nor a long silence forgets it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import objects
from common import states
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import liveness
from services.conductor.cold import steps

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

ROLLBACK = "rollback_live_migration_at_destination"
LEAVE = "leave_source"
EVERY = 5.0  # seconds between looks into the journal
# What passes by itself, or with the next version of the host's compute: a RemoteError is a
# fault that nobody foresaw. Any other refusal is for a person.
PASSING = frozenset(
    code
    for code, kind in errors.by_code().items()
    if issubclass(kind, errors.Unavailable | errors.HypervisorError | errors.RemoteError)
)
RARELY = 300.0  # seconds between tries of what failed in an unforeseen way


class Leftovers:
    """The undos that are still to be done."""

    def __init__(self, deps: Deps) -> None:
        """Look at the first tick."""
        self._deps = deps
        self._next = 0.0
        self._going: set[str] = set()
        self._later: dict[str, float] = {}  # move: not before

    def tick(self) -> None:
        """Ask each host that is up again to tidy up what it could not; nobody waits here."""
        now = self._deps.clock.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        with self._deps.database.read() as tx:
            found = [
                step
                for step in journal.failures(tx, AGAIN, PASSING)
                if self._due(step.migration_uuid, now) and _up(self._deps, tx, step.host)
            ]
        for step in found:
            self._going.add(step.migration_uuid)
            self._deps.pool.submit(self._again, step)

    def _due(self, uuid: str, now: float) -> bool:
        return uuid not in self._going and self._later.get(uuid, now) <= now

    def _again(self, step: objects.MigrationStep) -> None:
        try:
            AGAIN[step.step](self._deps, step)
        except errors.Error as still:
            LOG.info("migration %s: not tidied up on %s: %s", step.migration_uuid, step.host, still)
            if isinstance(still, errors.RemoteError):
                self._later[step.migration_uuid] = self._deps.clock.monotonic() + RARELY
        except Exception:
            LOG.exception("migration %s: tidying up on %s failed", step.migration_uuid, step.host)
        finally:
            self._going.discard(step.migration_uuid)


def _roll_back(deps: Deps, step: objects.MigrationStep) -> None:
    """Have the destination remove what was made for the guest."""
    _tidy(deps, step, deps.compute(step.host).rollback_live_migration_at_destination)


def _leave(deps: Deps, step: objects.MigrationStep) -> None:
    """Have the source remove what a guest left, unless it lives there again or is on its way."""
    with deps.database.read() as tx:
        migration = moves.get(tx, step.migration_uuid)
        instance = servers.get(tx, migration.instance_uuid, deleted=True)
    back = instance.host == step.host or instance.task_state is not None
    if back and instance.terminated_at is None:
        return
    _tidy(deps, step, deps.compute(step.host).leave_live_migration_source)


def _tidy(
    deps: Deps,
    step: objects.MigrationStep,
    ask: Callable[[contexts.Context, objects.Instance, objects.Migration], None],
) -> None:
    """Ask once; an answer that will not change is written, any other is waited for."""
    begun = deps.clock.now()
    error: errors.Error | None = None
    with deps.database.read() as tx:
        migration = moves.get(tx, step.migration_uuid)
        instance = servers.get(tx, migration.instance_uuid, deleted=True)
    data = migration.data or objects.LibvirtLiveMigrateData(migration_uuid=migration.uuid)
    try:
        ask(contexts.admin(migration.request_id), instance, migration.replace(data=data))
    except errors.Error as refusal:
        if refusal.code in PASSING:
            raise
        error = refusal
    LOG.info("migration %s: %s: %s", migration.uuid, step.host, error or "nothing is left")
    with deps.database.write() as tx:
        journal.step(tx, _ended(step, begun, deps.clock.now(), error))


def _tell(deps: Deps, step: objects.MigrationStep) -> None:
    """Tell the host of a cold move; its report ends this attempt in the journal."""
    with deps.database.read() as tx:
        migration = moves.get(tx, step.migration_uuid)
        instance = servers.get(tx, migration.instance_uuid, deleted=True)
    if not _due(migration, instance, step):
        return
    LOG.info("migration %s: %s is told now: %s", migration.uuid, step.host, step.step)
    deps.compute(step.host).cold_step(
        contexts.admin(migration.request_id),
        instance,
        migration.replace(generation=step.attempt),
        step.step,
    )


def _due(
    migration: objects.Migration, instance: objects.Instance, step: objects.MigrationStep
) -> bool:
    """Tell whether nothing that the move left on the host is needed any more.

    Where the server lives now is no place to look for its leftovers.
    """
    if step.step == UNDO and instance.host == step.host and instance.terminated_at is None:
        return False
    # A host that could not be asked to prepare was given up for another.
    elsewhere = step.step == UNDO and step.host != migration.destination
    return elsewhere or migration.status in steps.AFTER[step.step]


UNDO = "undo_resize"
AGAIN: dict[str, Callable[[Deps, objects.MigrationStep], None]] = {
    ROLLBACK: _roll_back,
    LEAVE: _leave,
    **dict.fromkeys(steps.AFTER, _tell),
}


def _up(deps: Deps, tx: Tx, host: str) -> bool:
    try:
        service = liveness.node(deps, tx, host).service
    except errors.HostNotFound:
        return False
    return service is not None and bool(service.up)


def _ended(
    step: objects.MigrationStep,
    begun: datetime.datetime,
    now: datetime.datetime,
    error: errors.Error | None,
) -> objects.MigrationStep:
    return step.replace(
        attempt=step.attempt + 1,
        state=states.StepState.DONE if error is None else states.StepState.FAILED,
        started_at=begun,
        finished_at=now,
        error_code=error.code if error else None,
        error=error.message if error else None,
    )
