"""One live migration as its source drives it: prepare, run, watch, hand over or undo."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from common import errors
from common import states
from services.compute import far
from services.compute import link
from services.compute import recovery
from services.compute import row
from services.compute import standing
from services.compute import steering
from services.compute import stopping
from services.compute.virt.driver import JobEnd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from common.context import Context
    from services.compute.concurrency import Bell
    from services.compute.concurrency import Job
    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)

POLL = 0.25  # seconds between looks at the hypervisor's job, unless it tells something
PREPARE = "pre_live_migration"
SWITCH = "switch_to_post_copy"
# How a job ended that an earlier process has seen end well.
ARRIVED = JobEnd(gone=True, cancelled=False, reason="", downtime_ms=None, job_ms=None)
BROKEN = ARRIVED._replace(gone=False, broken=True)


class Move:
    """One guest on its way."""

    def __init__(
        self,
        deps: Deps,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
        written: Sequence[objects.MigrationStep] = (),
    ) -> None:
        """Stand at its source with a slot held; drive() begins it, or goes on with it."""
        self._deps = deps
        self.context = context
        self._instance = instance
        self.attempt = (migration.uuid, migration.generation)
        self._destination = deps.peer(str(migration.destination))
        self._row = row.Row(deps, context, migration, written)
        self._journal = self._row.journal
        self._steering: steering.Steering | None = None
        self._link = link.Link(deps, instance, migration)
        self._stop = stopping.Stop(deps, instance.uuid, migration.uuid, self._link)
        self._standing = standing.Standing(self._row)
        self._post_copy = False

    @property
    def _migration(self) -> objects.Migration:
        return self._row.now

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

    def abort(self, reason: str) -> None:
        """Stop the hypervisor's job; before it has begun, keep it from beginning.

        WrongState in post-copy, when the guest runs at the destination already,
        and when the hypervisor says that it is too late, or its end is reported.
        """
        if self._post_copy:
            raise errors.WrongState(
                f"migration {self._migration.uuid} is in post-copy: the guest runs on "
                f"{self._migration.destination} already, and only going on brings its memory there"
            )
        self._stop.want(reason)
        if self._steering is not None:
            self._stop.order(copies=self._steering.copies)

    def force(self) -> None:
        """Make the running move end: by post-copy if its policy allows, else by a pause."""
        self._steered().force()

    def change(self, policy: objects.MigrationPolicy) -> None:
        """Go on by another policy; a move that stands still takes it when it goes on."""
        steered = self._steered()
        if not self._standing.waits:
            steered.change(policy)
            return
        with contextlib.suppress(errors.WrongState, errors.HypervisorError):
            steered.change(policy)
        steered.policy = policy

    def _steered(self) -> steering.Steering:
        if self._steering is None:
            raise errors.WrongState(
                f"migration {self._migration.uuid} does not run yet; try again in a second"
            )
        return self._steering

    def _go(self) -> None:
        """Begin at the beginning, or where an earlier process of this host has left off."""
        status = states.Move(self._migration.status)
        if status == states.Move.PREPARING and (self._row.leased() or not self._begun()):
            self._first()
            return
        LOG.info("migration %s: taken up again while %s", self._migration.uuid, status)
        if self._migration.progress is not None:
            # It goes on from there, and ends with all of it done.
            self._deps.reporter.post(self._migration.progress)
        if status == states.Move.POST_MIGRATING:
            self._hand_over(ARRIVED)
            return
        if status == states.Move.POSTCOPY:
            self._post_copy = True
            self._link.let_be()
        if not self._journal.is_open(standing.RECOVERY):
            self._journal.begin("migrate", self._migration.source)
        self._steer()

    def _begun(self) -> bool:
        """Tell whether an earlier process has begun the job, and ended before it was heard."""
        if self._look() is not None:
            return True
        return self._deps.threads.native(self._deps.driver.guest, self._instance.uuid) is None

    def _first(self) -> None:
        if not self._prepare():
            return
        self._journal.begin("migrate", self._migration.source)
        self._begin()
        if self._stop.reason is not None:
            self._undo(
                errors.MoveAborted(self._stop.reason), "migrate", self._migration.source, None
            )
            return
        self._steer(begins=True)

    def _steer(self, *, begins: bool = False) -> None:
        """Run the job by its policy; one that runs already is followed to its end."""
        # Before its job has begun, whatever goes wrong ends with the guest where it is.
        harmless = errors.Error if begins else errors.CheckFailed
        try:
            steered = steering.Steering(self._deps, self._instance, self._migration, self._journal)
        except harmless as refusal:
            self._undo(refusal, "migrate", self._migration.source, None)
            return
        self._steering = steered
        if begins:
            steered.begin()
        else:
            steered.resume(self._journal.since("migrate"))
        self._end(self._run(steered))

    def _end(self, ended: JobEnd) -> None:
        if ended.broken:
            ended = self._recover(ended)
        self._standing.mend()
        if ended.gone:
            self._hand_over(ended)
            return
        self._let_go_on()
        aborted = self._stop.reason or self._steered().given_up
        why = self._link.explain(ended, aborted)
        self._undo(why, "migrate", self._migration.source, ended)

    def _let_go_on(self) -> None:
        """Let a guest that was made to stand still go on; one that cannot is for a person."""
        try:
            self._steered().release()
        except errors.Error as still:
            self._journal.begin("let_go_on", self._migration.source)
            self._journal.failed("let_go_on", still)

    def _prepare(self) -> bool:
        """Have the destination make ready; the journal has this step already."""
        self._journal.begun(PREPARE, str(self._migration.destination))
        asked = far.Asked(self._destination, self.context, self._instance, self._migration)
        try:
            data = far.prepare(asked, self._deps.threads, lambda: self._stop.reason)
        except errors.Error as refusal:
            self._link.blame(refusal)
            self._undo(refusal, PREPARE, str(self._migration.destination), None)
            return False
        self._journal.ended(PREPARE)
        self._row.agree(data)
        return True

    def _begin(self) -> None:
        """Report that it runs; when another has decided meanwhile, take the preparation back.

        While the lease lasts nobody decides about it but this host: nothing is waited for.
        """
        if self._row.leased():
            self._row.tell_soon(states.Move.RUNNING, {states.Move.PREPARING})
            return
        try:
            self._row.tell(states.Move.RUNNING, {states.Move.PREPARING})
        except errors.StaleWrite:
            self._roll_back()
            raise

    def _run(self, steered: steering.Steering) -> JobEnd:
        """Run the hypervisor's job to its end, steering it by its policy."""
        driver = self._deps.driver
        job = self._deps.threads.start(driver.migrate, self._instance, self._data(), steered.policy)
        self._deps.threads.spawn(self._link.guard, job)
        return self._follow(job)

    def _data(self) -> objects.LibvirtLiveMigrateData:
        """Give what both hosts agreed on; every move that was checked has it."""
        if self._migration.data is None:
            raise errors.Invalid(f"migration {self._migration.uuid} has never been checked")
        return self._migration.data

    def _follow(self, job: Job[JobEnd]) -> JobEnd:
        """Watch a job until it has ended: at once when it tells something, and now and then."""
        threads, clock = self._deps.threads, self._deps.clock
        bell, started = threads.bell(), clock.monotonic()
        threads.start(self._listen, job, bell)
        with contextlib.closing(bell):
            while not job.wait(0):
                bell.wait(POLL)
                if not job.wait(0):
                    self._watch(clock.monotonic() - started)
        return job.result()

    def _listen(self, job: Job[JobEnd], bell: Bell) -> None:
        """Ring for what the hypervisor tells of the job, in a native thread, until it is over."""
        while not job.over:
            if self._deps.driver.wait_job(self._instance.uuid, POLL):
                bell.ring()

    def _watch(self, elapsed: float) -> None:
        progress = self._look()
        if progress is not None:
            progress = progress.replace(
                migration_uuid=self._migration.uuid, generation=self._migration.generation
            )
            self._deps.reporter.post(progress)
            if progress.post_copy and not self._post_copy:
                self._switched()
            if self._standing.goes_on(progress):
                # The old stream, where it lives again, still has the limit that it began with.
                self._steered().apply()
        if (self._stop.reason or self._steered().given_up) and not self._post_copy:
            self._stop.again()
        elif progress is not None:
            self._steered().observe(progress, elapsed)

    def _switched(self) -> None:
        """Report that the guest runs at the destination while its memory still comes."""
        self._let_go()
        self._row.tell(states.Move.POSTCOPY, {states.Move.RUNNING, states.Move.POSTCOPY})

    def _let_go(self) -> None:
        """Note that the guest runs at the destination: from now on nothing is undone."""
        if not self._post_copy:
            self._journal.begin(SWITCH, self._migration.source)
            self._journal.ended(SWITCH)
        self._post_copy = True
        self._link.let_be()

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

    def _recover(self, ended: JobEnd) -> JobEnd:
        """Mend a post-copy whose link broke: the guest waits, and going on is all that helps.

        LinkLost where these hypervisors cannot: nobody but a person can help then.
        """
        self._let_go()
        if not self._steered().recovers:
            raise errors.LinkLost(
                f"the link between {self._link.name} broke in post-copy ({ended.reason}), and "
                "libvirt or QEMU on one of them is too old to go on over a new one"
            )
        mending = recovery.Recovery(self._deps, self.context, self._instance, self._migration)
        while ended.broken:
            self._standing.stand(ended.reason)
            mending.wait()
            ended = ARRIVED if mending.arrived() else self._try(mending)
        return ended

    def _try(self, mending: recovery.Recovery) -> JobEnd:
        """Try once to go on, by the policy as it is now."""
        try:
            return self._follow(mending.begin(self._steered().policy))
        except (errors.HypervisorError, errors.WrongState) as still:
            return BROKEN._replace(reason=still.message)

    def _hand_over(self, ended: JobEnd) -> None:
        """See the guest run at the destination, clean up here, and report."""
        if self._journal.is_open("migrate"):
            self._journal.ended("migrate")
        destination = str(self._migration.destination)
        self._journal.begin("post_live_migration_at_destination", destination)
        self._row.tell_soon(states.Move.POST_MIGRATING, {states.Move.RUNNING, states.Move.POSTCOPY})
        arrival = far.finish(self._destination, self.context, self._instance, self._migration)
        self._journal.ended("post_live_migration_at_destination")
        self._leave()
        self._row.tell(
            states.Move.COMPLETED,
            {states.Move.POST_MIGRATING},
            power_state=arrival.power_state,
            progress=self._deps.reporter.arrived(self._migration.uuid),
            downtime_ms=_either(ended.downtime_ms, arrival.downtime_ms),
            job_ms=_either(ended.job_ms, arrival.job_ms),
        )
        LOG.info("migration %s: server %s is gone", self._migration.uuid, self._instance.uuid)

    def _leave(self) -> None:
        """Remove what stays behind; the guest has been seen running elsewhere."""
        with self._journal.step("leave_source", self._migration.source):
            self._deps.threads.native(self._deps.driver.leave, self._instance, self._migration.data)

    def _undo(self, error: errors.Error, step: str, host: str, ended: JobEnd | None) -> None:
        """Clean the destination and end the move; the guest runs here, untouched."""
        if self._journal.is_open(step):
            self._journal.failed(step, error)
        self._roll_back()
        wish = self._stop.over()
        if step == PREPARE and wish is not None:
            error = errors.MoveAborted(wish)
        cancelled = isinstance(error, errors.MoveAborted)
        self._row.tell(
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
            if self._link.lost is not None:
                raise errors.Unavailable(
                    f"{destination} is not asked over a dead link; the conductor asks it until "
                    "it answers"
                )
            far.clean(self._destination, self.context, self._instance, self._migration)

    def _stuck(self, error: errors.Error) -> None:
        """Nobody can say where the guest is: change nothing and call a person."""
        step = self._journal.failed_at(error)
        self._row.tell(
            states.Move.ERROR,
            set(states.IN_SLOT),
            error_code=error.code,
            error_message=f"{error.message}; look on {self._migration.source} and "
            f"{self._migration.destination} for the guest, and kill neither",
            failed_step=step.step if step else None,
            failed_host=step.host if step else self._migration.source,
        )


def _either(here: int | None, there: int | None) -> int | None:
    """Take what the source has measured; one that did not see the end asks the destination."""
    return there if here is None else here
