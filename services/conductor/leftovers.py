"""What a failed move left at its destination: removed once the destination can be asked.

The source asks for a moment and then lets the move end; from then on the
journal remembers, so that neither a restart nor a long silence forgets it.
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

if TYPE_CHECKING:
    import datetime

    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

STEP = "rollback_live_migration_at_destination"
EVERY = 5.0  # seconds between looks into the journal
# What passes by itself; any other refusal is for a person.
PASSING = frozenset(
    code
    for code, kind in errors.by_code().items()
    if issubclass(kind, errors.Unavailable | errors.HypervisorError)
)


class Leftovers:
    """The undos that are still to be done."""

    def __init__(self, deps: Deps) -> None:
        """Look at the first tick."""
        self._deps = deps
        self._next = 0.0
        self._going: set[str] = set()

    def tick(self) -> None:
        """Ask each destination that is up again to undo what it could not; nobody waits here."""
        now = self._deps.clock.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        with self._deps.database.read() as tx:
            found = [
                step
                for step in journal.failures(tx, STEP, PASSING)
                if step.migration_uuid not in self._going and _up(self._deps, tx, step.host)
            ]
        for step in found:
            self._going.add(step.migration_uuid)
            self._deps.pool.submit(self._again, step)

    def _again(self, step: objects.MigrationStep) -> None:
        try:
            self._undo(step)
        except errors.Error as still:
            LOG.info("migration %s: not undone on %s: %s", step.migration_uuid, step.host, still)
        except Exception:
            LOG.exception("migration %s: undoing it on %s failed", step.migration_uuid, step.host)
        finally:
            self._going.discard(step.migration_uuid)

    def _undo(self, step: objects.MigrationStep) -> None:
        """Ask once; an answer that will not change is written, any other is waited for."""
        begun = self._deps.clock.now()
        error: errors.Error | None = None
        with self._deps.database.read() as tx:
            migration = moves.get(tx, step.migration_uuid)
            instance = servers.get(tx, migration.instance_uuid, deleted=True)
        data = migration.data or objects.LibvirtLiveMigrateData(migration_uuid=migration.uuid)
        try:
            self._deps.compute(step.host).rollback_live_migration_at_destination(
                contexts.admin(migration.request_id), instance, migration.replace(data=data)
            )
        except errors.Error as refusal:
            if refusal.code in PASSING:
                raise
            error = refusal
        LOG.info("migration %s: %s: %s", migration.uuid, step.host, error or "nothing is left")
        with self._deps.database.write() as tx:
            journal.step(tx, _ended(step, begun, self._deps.clock.now(), error))


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
