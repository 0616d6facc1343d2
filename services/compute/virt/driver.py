"""The contract of a hypervisor driver: everything compute asks of a host.

Every method may block; compute calls them from native threads. Errors are
those of common.errors: GuestNotFound, HypervisorError and what each method
names. Every method that changes something may be repeated. No method starts a
thread: who needs one (events, a job's progress beside the job) brings it.
"""

from __future__ import annotations

import abc
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import checks
from common import errors
from services.compute.virt import cold

if TYPE_CHECKING:
    from collections.abc import Callable

    from common import objects
    from common import states
    from services.compute.virt import local


class Guest(NamedTuple):
    """What the hypervisor says of one guest now."""

    uuid: str
    power: states.Power
    run_token: str
    permanent: bool  # its definition outlives it
    arriving: bool = False  # runs here, or waits, with memory that is still on another host


class Capacity(NamedTuple):
    """What the host has, in cores, MiB and GiB, and what was measured.

    disk_available_least is what stays free when every thin disk is full;
    `storage` is the same on hosts that keep their guests' disks in one place.
    """

    facts: objects.HostFacts
    vcpus: int
    memory_mb: int
    local_gb: int
    disk_available_least: int
    running_vms: int
    storage: str
    usage: objects.HostUsage


class JobEnd(NamedTuple):
    """How the hypervisor ended a live migration.

    `gone` means that the guest runs at the destination. `broken` means that
    the link was lost after the switch to post-copy: half of the guest's
    memory is on either side, it waits, and recover() is what helps; abort(),
    undo(), leave(), destroy() or power_off() would end it. With neither, the
    guest is untouched at the source and `reason` says why.
    """

    gone: bool
    cancelled: bool
    reason: str
    downtime_ms: int | None
    job_ms: int | None
    broken: bool = False


class Measured(NamedTuple):
    """What a hypervisor measured of a move that has ended; None where it tells nothing."""

    downtime_ms: int | None = None
    job_ms: int | None = None


class Terms(NamedTuple):
    """On what terms a move will run: the policy with what these hosts cannot combine left out.

    `notes` are the reasons, a sentence for each thing left out; `refusal` is
    not empty when the move must not begin at all; `doubt` is what will soon be
    one. `recovers` tells whether recover() can work between these hosts.
    """

    policy: objects.MigrationPolicy
    notes: tuple[str, ...] = ()
    refusal: str = ""
    doubt: str = ""
    recovers: bool = True


class Driver(cold.ColdMoves):
    """One hypervisor host; cold moves have a contract of their own."""

    # ---- the host ----

    @abc.abstractmethod
    def start(self) -> None:
        """Connect, and remove test files that earlier checks left; wait for the daemon."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Let the connection go."""

    @abc.abstractmethod
    def allow(self, disk_ratio: float) -> None:
        """Check with this ratio whether disks may grow here; the configured one until then."""

    @abc.abstractmethod
    def run_events(self, stopping: Callable[[], bool]) -> None:
        """Deliver the hypervisor's events until `stopping()` is true, asked twice a second.

        Blocks: run it in a native thread of its own, from before start() until
        after stop(). Without it a driver learns what happened only when it looks,
        and a connection that went dead is noticed only by the next call.
        """

    @abc.abstractmethod
    def capacity(self) -> Capacity:
        """Measure the host."""

    @abc.abstractmethod
    def guests(self) -> list[Guest]:
        """List every guest of the host."""

    @abc.abstractmethod
    def guest(self, uuid: str) -> Guest | None:
        """Give one guest, or None when the host does not know it."""

    # ---- a server on this host ----

    @abc.abstractmethod
    def build(self, instance: objects.Instance, files: local.Files) -> None:
        """Make the disks and start the guest with the instance's run token."""

    @abc.abstractmethod
    def power_on(self, instance: objects.Instance, files: local.Files) -> None:
        """Start a guest that is shut down, from its disks as they are."""

    @abc.abstractmethod
    def shut_down(self, instance: objects.Instance, timeout: int) -> None:
        """Ask the guest to shut down, and power it off after `timeout` seconds."""

    @abc.abstractmethod
    def power_off(self, instance: objects.Instance) -> None:
        """Pull the plug; a guest that is off stays off."""

    @abc.abstractmethod
    def pause(self, instance: objects.Instance) -> None:
        """Stop the guest's processors; memory stays."""

    @abc.abstractmethod
    def unpause(self, instance: objects.Instance) -> None:
        """Let the guest's processors go on."""

    @abc.abstractmethod
    def destroy(self, instance: objects.Instance) -> None:
        """Remove guest, definition and disks; what is gone already is fine."""

    # ---- a live migration, at its destination ----

    @abc.abstractmethod
    def examine_destination(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.CheckReport:
        """Make every check of the destination, fill in its part, and leave the test file.

        Who names the file in `data` may have it removed before the answer is there.
        """

    def check_destination(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.LibvirtLiveMigrateData:
        """Examine as the destination; the first fail is raised, and nothing is left then."""
        report = self.examine_destination(instance, data)
        try:
            checks.refuse(report.results)
        except errors.Error:
            self.clean_check(report.data)
            raise
        return report.data

    @abc.abstractmethod
    def clean_check(self, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove the test file."""

    @abc.abstractmethod
    def prepare(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        files: local.Files,
    ) -> objects.LibvirtLiveMigrateData:
        """Make ready for the guest: directory, target disks (local disks only), bridges.

        `data.created` of the answer lists every path made. DiskExists when
        another attempt's or server's files are there.
        """

    @abc.abstractmethod
    def finish(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> states.Power:
        """See that the guest is here and make its definition permanent; GuestNotFound if not."""

    def measured(self, uuid: str) -> Measured:
        """Tell what was measured of the move that brought the guest here; never raises."""
        del uuid
        return Measured()

    @abc.abstractmethod
    def let_go(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> int:
        """End the dead stream over which a guest in post-copy waits for memory here.

        A destination may not notice a link that went silent, and then takes
        no new one. Only a stream of this move over which nothing goes is
        ended, so nothing is lost by it; gives how many there were. WrongState,
        ending nothing, when only the old stream can still help the guest.
        """

    @abc.abstractmethod
    def undo(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what this attempt created, by `data.created` and by its own record.

        Raises Conflict, removing nothing, when the guest runs here.
        """

    # ---- a live migration, at its source ----

    @abc.abstractmethod
    def examine_source(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.CheckReport:
        """Make every check of the source: look for the test file, decide block_migration."""

    def check_source(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.LibvirtLiveMigrateData:
        """Examine as the source; the first fail is raised."""
        report = self.examine_source(instance, data)
        checks.refuse(report.results)
        return report.data

    @abc.abstractmethod
    def terms(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> Terms:
        """Say what of the policy this move can have, and why not the rest; changes nothing.

        Refused when the policy cannot be left without harm, as TLS.
        """

    @abc.abstractmethod
    def migrate(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> JobEnd:
        """Move the guest on the terms of the policy; returns when the hypervisor's job has ended.

        A job that an earlier process began is followed to its end. Never
        raises for a failed job; HypervisorError means that the hypervisor
        went away and cannot be asked who runs the guest, WrongState that
        this process is moving it already.
        """

    @abc.abstractmethod
    def traffic(self, uuid: str) -> object:
        """Give a mark of what went over the streams of a move from here.

        Two equal marks mean that nothing went over in between. Quick, and
        asked of the system: the hypervisor may be waiting for these streams.
        """

    @abc.abstractmethod
    def reaches(self, data: objects.LibvirtLiveMigrateData) -> bool:
        """Tell whether the destination's hypervisor can be reached from here; takes seconds."""

    @abc.abstractmethod
    def cut_off(self, uuid: str) -> int:
        """End the streams of a move from here that still copies; gives how many there were.

        The job fails then and the guest stays. The hypervisor is not asked:
        it may be waiting for these streams. WrongState in post-copy.
        """

    @abc.abstractmethod
    def recover(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> JobEnd:
        """Go on with a move that broke in post-copy; returns like migrate(), broken again maybe.

        WrongState when no broken move of the guest waits here. Call the
        destination's let_go() before: it may take its dead stream for alive,
        and then this try is in vain and takes half a minute.
        """

    @abc.abstractmethod
    def post_copy(self, uuid: str) -> None:
        """Let the guest run at the destination now, and fetch what is missing.

        WrongState when no job runs, or this one cannot: its terms say so. A
        repeat is fine.
        """

    @abc.abstractmethod
    def set_downtime(self, uuid: str, milliseconds: int) -> None:
        """Change how long the guest may stand still at the switch; WrongState when no job runs."""

    @abc.abstractmethod
    def set_bandwidth(self, uuid: str, mib: int) -> None:
        """Change the running job's limit in MiB per second, 0 for none; WrongState without a job.

        Disks that are being copied keep theirs.
        """

    @abc.abstractmethod
    def wait_job(self, uuid: str, timeout: float) -> bool:
        """Wait until the guest's job tells something, or `timeout` seconds are over: then False.

        It tells that it ended, began a pass over the memory, switched to
        post-copy, or broke; which of these, job() and migrate() say. News
        that came since the last call is given at once. For one waiter, in a
        native thread of its own.
        """

    @abc.abstractmethod
    def job(self, uuid: str) -> objects.MigrationProgress | None:
        """Ask once how far the guest's running move is; None when there is none.

        Quick, to be asked two to four times a second; `percent` never goes
        back, and `migration_uuid` is empty for a job that began before this
        process did. `post_copy` is true once the guest runs at the
        destination: from then on nothing can be undone.
        """

    @abc.abstractmethod
    def abort(self, uuid: str) -> None:
        """Stop the running migration job of the guest.

        WrongState when there is none, or when it is in post-copy: the memory
        is on both sides then, and only going on helps.
        """

    @abc.abstractmethod
    def leave(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what a guest that moved away left here: definition and local disks.

        Disks on shared storage stay. Raises Conflict when the guest still
        runs here.
        """
