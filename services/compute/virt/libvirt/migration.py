"""A live migration at its source: start it, wait for its end, and ask who has the guest."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import libvirt
from oslo_log import log

from common import errors
from common import objects
from services.compute.virt import driver
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import native
from services.compute.virt.libvirt import progress
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import terms
from services.compute.virt.libvirt import trouble

if TYPE_CHECKING:
    from services.compute.virt.libvirt import connection
    from services.compute.virt.libvirt import events

LOG = log.getLogger(__name__)

LEAVING = records.Role.LEAVING
# Seconds after the job's end in which its statistics come; they come in a few ms.
STATISTICS = 1.0

# Seconds that a libvirt daemon gets to come back after it was lost in the middle of a move.
PATIENCE = 60
LOOK = 1.0  # seconds between two looks while nothing is told
# Undefined by the move itself, or not yet.
LEFT = frozenset({None, (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED)})
# Paused at the switch, by a daemon that has not heard how it ended.
UNDECIDED = frozenset(
    {
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED),
    }
)
GONE = frozenset({libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN})
CANCELLED = frozenset({libvirt.VIR_ERR_OPERATION_ABORTED})

ADVICE: dict[int, str] = {
    libvirt.VIR_ERR_MIGRATE_UNSAFE: "; libvirt does not know that this file system is shared: "
    "[libvirt] trust_shared_probe lets Whimbrel's own test vouch for it",
}


class Failure(NamedTuple):
    """Why a job may have failed."""

    reason: str
    cancelled: bool


NOTHING = Failure("", cancelled=False)
UNKNOWN = Failure("libvirt ended the job; why, it told a process that is no more", cancelled=False)
Statistics = dict[str, Any]


class Migration:
    """The moves away from this host."""

    def __init__(
        self, here: settings.Settings, link: connection.Connection, told: events.Events
    ) -> None:
        """Begin with no move."""
        self._here = here
        self._link = link
        self._told = told
        self._running: dict[str, progress.Progress] = {}
        self._found: dict[str, progress.Progress] = {}  # began before this process did

    def run(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> driver.JobEnd:
        """Move the guest; returns when the job has ended, however it ended.

        A job that an earlier process began goes on by itself; it is followed to its end.
        """
        uuid = instance.uuid
        if uuid in self._running:
            raise errors.WrongState(f"server {uuid} is being moved already")
        memory = int(instance.flavor.memory_mb) << 20
        self._running[uuid] = progress.Progress(data.migration_uuid, memory)
        try:
            self._note(instance, data)
            with self._told.job(uuid) as told:
                if self.job(uuid) is None:
                    failure, statistics = self._move(uuid, data, told)
                else:
                    failure, statistics = self._follow(uuid, told)
            # libvirt's complaint only says why; who has the guest is asked.
            gone = failure is None or self._gone(uuid)
        finally:
            self._running.pop(uuid, None)
            self._found.pop(uuid, None)
        if not gone:
            records.drop(self._here.instances, LEAVING, data.migration_uuid)
        return conclude(gone, failure, statistics)

    def job(self, uuid: str) -> objects.MigrationProgress | None:
        """Ask libvirt once for the job's statistics; None when no move is going on."""
        opened = self._link.get()
        with trouble.told(f"ask for the job of server {uuid}"):
            try:
                stats = opened.lookupByUUIDString(uuid).jobStats()
            except libvirt.libvirtError as error:
                # The guest is not here, or is off, or left while it was asked.
                if trouble.code(error) in GONE:
                    return None
                raise
        if stats.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
            return None
        tracked = self._running.get(uuid) or self._found.setdefault(uuid, progress.Progress("", 0))
        return tracked.read(stats, self._told.iteration(uuid))

    def abort(self, uuid: str) -> None:
        """Stop the running job; WrongState when there is none."""
        opened = self._link.get()
        with trouble.told(f"abort the move of server {uuid}"):
            domain = guests.find(opened, uuid)
            try:
                if domain is not None:
                    domain.abortJob()
                    return
            except libvirt.libvirtError as error:
                if trouble.code(error) not in GONE:
                    raise
        raise errors.WrongState(f"no move of server {uuid} is running on {self._here.host}")

    def leave(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove definition and local disks of a guest that went; Conflict when it runs here."""
        uuid = instance.uuid
        opened = self._link.get()
        record = records.read(self._here.instances, LEAVING, data.migration_uuid)
        with trouble.told(f"forget server {uuid}"):
            standing = guests.standing(opened, uuid)
            if standing is guests.Standing.ACTIVE:
                raise errors.Conflict(f"server {uuid} runs on {self._here.host}: nothing removed")
            # One that is on its way back here is another move's.
            if record is None or standing is guests.Standing.INCOMING:
                return
            guests.forget(opened, uuid, libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
        with trouble.files(f"remove the disks of server {uuid}"):
            if record.paths:
                disks.remove(self._here.folder(uuid))
            records.drop(self._here.instances, LEAVING, data.migration_uuid)

    def _note(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Write down what leave() may remove."""
        paths = [] if data.is_shared else [str(self._here.folder(instance.uuid))]
        record = records.Record(data.migration_uuid, instance.uuid, paths)
        with trouble.files(f"note the move of server {instance.uuid}"):
            # An earlier move that has not left by now never will.
            records.drop_all(self._here.instances, LEAVING, instance.uuid)
            records.write(self._here.instances, LEAVING, record)

    def _move(
        self, uuid: str, data: objects.LibvirtLiveMigrateData, told: native.Queue[Statistics]
    ) -> tuple[Failure | None, Statistics]:
        """Run the job in this thread; gives libvirt's complaint, if any, and its statistics."""
        opened = self._link.get()
        try:
            domain = opened.lookupByUUIDString(uuid)
            domain.migrateSetMaxDowntime(self._here.downtime_ms, 0)
            given = terms.parameters(data, self._here.bandwidth)
            domain.migrateToURI3(data.destination_uri, given, terms.flags(data))
        except libvirt.libvirtError as error:
            return explain(error), told.get(0.0) or {}
        return None, told.get(STATISTICS) or {}

    def _follow(
        self, uuid: str, told: native.Queue[Statistics]
    ) -> tuple[Failure | None, Statistics]:
        """Wait for the end of a job that runs already; whether it failed is still to be asked."""
        LOG.info("server %s is on its way already, following it", uuid)
        found: Statistics | None = None
        while found is None and self.job(uuid) is not None:
            found = told.get(LOOK)
        return UNKNOWN, found or told.get(STATISTICS) or {}

    def _gone(self, uuid: str) -> bool:
        """Tell whether the guest left; a guest that merely died here did not.

        A daemon that was restarted in the middle gets time to come back.
        HypervisorError when it does not, or does not know itself.
        """
        self._link.wait(PATIENCE)
        with self._told.waiter(uuid) as news:
            for _look in range(PATIENCE):
                state = self._state(uuid)
                if state not in UNDECIDED:
                    return state in LEFT
                news.get(LOOK)
        raise errors.HypervisorError(
            f"server {uuid} stands still on {self._here.host} in the middle of its move: "
            "the destination knows whether it runs there"
        )

    def _state(self, uuid: str) -> tuple[int, int] | None:
        opened = self._link.get()
        with trouble.told(f"ask who runs server {uuid}"):
            try:
                state, reason = opened.lookupByUUIDString(uuid).state()
            except libvirt.libvirtError as error:
                if trouble.code(error) == libvirt.VIR_ERR_NO_DOMAIN:
                    return None
                raise
        return state, reason


def conclude(
    gone: bool,  # noqa: FBT001 - the first field of what is made
    failure: Failure | None,
    statistics: Statistics,
) -> driver.JobEnd:
    """Say how a job ended; a guest that is gone needs no reason."""
    why = NOTHING if failure is None or gone else failure
    return driver.JobEnd(
        gone=gone,
        cancelled=why.cancelled,
        reason=why.reason,
        downtime_ms=statistics.get("downtime"),
        job_ms=statistics.get("time_elapsed"),
    )


def explain(error: libvirt.libvirtError) -> Failure:
    """libvirt's words, and what they mean where they do not say."""
    advice = ADVICE.get(trouble.code(error), "")
    if trouble.lost(error):
        advice = "; the connection to a libvirt daemon was lost"
    return Failure(trouble.words(error) + advice, trouble.code(error) in CANCELLED)
