"""A live migration at its source: start it, wait for its end, and ask who has the guest."""

from __future__ import annotations

import ipaddress
from typing import Any
from typing import TYPE_CHECKING

import libvirt
from oslo_log import log

from common import errors
from common import objects
from services.compute.virt import driver
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import progress
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import trouble

if TYPE_CHECKING:
    from services.compute.virt.libvirt import connection
    from services.compute.virt.libvirt import events

LOG = log.getLogger(__name__)

LEAVING = records.Role.LEAVING
# Seconds after the job's end in which its statistics come; they come in a few ms.
STATISTICS = 1.0

# The destination's definition is permanent before the guest runs there, and the source's goes
# only when the destination has confirmed: at every instant at least one host can start it.
ALWAYS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)

# Seconds that a libvirt daemon gets to come back after it was lost in the middle of a move.
PATIENCE = 60
LEFT = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED)
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

    def run(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> driver.JobEnd:
        """Move the guest; returns when the job has ended, however it ended."""
        uuid = instance.uuid
        folder = self._here.folder(uuid)
        paths = [] if data.is_shared else [str(folder)]
        record = records.Record(data.migration_uuid, uuid, paths)
        with trouble.files(f"note the move of server {uuid}"):
            # An earlier move that has not left by now never will.
            records.drop_all(self._here.instances, LEAVING, uuid)
            records.write(self._here.instances, LEAVING, record)
        memory = int(instance.flavor.memory_mb) << 20
        self._running[uuid] = progress.Progress(data.migration_uuid, memory)
        try:
            with self._told.job(uuid) as statistics:
                failure = self._move(uuid, data)
                ended = statistics.get(0.0 if failure else STATISTICS)
                end = self._judge(uuid, failure, ended or {})
        finally:
            self._running.pop(uuid, None)
        if not end.gone:
            records.drop(self._here.instances, LEAVING, data.migration_uuid)
        return end

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
        tracked = self._running.get(uuid)
        if tracked is None:
            tracked = self._running.setdefault(uuid, progress.Progress("", 0))
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
                if trouble.code(error) != libvirt.VIR_ERR_OPERATION_INVALID:
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

    def _move(self, uuid: str, data: objects.LibvirtLiveMigrateData) -> libvirt.libvirtError | None:
        """Run the job in this thread; gives libvirt's complaint, or None."""
        opened = self._link.get()
        try:
            domain = opened.lookupByUUIDString(uuid)
            domain.migrateSetMaxDowntime(self._here.downtime_ms, 0)
            domain.migrateToURI3(
                data.destination_uri, parameters(data, self._here.bandwidth), flags(data)
            )
        except libvirt.libvirtError as error:
            return error
        return None

    def _judge(
        self, uuid: str, failure: libvirt.libvirtError | None, stats: dict[str, Any]
    ) -> driver.JobEnd:
        """Ask the source's domain who has the guest; libvirt's complaint only tells why."""
        reason = "" if failure is None else explain(failure)
        gone = failure is None or self._gone(uuid)
        cancelled = failure is not None and trouble.code(failure) in CANCELLED
        return driver.JobEnd(
            gone=gone,
            cancelled=cancelled and not gone,
            reason="" if gone else reason,
            downtime_ms=stats.get("downtime"),
            job_ms=stats.get("time_elapsed"),
        )

    def _gone(self, uuid: str) -> bool:
        """Tell whether the guest left; a guest that merely died here did not.

        A daemon that was restarted in the middle gets time to come back.
        HypervisorError when it does not, or does not know itself.
        """
        self._link.wait(PATIENCE)
        opened = self._link.get()
        with trouble.told(f"ask who runs server {uuid}"):
            domain = guests.find(opened, uuid)
            if domain is None:
                return True
            state = tuple(domain.state())
        if state in UNDECIDED:
            raise errors.HypervisorError(
                f"server {uuid} stands still on {self._here.host} in the middle of its move: "
                "the destination knows whether it runs there"
            )
        return state == LEFT


def explain(failure: libvirt.libvirtError) -> str:
    """libvirt's words, and what they mean where they do not say."""
    if trouble.lost(failure):
        return f"{trouble.words(failure)}; the connection to a libvirt daemon was lost"
    return trouble.words(failure) + ADVICE.get(trouble.code(failure), "")


def flags(data: objects.LibvirtLiveMigrateData) -> int:
    """The VIR_MIGRATE_ flags of one move."""
    wanted: int = ALWAYS
    if data.block_migration and data.disks:
        wanted |= libvirt.VIR_MIGRATE_NON_SHARED_INC
    if data.unsafe:
        wanted |= libvirt.VIR_MIGRATE_UNSAFE
    return wanted


def parameters(data: objects.LibvirtLiveMigrateData, bandwidth: int) -> dict[str, Any]:
    """The VIR_MIGRATE_PARAM_ values of one move; `bandwidth` in MiB per second, 0 without limit."""
    address = data.destination_address
    given: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{bracketed(address)}"}
    if numeric(address):
        # A name may mean another address at the destination itself.
        given[libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = address
    if bandwidth:
        given[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = bandwidth
    if data.block_migration and data.disks:
        given[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [disk.target for disk in data.disks]
    return given


def numeric(address: str) -> bool:
    """Tell whether an address needs no resolving."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def bracketed(address: str) -> str:
    """An address as a URI takes it."""
    return f"[{address}]" if ":" in address else address
