"""A live migration at its source: start it, wait for its end, and ask who has the guest."""

from __future__ import annotations

from collections.abc import Callable
from enum import auto
from enum import Enum
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import libvirt
from oslo_log import log

from common import errors
from common import objects
from services.compute import native
from services.compute.virt import driver
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import events
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import mirrors
from services.compute.virt.libvirt import power
from services.compute.virt.libvirt import progress
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import streams
from services.compute.virt.libvirt import terms
from services.compute.virt.libvirt import trouble

if TYPE_CHECKING:
    from services.compute.virt.libvirt import connection

LOG = log.getLogger(__name__)

LEAVING = records.Role.LEAVING
# Seconds after the job's end in which its statistics come; they come in a few ms.
STATISTICS = 1.0

# Seconds that a libvirt daemon gets to come back after it was lost in the middle of a move.
PATIENCE = 60
LOOK = 1.0  # seconds between two looks while nothing is told
STILL = 2.0  # seconds without a byte after which a stream is dead
# How often a broken stream is looked at, until QEMU at both ends has noticed its end.
TRIES = 20
AGAIN = 0.5  # seconds
REACH = 5.0  # seconds for a destination to answer before a broken move goes on
# Undefined by the move itself, or not yet.
LEFT = frozenset({None, (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED)})
POST_COPY = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY)
BROKEN = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)
# Paused at the switch, by a daemon that has not heard how it ended.
UNDECIDED = frozenset({(libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION), POST_COPY})
GONE = frozenset({libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN})
CANCELLED = frozenset({libvirt.VIR_ERR_OPERATION_ABORTED})

ADVICE: dict[int, str] = {
    libvirt.VIR_ERR_MIGRATE_UNSAFE: "; libvirt does not know that this file system is shared: "
    "[libvirt] trust_shared_probe lets Whimbrel's own test vouch for it",
}


class Outcome(Enum):
    """Who has the guest after a job's end."""

    STAYED = auto()
    LEFT = auto()
    HALVED = auto()  # broken in post-copy


class Failure(NamedTuple):
    """Why a job may have failed."""

    reason: str
    cancelled: bool


NOTHING = Failure("", cancelled=False)
UNKNOWN = Failure("libvirt ended the job; why, it told a process that is no more", cancelled=False)
Statistics = dict[str, Any]
Ending = tuple[Failure | None, Statistics]
Told = native.Queue[Statistics]


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
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        agreed: driver.Terms,
    ) -> driver.JobEnd:
        """Move the guest; returns when the job has ended, however it ended.

        What leave() may remove is written down before it begins, or it does not begin.

        A job that an earlier process began goes on by itself; it is followed to its end.
        """
        uuid = instance.uuid

        def act(told: Told) -> Ending:
            if self.job(uuid) is not None:
                return self._follow(uuid, told)
            if agreed.refusal:
                return Failure(agreed.refusal, cancelled=False), {}
            for note in agreed.notes:
                LOG.warning("server %s moves with %s", uuid, note)
            try:
                self._note(instance, data)
            except errors.Error as full:
                return Failure(full.message, cancelled=False), {}
            return self._move(uuid, data, agreed.policy, told)

        return self._tracked(instance, data, act)

    def recover(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> driver.JobEnd:
        """Go on with a move that broke in post-copy; WrongState when none waits here."""
        uuid = instance.uuid
        state = self._state(uuid)
        if state not in LEFT | {BROKEN, POST_COPY}:
            raise errors.WrongState(f"no broken move of server {uuid} waits on {self._here.host}")
        return self._tracked(instance, data, lambda told: self._resume(uuid, data, policy, told))

    def job(self, uuid: str) -> objects.MigrationProgress | None:
        """Ask libvirt once for the job's statistics; None when no move is going on."""
        opened = self._link.get()
        with trouble.told(f"ask for the job of server {uuid}"):
            try:
                domain = opened.lookupByUUIDString(uuid)
                stats = domain.jobStats()
                left = guests.left_behind(domain)
            except libvirt.libvirtError as error:
                # The guest is not here, or is off, or left while it was asked.
                if trouble.code(error) in GONE:
                    return None
                raise
        if stats.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
            return None
        tracked = self._running.get(uuid) or self._found.setdefault(uuid, progress.Progress("", 0))
        copies = mirrors.look(domain, tracked.targets) if stats.get("disk_total") else []
        return tracked.read(stats, self._told.iteration(uuid), copies, post_copy=left)

    def traffic(self, uuid: str) -> frozenset[streams.Stream]:
        """Give the guest's migration streams as the kernel counts them; none where it is not."""
        opened = self._link.get()
        with trouble.told(f"look at the streams of server {uuid}"):
            domain = guests.find(opened, uuid)
            pid = guests.pid(domain) if domain is not None else None
        return frozenset() if pid is None else streams.migrating(pid, self._here.ports)

    def cut_off(self, uuid: str) -> int:
        """End the streams of a move that still copies; WrongState in post-copy."""
        opened = self._link.get()
        with trouble.told(f"end the streams of server {uuid}"):
            domain = guests.find(opened, uuid)
            if domain is None or guests.halved(domain):
                raise errors.WrongState(f"no move of server {uuid} copies from {self._here.host}")
            pid = guests.pid(domain)
        return 0 if pid is None else streams.end(streams.migrating(pid, self._here.ports), pid)

    def leave(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove definition, local disks and a broken post-copy's half of a guest that went;
        Conflict when it runs here.
        """
        uuid = instance.uuid
        opened = self._link.get()
        record = records.read(self._here.instances, LEAVING, data.migration_uuid)
        with trouble.told(f"forget server {uuid}"):
            standing = guests.standing(opened, uuid)
            half = standing is guests.Standing.ACTIVE and self._state(uuid) == BROKEN
            if standing is guests.Standing.ACTIVE and not half:
                raise errors.Conflict(f"server {uuid} runs on {self._here.host}: nothing removed")
            # One that is on its way back here is another move's.
            if record is None or standing is guests.Standing.INCOMING:
                return
            if half:
                power.off(guests.demand(opened, uuid, self._here.host))
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

    def _tracked(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        act: Callable[[Told], Ending],
    ) -> driver.JobEnd:
        """Run a job to its end, and then ask who has the guest: libvirt's words only say why."""
        uuid = instance.uuid
        if uuid in self._running:
            raise errors.WrongState(f"server {uuid} is being moved already")
        memory = int(instance.flavor.memory_mb) << 20
        targets = [disk.target for disk in data.disks] if terms.copied(data) else []
        self._running[uuid] = progress.Progress(data.migration_uuid, memory, targets)
        try:
            with self._told.job(uuid) as told:
                failure, statistics = act(told)
            outcome = Outcome.LEFT if failure is None else self._outcome(uuid)
        finally:
            self._running.pop(uuid, None)
            self._found.pop(uuid, None)
            self._told.tell(uuid, events.ENDED)
        if outcome is Outcome.STAYED:
            records.drop(self._here.instances, LEAVING, data.migration_uuid)
        return ended(outcome, failure or NOTHING, statistics)

    def _move(
        self,
        uuid: str,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
        told: Told,
    ) -> Ending:
        """Run the job in this thread; gives libvirt's complaint, if any, and its statistics."""
        given, flags = terms.parameters(data, policy), terms.flags(data, policy)
        try:
            with self._link.another() as opened:
                domain = opened.lookupByUUIDString(uuid)
                domain.migrateSetMaxDowntime(terms.first_downtime(policy), 0)
                domain.migrateToURI3(data.destination_uri, given, flags)
        except libvirt.libvirtError as error:
            return explain(error), told.get(0.0) or {}
        return None, told.get(STATISTICS) or {}

    def _follow(self, uuid: str, told: Told) -> Ending:
        """Wait for the end of a job that runs already; whether it failed is still to be asked."""
        LOG.info("server %s is on its way already, following it", uuid)
        found: Statistics | None = None
        while found is None and self.job(uuid) is not None and self._state(uuid) != BROKEN:
            found = told.get(LOOK)
        return UNKNOWN, found or told.get(STATISTICS) or {}

    def _resume(
        self,
        uuid: str,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
        told: Told,
    ) -> Ending:
        """Go on over a new stream, unless the old one lives again by itself."""
        if self._lives(uuid, told):
            return self._outlasts(uuid, told)
        address = data.destination_address
        if not streams.answers(address, self._here.scheme, REACH):
            reason = f"the destination does not answer at {address}; the guest waits for it"
            return Failure(reason, cancelled=False), {}
        self._let_go(uuid)
        failure: Failure | None = UNKNOWN
        with self._told.waiter(uuid) as news:
            for _try in range(TRIES):
                failure, early = self._again(uuid, data, policy)
                if not early:
                    break
                news.get(AGAIN)
        return failure, told.get(STATISTICS if failure is None else 0.0) or {}

    def _again(
        self, uuid: str, data: objects.LibvirtLiveMigrateData, policy: objects.MigrationPolicy
    ) -> tuple[Failure | None, bool]:
        """Try once to go on; true when QEMU has not noticed yet that the old stream is dead."""
        given, flags = terms.parameters(data, policy), terms.resumption(data, policy)
        try:
            with self._link.another() as opened:
                domain = opened.lookupByUUIDString(uuid)
                # QEMU keeps the limit that the broken stream had, whatever is given below.
                domain.migrateSetMaxSpeed(
                    policy.bandwidth, libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY
                )
                domain.migrateToURI3(data.destination_uri, given, flags)
        except libvirt.libvirtError as error:
            return explain(error), trouble.code(error) == libvirt.VIR_ERR_OPERATION_INVALID
        return None, False

    def _lives(self, uuid: str, told: Told) -> bool:
        """Tell whether the guest has left, or memory goes over although libvirt gave up."""
        if self._state(uuid) in LEFT:
            return True
        before = self.traffic(uuid)
        told.get(STILL)
        return self._state(uuid) in LEFT or bool(self.traffic(uuid) - before)

    def _outlasts(self, uuid: str, told: Told) -> Ending:
        """Wait while memory goes over without libvirt's help."""
        while self._state(uuid) not in LEFT and self._lives(uuid, told):
            LOG.debug("the stream of server %s lives again by itself", uuid)
        return UNKNOWN, told.get(0.0) or {}

    def _let_go(self, uuid: str) -> None:
        """End the dead stream; QEMU then waits for a new one, and so does the other end's."""
        opened = self._link.get()
        with trouble.told(f"end the dead stream of server {uuid}"):
            domain = opened.lookupByUUIDString(uuid)
            pid = guests.pid(domain)
            if pid is not None and streams.end(streams.migrating(pid, self._here.ports), pid):
                return
            try:
                domain.abortJobFlags(libvirt.VIR_DOMAIN_ABORT_JOB_POSTCOPY)
            except libvirt.libvirtError as error:
                LOG.debug("server %s has no stream to end: %s", uuid, trouble.words(error))

    def _outcome(self, uuid: str) -> Outcome:
        """Tell who has the guest; one that merely died here did not leave.

        A daemon that was restarted in the middle gets time to come back.
        HypervisorError when it does not, or does not know itself.
        """
        self._link.wait(PATIENCE)
        state: tuple[int, int] | None = None
        with self._told.waiter(uuid) as news:
            for _look in range(PATIENCE):
                try:
                    state = self._state(uuid)
                except errors.HypervisorError:
                    # A connection may look alive until it is used.
                    if not self._link.wait(PATIENCE):
                        raise
                    continue
                if state not in UNDECIDED:
                    break
                news.get(LOOK)
        if state in LEFT:
            return Outcome.LEFT
        if state in {BROKEN, POST_COPY}:
            return Outcome.HALVED
        if state not in UNDECIDED:
            return Outcome.STAYED
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


def ended(outcome: Outcome, why: Failure, statistics: Statistics) -> driver.JobEnd:
    """Say how a job ended; why does not matter of a guest that left."""
    gone, broken = outcome is Outcome.LEFT, outcome is Outcome.HALVED
    return driver.JobEnd(
        gone=gone,
        cancelled=why.cancelled and not (gone or broken),
        reason="" if gone else why.reason,
        downtime_ms=statistics.get("downtime"),
        job_ms=statistics.get("time_elapsed"),
        broken=broken,
    )


def explain(error: libvirt.libvirtError) -> Failure:
    """libvirt's words, and what they mean where they do not say."""
    advice = ADVICE.get(trouble.code(error), "")
    if trouble.lost(error):
        advice = "; the connection to a libvirt daemon was lost"
    return Failure(trouble.words(error) + advice, trouble.code(error) in CANCELLED)
