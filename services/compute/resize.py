"""The steps of a cold move on this host: each may be repeated, and is reported when it ends."""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import objects
from common import states
from services.compute import copying
from services.compute.virt import driver

if TYPE_CHECKING:
    import datetime

    from common.context import Context
    from services.compute.deps import Deps

LOG = logging.getLogger(__name__)

REMEMBERED = 1000  # steps that have ended here


@dataclasses.dataclass
class Work:
    """One step that goes on here."""

    deps: Deps
    context: Context
    instance: objects.Instance
    migration: objects.Migration
    step: str
    aborted: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def key(self) -> tuple[str, str, int]:
        """Give what a repeat of it has in common with it."""
        return self.migration.uuid, self.step, self.migration.generation

    @property
    def cold(self) -> objects.ColdMove:
        """Give what both hosts know of the move."""
        if self.migration.cold is None:
            raise errors.Invalid(f"migration {self.migration.uuid} is no cold one")
        return self.migration.cold

    def native(self, act: Callable[..., object], *args: object) -> object:
        """Call the driver for this guest and this move."""
        return self.deps.threads.native(act, self.instance, self.cold, *args)


class Resizes:
    """The steps of cold moves on this host."""

    def __init__(self, deps: Deps) -> None:
        """Begin with nothing going on."""
        self._deps = deps
        self._lock = threading.Lock()
        self._going: dict[str, Work] = {}  # by migration
        self._done: collections.OrderedDict[tuple[str, str, int], objects.StepReport] = (
            collections.OrderedDict()
        )

    def start(
        self,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
        step: str,
    ) -> None:
        """Begin a step beside everything else; one that goes on is left alone."""
        work = Work(self._deps, context, instance, migration, step)
        with self._lock:
            done = self._done.get(work.key)
            going = self._going.get(migration.uuid)
            if done is None and going is None:
                self._going[migration.uuid] = work
        if done is not None:
            LOG.info("migration %s: %s is done here already", migration.uuid, step)
            self._deps.threads.spawn(self._tell, context, done)
        elif going is not None:
            LOG.info("migration %s: %s goes on here", migration.uuid, going.step)
        else:
            self._deps.threads.spawn(self._run, work)

    def abort(self, migration: str) -> None:
        """Stop the copy of a move, or raise WrongState when it has nothing to stop here."""
        with self._lock:
            work = self._going.get(migration)
        if work is None or work.step not in ABORTABLE:
            raise errors.WrongState(f"migration {migration} copies nothing here now")
        work.aborted.set()

    def _run(self, work: Work) -> None:
        contexts.adopt(work.context)
        started = self._deps.clock.now()
        cold, error = work.migration.cold, None
        try:
            cold = STEPS[work.step](work)
        except errors.Error as refusal:
            error = refusal
        except Exception as unexpected:
            LOG.exception("migration %s: %s failed unexpectedly", work.migration.uuid, work.step)
            error = errors.RemoteError(
                f"{work.step} failed unexpectedly: {type(unexpected).__name__}; "
                f"the log of {self._deps.conf.host} has the reason"
            )
        report = self._report(work, started, cold, error)
        with self._lock:
            del self._going[work.migration.uuid]
            if error is None:
                self._remember(work, report)
        self._deps.reporter.forget(work.migration.uuid)
        self._tell(work.context, report)

    def _remember(self, work: Work, report: objects.StepReport) -> None:
        self._done[work.key] = report
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)

    def _report(
        self,
        work: Work,
        started: datetime.datetime,
        cold: objects.ColdMove | None,
        error: errors.Error | None,
    ) -> objects.StepReport:
        uuid, name = work.migration.uuid, work.step
        if error is None:
            LOG.info("migration %s: %s is done", uuid, name)
        else:
            LOG.warning("migration %s: %s failed: %s", uuid, name, error)
        guest = self._guest(work.instance)
        return objects.StepReport(
            migration_uuid=uuid,
            generation=work.migration.generation,
            step=name,
            host=self._deps.conf.host,
            started_at=started,
            finished_at=self._deps.clock.now(),
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            power_state=int(guest.power) if guest else None,
            run_token=guest.run_token or None if guest else None,
            cold=cold,
        )

    def _guest(self, instance: objects.Instance) -> driver.Guest | None:
        try:
            return self._deps.threads.native(self._deps.driver.guest, instance.uuid)
        except errors.HypervisorError:
            return None

    def _tell(self, context: Context, report: objects.StepReport) -> None:
        self._deps.reporter.step(context, report)


def prep_resize(work: Work) -> objects.ColdMove:
    """Check that the guest can live here, fetch its images, make the folder for its copies."""
    deps, instance = work.deps, work.instance
    missing = deps.threads.native(deps.cache.fetch, instance)
    cold = work.cold.replace(needs_images=sorted(missing))
    for name, lost in missing.items():
        LOG.warning(
            "migration %s: the source must give the %s: %s", work.migration.uuid, name, lost
        )
    return deps.threads.native(deps.driver.prepare_cold, instance, cold)


def resize_instance(work: Work) -> objects.ColdMove:
    """See that copies can go, copy while the guest runs, shut it down, copy the rest, keep it.

    When that fails, nobody has been told to start the guest elsewhere: it is
    brought back at once, however long its destination cannot be reached.
    """
    there = work.deps.threads.native(work.deps.driver.guest, work.instance.uuid)
    copy = copying.Copying(work.deps, work.instance, work.migration, work.cold, work.aborted)
    try:
        if there is not None:  # else it is kept aside already, and all of it was copied
            copy.greet()
        return copy.run()
    except errors.Error as trouble:
        # One that was kept aside before may be started at its destination by now.
        back = there is None or _bring_back_quietly(work)
        if not back and isinstance(trouble, errors.CopyPathClosed):
            # No other host is looked for before the guest is back.
            raise errors.MoveFailed(trouble.message) from trouble
        raise


def finish_resize(work: Work) -> objects.ColdMove:
    """Make the guest of its copies, and start it if it ran."""
    deps, instance = work.deps, work.instance
    cold = work.cold
    there = deps.threads.native(deps.driver.guest, instance.uuid)
    if there is not None and there.run_token == instance.run_token and _runs(there):
        return cold
    files = deps.threads.native(deps.cache.files, instance)
    deps.threads.native(deps.driver.assemble, instance, cold, files)
    if cold.was == states.Vm.ACTIVE:
        deps.threads.native(deps.driver.power_on, instance, files)
    return cold


def confirm_resize(work: Work) -> objects.ColdMove:
    """Remove what was kept here."""
    work.native(work.deps.driver.discard)
    return work.cold


def revert_resize(work: Work) -> objects.ColdMove:
    """Remove the guest from its destination: what it wrote there is lost, as was said."""
    deps = work.deps
    there = deps.threads.native(deps.driver.guest, work.instance.uuid)
    if there is not None:
        deps.threads.native(deps.driver.power_off, work.instance)
    work.native(deps.driver.undo_cold)
    return work.cold


def finish_revert_resize(work: Work) -> objects.ColdMove:
    """Bring the guest back as it was, and start it if it ran."""
    return _bring_back(work)


def settle_resize(work: Work) -> objects.ColdMove:
    """Forget what could be undone here: the move was confirmed."""
    work.native(work.deps.driver.settle)
    return work.cold


def undo_resize(work: Work) -> objects.ColdMove:
    """Remove what this move made here."""
    work.native(work.deps.driver.undo_cold)
    return work.cold


def restore_instance(work: Work) -> objects.ColdMove:
    """Bring the guest back that could not leave, and start it if it ran."""
    return _bring_back(work)


def _bring_back(work: Work) -> objects.ColdMove:
    try:
        work.native(work.deps.driver.put_back)
    except errors.NoDiskSpace:
        # Its disks become whole when there is room; the guest need not wait for that.
        _start(work)
        raise
    _start(work)
    return work.cold


def _bring_back_quietly(work: Work) -> bool:
    """Tell whether the guest is back; if not, who asked for the move has it tried again."""
    try:
        _bring_back(work)
    except errors.Error as trouble:
        LOG.warning(
            "migration %s: not brought back yet, which is tried again: %s",
            work.migration.uuid,
            trouble,
        )
        return False
    return True


def _start(work: Work) -> None:
    """Start a guest that ran, unless it does."""
    deps, instance = work.deps, work.instance
    there = deps.threads.native(deps.driver.guest, instance.uuid)
    if work.cold.was == states.Vm.ACTIVE and not (there and _runs(there)):
        files = deps.threads.native(deps.cache.files, instance)
        deps.threads.native(deps.driver.power_on, instance, files)


def _runs(guest: driver.Guest) -> bool:
    return guest.power in {states.Power.RUNNING, states.Power.PAUSED}


STEPS: dict[str, Callable[[Work], objects.ColdMove]] = {
    "prep_resize": prep_resize,
    "resize_instance": resize_instance,
    "finish_resize": finish_resize,
    "confirm_resize": confirm_resize,
    "revert_resize": revert_resize,
    "finish_revert_resize": finish_revert_resize,
    "settle_resize": settle_resize,
    "undo_resize": undo_resize,
    "restore_instance": restore_instance,
}
# The steps whose work can be stopped half-way.
ABORTABLE = frozenset({"resize_instance"})
