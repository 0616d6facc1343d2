"""LiveMigrationTask: find a destination that passes every check, and queue the move."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import TypeVar

from common import checks
from common import errors
from common import objects
from common import states
from common.db import claims
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import liveness
from services.conductor import moves as moving
from services.conductor import onward
from services.conductor import placement
from services.conductor import search
from services.conductor.tasks import base

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.context import Context
    from rpc import compute
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)
T = TypeVar("T")

# What one host cannot do another may: these lead to the next host.
NEXT_HOST = (errors.CheckFailed, errors.Unavailable, errors.RemoteError, errors.HypervisorError)


class LiveMigrationTask(base.Task):
    """Everything of a live migration that happens before its source starts it."""

    def __init__(
        self,
        deps: Deps,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
    ) -> None:
        """Work on a move that is accepted; one that hosts have refused already goes on from there.

        `failed_step` and `failed_host` are those of the first refusal.
        """
        super().__init__()
        self._deps = deps
        self._context = context
        self._instance = instance
        self._migration = migration
        self._search: search.Search | None = None
        self._tested: objects.LibvirtLiveMigrateData | None = None
        self.failed_step: str | None = None
        self.failed_host: str | None = None

    def check(self) -> None:
        """See that the source still reports."""
        with self._deps.database.read() as tx:
            liveness.require(self._deps, tx, self._migration.source, "a source")

    def run(self) -> None:
        """Claim a destination that passes the checks, then queue the move."""
        destination, self._tested = self._find()
        with self._deps.database.write() as tx:
            moves.change(
                tx,
                self._migration.uuid,
                expected={states.Move.ACCEPTED},
                generation=self._migration.generation,
                status=states.Move.QUEUED,
                destination=destination,
                data=self._tested,
                reasons=self._looked().tried or None,
            )
            onward.leave(tx, self._migration, but=destination)
        self._migration = self._migration.replace(destination=destination)

    def wait(self) -> None:
        """Have the test file removed of a move that waits; one that starts has its own removed."""
        if self._tested is not None:
            destination = self._deps.compute(str(self._migration.destination))
            self._clean(destination, self._tested)

    def _find(self) -> tuple[str, objects.LibvirtLiveMigrateData]:
        while True:
            host = self._select()
            try:
                return host, self._check_pair(host)
            except NEXT_HOST as refusal:
                LOG.info("migration %s: not %s: %s", self._migration.uuid, host, refusal)
                self._looked().refuse(host, refusal.code, refusal.message)
                self.rollback()
                if self._migration.requested_host is not None:
                    raise self._named(host, refusal) from refusal

    def _begin(self) -> search.Search:
        """Say what is wanted of a host."""
        move = self._migration
        with self._deps.database.read() as tx:
            disks = placement.disks(
                tx,
                self._instance,
                move.requested_host,
                block_migration=move.block_migration,
                disk_over_commit=move.disk_over_commit,
            )
        spec = placement.spec(
            self._deps.conf,
            self._instance,
            zone=move.zone,
            requested_host=move.requested_host,
            ignore_hosts=[move.source],
            **disks,
        )
        return search.Search(self._deps, self._context, spec, move.reasons)

    def _looked(self) -> search.Search:
        """Give the search, begun when it is first needed."""
        if self._search is None:
            self._search = self._begin()
        return self._search

    def _select(self) -> str:
        """Claim the next best host for the server."""
        host = self._step("select_destinations", self._deps.conf.host, self._looked().next)
        self.push(f"the claim on {host}", lambda: self._release(host))
        return host

    def _check_pair(self, host: str) -> objects.LibvirtLiveMigrateData:
        """Ask destination, then source; a test file that nobody needs any more goes."""
        destination = self._deps.compute(host)
        source = self._deps.compute(self._migration.source)
        data = objects.LibvirtLiveMigrateData(
            migration_uuid=self._migration.uuid,
            block_migration=self._migration.block_migration,
            disk_over_commit=self._migration.disk_over_commit,
            test_file=checks.test_file(host),
        )
        # An answer that comes too late is nobody's, and its file would be too.
        self.push(f"the test file on {host}", lambda: self._clean(destination, data))
        data = self._step(
            "check_can_live_migrate_destination",
            host,
            lambda: destination.check_can_live_migrate_destination(
                self._context, self._instance, data
            ),
        )
        try:
            return self._step(
                "check_can_live_migrate_source",
                self._migration.source,
                lambda: source.check_can_live_migrate_source(
                    self._context, self._instance, data, self._migration.policy
                ),
            )
        except errors.Unavailable as silent:
            # No other destination makes it answer.
            raise errors.HostUnsuitable(f"the source cannot be asked: {silent}") from silent

    def _clean(self, destination: compute.Compute, data: objects.LibvirtLiveMigrateData) -> None:
        """Have the test file removed; one that stays goes when its compute starts."""
        try:
            destination.check_can_live_migrate_destination_cleanup(self._context, data)
        except errors.Unavailable as away:
            LOG.warning("migration %s: its test file stays: %s", self._migration.uuid, away)

    def _step(self, name: str, host: str, act: Callable[[], T]) -> T:
        """Do one step of the journal: begun before it is sent, ended after."""
        step = objects.MigrationStep(
            migration_uuid=self._migration.uuid,
            step=name,
            host=host,
            attempt=len(self._looked().tried) + 1,
            started_at=self._deps.clock.now(),
        )
        with self._deps.database.write() as tx:
            # An abort, or another that took the move over, ends the checks here.
            moves.renew(tx, self._migration.uuid, self._deps.owner, moving.lease(self._deps))
            journal.step(tx, step)
        try:
            result = act()
        except errors.Error as error:
            # What refused first says more than that no host was left afterwards.
            if not self._looked().tried:
                self.failed_step, self.failed_host = name, host
            self._end(step, states.StepState.FAILED, error)
            raise
        self._end(step, states.StepState.DONE, None)
        return result

    def _end(
        self, step: objects.MigrationStep, state: states.StepState, error: errors.Error | None
    ) -> None:
        self._write(
            step.replace(
                state=state,
                finished_at=self._deps.clock.now(),
                error_code=error.code if error else None,
                error=error.message if error else None,
            )
        )

    def _write(self, step: objects.MigrationStep) -> None:
        with self._deps.database.write() as tx:
            journal.step(tx, step)

    def _release(self, host: str) -> None:
        """Give the claim back, unless the server lives there by now or moves there again."""
        with self._deps.database.write() as tx:
            going = moves.active(tx, self._instance.uuid)
            other = None if going is None or going.uuid == self._migration.uuid else going
            if other is not None and other.destination in {None, host}:
                return  # should that one go elsewhere, it leaves this host itself
            if servers.get(tx, self._instance.uuid, deleted=True).host != host:
                claims.release(tx, self._instance.uuid, host)

    def _named(self, host: str, refusal: errors.Error) -> errors.Error:
        # Who does not answer is named already.
        silent = isinstance(refusal, errors.Unavailable)
        told = refusal.message if silent else f"{host}: {refusal.message}"
        return type(refusal)(told, reasons=self._looked().tried)
