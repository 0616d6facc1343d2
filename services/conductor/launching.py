"""The conductor's methods of live migrations that begin, and of those that begin anew."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import states
from common.db import servers
from rpc import conductor
from services.conductor import moves
from services.conductor import queue
from services.conductor.tasks.live_migrate import LiveMigrationTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from common.context import Context
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


class Launching(conductor.Conductor):
    """The part of the manager that brings live migrations to their sources."""

    _deps: Deps

    def live_migrate(  # noqa: PLR0913 - declared so
        self,
        context: Context,
        server: str,
        host: str | None,
        *,
        block_migration: bool | None,
        disk_over_commit: bool,
        policy: dict[str, str],
        wait: bool,
        zone: str | None = None,
    ) -> objects.Migration:
        """Begin a live migration; its checks run now, or in the background."""
        instance, migration = moves.begin(
            self._deps,
            context,
            server,
            host,
            block_migration=block_migration,
            disk_over_commit=disk_over_commit,
            policy=policy,
            zone=zone,
        )
        task = LiveMigrationTask(self._deps, context, instance, migration)
        self._deps.checking.begin(migration)
        if wait:
            self._launch(task, migration)
        else:
            self._deps.pool.submit(self._launch_quietly, context, task, migration)
        return migration

    def move_report(
        self,
        context: Context,
        report: objects.MoveReport,
        earlier: Sequence[objects.MoveReport] = (),
    ) -> objects.Migration:
        """Take a source's report of its move; a free slot starts the next one.

        A move that its destination refused is looked for another one.
        """
        del context
        migration = moves.report(self._deps, report, earlier)
        if migration.status in states.TERMINAL:
            self._deps.pool.submit(self._pump)
        if migration.status == states.Move.ACCEPTED and migration.generation > report.generation:
            self._go_on(migration, report)
        return migration

    def _go_on(self, migration: objects.Migration, refusal: objects.MoveReport) -> None:
        """Look for another host in the background; the slots of this one are free by now."""
        context = contexts.admin(migration.request_id)
        with self._deps.database.read() as tx:
            instance = servers.get(tx, migration.instance_uuid)
        task = LiveMigrationTask(self._deps, context, instance, migration)
        task.failed_step, task.failed_host = refusal.failed_step, refusal.failed_host
        self._deps.checking.begin(migration)
        self._deps.pool.submit(self._launch_quietly, context, task, migration)
        self._deps.pool.submit(self._pump)

    def _launch(self, task: LiveMigrationTask, migration: objects.Migration) -> None:
        """Check and queue the move; what speaks against it ends in its row, and is raised."""
        try:
            task.execute()
        except errors.Error as error:
            self._refuse(task, migration, error)
            raise
        except Exception as error:
            LOG.exception("migration %s: its checks failed unexpectedly", migration.uuid)
            unexpected = errors.RemoteError(f"unexpected: {error}")
            self._refuse(task, migration, unexpected)
            raise
        finally:
            self._deps.checking.end(migration)
        if migration.uuid not in self._pump():
            task.wait()

    def _launch_quietly(
        self, context: Context, task: LiveMigrationTask, migration: objects.Migration
    ) -> None:
        contexts.adopt(context)
        try:
            self._launch(task, migration)
        except errors.Error as refusal:
            LOG.debug("migration %s: %s", migration.uuid, refusal)
        except Exception:
            LOG.exception("migration %s: not started", migration.uuid)

    def _refuse(
        self,
        task: LiveMigrationTask,
        migration: objects.Migration,
        error: errors.Error,
    ) -> None:
        """Write why the move ends, unless it was ended meanwhile."""
        try:
            moves.fail(
                self._deps,
                migration,
                states.Move.FAILED,
                error,
                task.failed_step,
                task.failed_host,
            )
        except errors.StaleWrite as decided:
            LOG.info("migration %s: left as it is: %s", migration.uuid, decided)

    def _pump(self) -> set[str]:
        """Start what fits; what is queued stays so through any trouble, until the next tick."""
        try:
            return queue.pump(self._deps)
        except errors.Error as trouble:
            LOG.warning("the queue is looked at again in a moment: %s", trouble)
        except Exception:
            LOG.exception("looking at the queue failed")
        return set()
