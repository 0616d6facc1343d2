"""A live migration as its source drives it: prepare, run, watch, hand over or undo."""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
from typing import TYPE_CHECKING

import tenacity

from common import context as contexts
from common import errors
from common import states
from services.compute import journal

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from services.compute.deps import Deps
    from services.compute.virt.driver import JobEnd

LOG = logging.getLogger(__name__)

POLL = 0.25  # seconds between looks at the hypervisor's job
FINISH = 300  # seconds for which a destination is asked for the guest that it has
REMEMBERED = 1000  # moves that have ended here


class Outgoing:
    """The moves that leave this host."""

    def __init__(self, deps: Deps) -> None:
        """Begin with no move."""
        self._deps = deps
        self._lock = threading.Lock()
        self._going: dict[str, _Move] = {}
        self._ended: collections.deque[str] = collections.deque(maxlen=REMEMBERED)

    def start(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> None:
        """Begin a move beside everything else; one that goes on or has ended is left alone."""
        move = _Move(self._deps, context, instance, migration)
        with self._lock:
            if migration.uuid in self._going or migration.uuid in self._ended:
                LOG.info("migration %s: goes on or has ended here already", migration.uuid)
                return
            self._going[migration.uuid] = move
        self._deps.threads.spawn(self._drive, move, migration.uuid)

    def abort(self, migration: str) -> None:
        """Stop a move, or raise WrongState when it is not going on here."""
        move = self._going.get(migration)
        if move is None:
            raise errors.WrongState(f"migration {migration} is not going on at this host")
        move.abort("aborted by a user")

    def _drive(self, move: _Move, migration: str) -> None:
        try:
            contexts.adopt(move.context)
            move.drive()
        except errors.StaleWrite as decided:
            LOG.warning("migration %s: left as it is: %s", migration, decided)
            self._ended.append(migration)
        except Exception:
            LOG.exception("migration %s: stopped unexpectedly", migration)
        else:
            self._ended.append(migration)
        finally:
            with self._lock:
                del self._going[migration]
            self._deps.reporter.forget(migration)


class _Move:
    """One guest on its way."""

    def __init__(
        self,
        deps: Deps,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
    ) -> None:
        self._deps = deps
        self.context = context
        self._instance = instance
        self._migration = migration
        self._destination = deps.peer(str(migration.destination))
        self._journal = journal.Journal(deps.clock, migration)
        self._aborted: str | None = None
        self._running = False

    def drive(self) -> None:
        """Go from preparing to a terminal status, whatever goes wrong."""
        try:
            self._go()
        except errors.StaleWrite:
            raise
        except errors.Error as lost:
            self._stuck(lost)
        except Exception as unexpected:
            LOG.exception("migration %s: its source failed unexpectedly", self._migration.uuid)
            kind = type(unexpected).__name__
            self._stuck(
                errors.RemoteError(
                    f"{self._deps.conf.host} failed unexpectedly: {kind}; its log has the reason"
                )
            )

    def _go(self) -> None:
        if not self._prepare():
            return
        self._journal.begin("migrate", self._migration.source)
        self._begin()
        if self._aborted is not None:
            self._undo(errors.MoveAborted(self._aborted), "migrate", self._migration.source, None)
            return
        ended = self._run()
        if ended.gone:
            self._hand_over(ended)
            return
        self._undo(_reason(ended, self._aborted), "migrate", self._migration.source, ended)

    def abort(self, reason: str) -> None:
        """Stop the hypervisor's job; before it has begun, keep it from beginning."""
        self._aborted = reason
        if self._running:
            self._stop_job()

    def _stop_job(self) -> None:
        # The job may be a moment away from its begin or its end: _watch tries again.
        with contextlib.suppress(errors.WrongState, errors.HypervisorError):
            self._deps.threads.native(self._deps.driver.abort, self._instance.uuid)

    def _prepare(self) -> bool:
        """Have the destination make ready; the journal has this step already."""
        self._journal.begun("pre_live_migration", str(self._migration.destination))
        try:
            data = self._destination.pre_live_migration(
                self.context, self._instance, self._migration
            )
        except errors.Error as refusal:
            self._undo(refusal, "pre_live_migration", str(self._migration.destination), None)
            return False
        self._journal.ended("pre_live_migration")
        self._migration = self._migration.replace(data=data)
        return True

    def _begin(self) -> None:
        """Report that it runs; when another has decided meanwhile, take the preparation back."""
        try:
            self._tell(states.Move.RUNNING, {states.Move.PREPARING})
        except errors.StaleWrite:
            self._roll_back()
            raise

    def _run(self) -> JobEnd:
        """Run the hypervisor's job to its end, reporting how far it is."""
        driver, threads = self._deps.driver, self._deps.threads
        self._running = True
        job = threads.start(driver.migrate, self._instance, self._migration.data)
        started = self._deps.clock.monotonic()
        while not job.wait(POLL):
            self._watch(self._deps.clock.monotonic() - started)
        self._running = False
        return job.result()

    def _watch(self, elapsed: float) -> None:
        progress = self._look()
        if progress is not None:
            self._deps.reporter.post(
                progress.replace(
                    migration_uuid=self._migration.uuid, generation=self._migration.generation
                )
            )
        if self._aborted is not None:
            self._stop_job()
            return
        limit = self._time_limit()
        if limit and elapsed > limit:
            self.abort(f"not finished within {limit:.0f} s")

    def _look(self) -> objects.MigrationProgress | None:
        """Ask how far the job is; whatever a look says, only the job's own end decides."""
        try:
            return self._deps.threads.native(self._deps.driver.job, self._instance.uuid)
        except Exception as failed:
            LOG.warning(
                "migration %s: how far it is cannot be told now: %s",
                self._migration.uuid,
                failed,
                exc_info=not isinstance(failed, errors.Error),
            )
            return None

    def _time_limit(self) -> float:
        """Seconds the move may take: per GiB of memory and copied disk, two at least."""
        flavor = self._instance.flavor
        data = self._migration.data
        disk_gb = flavor.root_gb if data is not None and data.block_migration else 0
        size = max(flavor.memory_mb / 1024 + disk_gb, 2)
        return float(self._deps.conf.libvirt.live_migration_completion_timeout * size)

    def _hand_over(self, ended: JobEnd) -> None:
        """See the guest run at the destination, clean up here, and report."""
        self._journal.ended("migrate")
        destination = str(self._migration.destination)
        self._journal.begin("post_live_migration_at_destination", destination)
        self._tell(states.Move.POST_MIGRATING, {states.Move.RUNNING, states.Move.POSTCOPY})
        power = self._finish()
        self._journal.ended("post_live_migration_at_destination")
        self._leave()
        self._tell(
            states.Move.COMPLETED,
            {states.Move.POST_MIGRATING},
            power_state=power,
            progress=self._deps.reporter.arrived(self._migration.uuid),
            downtime_ms=ended.downtime_ms,
            job_ms=ended.job_ms,
        )
        LOG.info("migration %s: server %s is gone", self._migration.uuid, self._instance.uuid)

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(errors.Unavailable),
        wait=tenacity.wait_exponential(multiplier=0.5, max=15),
        stop=tenacity.stop_after_delay(FINISH),
        before_sleep=tenacity.before_sleep_log(LOG, logging.WARNING),
        reraise=True,
    )
    def _finish(self) -> int:
        """Have the destination take the guest over, through a time without a broker."""
        return self._destination.post_live_migration_at_destination(
            self.context, self._instance, self._migration
        )

    def _leave(self) -> None:
        """Remove what stays behind; the guest has been seen running elsewhere."""
        with self._journal.step("leave_source", self._migration.source):
            self._deps.threads.native(self._deps.driver.leave, self._instance, self._migration.data)

    def _undo(self, error: errors.Error, step: str, host: str, ended: JobEnd | None) -> None:
        """Clean the destination and end the move; the guest runs here, untouched."""
        if self._journal.is_open(step):
            self._journal.failed(step, error)
        self._roll_back()
        cancelled = isinstance(error, errors.MoveAborted)
        self._tell(
            states.Move.CANCELLED if cancelled else states.Move.FAILED,
            {states.Move.PREPARING, states.Move.RUNNING},
            error_code=error.code,
            error_message=error.message,
            failed_step=step,
            failed_host=host,
            job_ms=ended.job_ms if ended else None,
        )

    def _roll_back(self) -> None:
        destination = str(self._migration.destination)
        with self._journal.step("rollback_live_migration_at_destination", destination):
            self._destination.rollback_live_migration_at_destination(
                self.context, self._instance, self._migration
            )

    def _stuck(self, error: errors.Error) -> None:
        """Nobody can say where the guest is: change nothing and call a person."""
        step = self._journal.failed_at(error)
        self._tell(
            states.Move.ERROR,
            set(states.IN_SLOT),
            error_code=error.code,
            error_message=f"{error.message}; look on {self._migration.source} and "
            f"{self._migration.destination} for the guest, and kill neither",
            failed_step=step.step if step else None,
            failed_host=step.host if step else self._migration.source,
        )

    def _tell(self, status: states.Move, expected: set[states.Move], **facts: object) -> None:
        report = self._journal.report(status, expected, self._deps.conf.host, **facts)
        self._migration = self._deps.reporter.move(self.context, report).replace(
            data=self._migration.data
        )


def _reason(ended: JobEnd, aborted: str | None) -> errors.Error:
    if ended.cancelled:
        return errors.MoveAborted(aborted or ended.reason)
    return errors.MoveFailed(ended.reason)
