"""The libvirt driver: the contract's methods, each handed to the module that knows."""

from __future__ import annotations

from collections.abc import Callable

import libvirt
from oslo_config import cfg

from common import clock
from common import errors
from common import objects
from common import states
from services.compute import native
from services.compute.virt import checks as plain
from services.compute.virt import driver
from services.compute.virt import fallback
from services.compute.virt import local
from services.compute.virt.libvirt import certificates
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import connection
from services.compute.virt.libvirt import control
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import events
from services.compute.virt.libvirt import facts
from services.compute.virt.libvirt import features
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import kvm
from services.compute.virt.libvirt import migration
from services.compute.virt.libvirt import power
from services.compute.virt.libvirt import preparation
from services.compute.virt.libvirt import reach
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import silence
from services.compute.virt.libvirt import streams
from services.compute.virt.libvirt import trouble
from services.compute.virt.libvirt import usage
from services.compute.virt.libvirt import xml
from services.compute.virt.libvirt.cold import moves
from services.compute.virt.libvirt.cold import overlays

# Seconds for a destination to take a connection.
REACH = 3.0
REMOVE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


class Driver(moves.ColdMoves, driver.Driver):
    """This host's libvirt; run_events() needs a native thread while it is started."""

    REMOVE = REMOVE

    def __init__(self, conf: cfg.ConfigOpts, time: clock.Clock | None = None) -> None:
        """Read the options; nothing is opened before start()."""
        self._here = settings.read(conf)
        self._time = time or clock.SystemClock()
        self._doors = reach.Doors(self._time, self._here.ports)
        self._events = events.Events()
        self._link = connection.Connection(self._here.uri, self._events)
        self._moves = migration.Migration(self._here, self._link, self._events)
        self._host: tuple[int, facts.Host] | None = None
        self._machine: xml.Machine | None = None
        # What one guest's disks may grow to is not promised to another meanwhile.
        self._making = native.Lock()

    # ---- the host ----

    def start(self) -> None:
        """Wait for the daemon, learn what the host is, and remove test files of earlier checks."""
        with trouble.files(f"make {self._here.instances}"):
            self._here.instances.mkdir(parents=True, exist_ok=True)
        checks.sweep(self._here)
        if not self._link.wait():
            return
        self._known()

    def stop(self) -> None:
        """Let the connection go."""
        self._link.close()

    def allow(self, disk_ratio: float) -> None:
        """Keep the ratio with the options; whoever checks looks there."""
        self._here = self._here._replace(disk_ratio=disk_ratio)

    def run_events(self, stopping: Callable[[], bool]) -> None:
        """Run libvirt's event loop in this thread; one serves every driver of the process."""
        self._events.run(stopping)

    def capacity(self) -> driver.Capacity:
        """Measure the host."""
        return usage.capacity(self._link.get(), self._here, self._known())

    def guests(self) -> list[driver.Guest]:
        """List every guest of the host, other people's too: theirs have no run token."""
        opened = self._link.get()
        with trouble.told("list the guests"):
            return guests.every(opened)

    def guest(self, uuid: str) -> driver.Guest | None:
        """Give one guest; NOSTATE while its memory still comes in from another host."""
        opened = self._link.get()
        with trouble.told(f"look for server {uuid}"):
            return guests.one(opened, uuid)

    # ---- a server on this host ----

    def build(self, instance: objects.Instance, files: local.Files) -> None:
        """Make the disks and start the guest; one that runs already is left as it is."""
        opened = self._link.get()
        with trouble.told(f"build server {instance.uuid}"):
            domain = guests.find(opened, instance.uuid)
            if domain is not None and domain.isActive():
                return
        with self._making:
            self._make_disks(opened, instance, files)
        self._boot(opened, instance, files)

    def power_on(self, instance: objects.Instance, files: local.Files) -> None:
        """Start the guest from its disks as they are, with the instance's run token."""
        opened = self._link.get()
        with trouble.told(f"start server {instance.uuid}"):
            if guests.demand(opened, instance.uuid, self._here.host).isActive():
                return
        self._boot(opened, instance, files)

    def shut_down(self, instance: objects.Instance, timeout: int) -> None:
        """Press the power button until the guest is off; pull the plug after `timeout` seconds."""
        opened = self._link.get()
        with trouble.told(f"shut server {instance.uuid} down"):
            domain = guests.demand(opened, instance.uuid, self._here.host)
            power.shut_down(domain, timeout, self._events, self._time)

    def power_off(self, instance: objects.Instance) -> None:
        """Pull the plug."""
        opened = self._link.get()
        with trouble.told(f"power server {instance.uuid} off"):
            power.off(guests.demand(opened, instance.uuid, self._here.host))

    def pause(self, instance: objects.Instance) -> None:
        """Stop the guest's processors."""
        opened = self._link.get()
        with trouble.told(f"pause server {instance.uuid}"):
            power.pause(guests.demand(opened, instance.uuid, self._here.host))

    def unpause(self, instance: objects.Instance) -> None:
        """Let the guest's processors go on."""
        opened = self._link.get()
        with trouble.told(f"unpause server {instance.uuid}"):
            power.unpause(guests.demand(opened, instance.uuid, self._here.host))

    def destroy(self, instance: objects.Instance) -> None:
        """Remove guest, definition, disks and the notes of its moves."""
        opened = self._link.get()
        with trouble.told(f"destroy server {instance.uuid}"):
            domain = guests.find(opened, instance.uuid)
            if domain is not None:
                power.off(domain)
                guests.forget(opened, instance.uuid, REMOVE)
        with trouble.files(f"remove the disks of server {instance.uuid}"):
            disks.remove(self._here.folder(instance.uuid))
            for role in records.Role:
                records.drop_all(self._here.instances, role, instance.uuid)

    # ---- a live migration, at its destination ----

    def examine_destination(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.CheckReport:
        """Check what the destination alone can tell, and leave the test file."""
        at = checks.Arrival(self._link.get(), self._here, self._known(), instance, self._time.now())
        return checks.destination(at, data, self._doors)

    def clean_check(self, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove the test file."""
        checks.clean(self._here, data, self._doors)

    def prepare(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        files: local.Files,
    ) -> objects.LibvirtLiveMigrateData:
        """Make the directory and the empty target disks of a local copy."""
        with self._making:
            return preparation.prepare(self._link.get(), self._here, instance, data, files)

    def finish(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> states.Power:
        """See that the guest is here, make its definition permanent and forget the move."""
        return preparation.finish(self._link.get(), self._here, instance, data)

    def measured(self, uuid: str) -> driver.Measured:
        """Ask for the statistics of the guest's last job, which the source sent along."""
        try:
            return control.measured(self._link.get(), uuid)
        except errors.HypervisorError:
            return driver.Measured()

    def undo(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what this host's record of the move names; nothing without a record."""
        preparation.undo(self._link.get(), self._here, instance, data)

    # ---- a live migration, at its source ----

    def examine_source(
        self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData
    ) -> objects.CheckReport:
        """Check the guest against the destination's answer, and decide block_migration."""
        opened, now = self._link.get(), self._time.now()
        return checks.source(opened, self._here, self._known(), instance, data, now)

    def terms(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> driver.Terms:
        """Leave out of the policy what libvirt and QEMU on both hosts cannot combine."""
        there = data.destination_facts
        theirs = frozenset(there.features if there is not None else ())
        both = theirs.intersection(self._known().facts.features)
        guest = self.guest(instance.uuid)
        paused = guest is not None and guest.power is states.Power.PAUSED
        secrecy = fallback.READY
        if policy.tls:
            conf, now = features.settings(), self._time.now()
            secrecy = certificates.both(self._here.host, data, conf, now)
        return fallback.settle(policy, both, paused=paused, secrecy=secrecy)

    def migrate(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> driver.JobEnd:
        """Move the guest, and then ask who has it; a daemon that is started anew is waited for."""
        self._link.wait(migration.PATIENCE)
        return self._moves.run(instance, data, self.terms(instance, data, policy))

    def recover(
        self,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> driver.JobEnd:
        """Go on with a move that broke in post-copy."""
        agreed = self.terms(instance, data, policy)
        return self._moves.recover(instance, data, agreed.policy)

    def let_go(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> int:
        """End the dead streams of a guest that waits for memory here, if it came by this move."""
        uuid = instance.uuid
        if records.read(self._here.instances, records.Role.COMING, data.migration_uuid) is None:
            return 0
        opened = self._link.get()
        with trouble.told(f"end the dead stream of server {uuid}"):
            domain = guests.find(opened, uuid)
            pid = guests.pid(domain) if domain is not None and domain.isActive() else None
        if pid is None:
            return 0
        return silence.let_go(pid, f"QEMU of server {uuid} on {self._here.host}", self._here.ports)

    def traffic(self, uuid: str) -> frozenset[streams.Stream]:
        """Count what went over the guest's migration streams, as the kernel knows it."""
        return self._moves.traffic(uuid)

    def reaches(self, data: objects.LibvirtLiveMigrateData) -> bool:
        """Tell whether the destination's libvirt takes a connection."""
        return streams.answers(data.destination_address, self._here.scheme, REACH)

    def cut_off(self, uuid: str) -> int:
        """End the streams of the guest's move while it still copies."""
        return self._moves.cut_off(uuid)

    def job(self, uuid: str) -> objects.MigrationProgress | None:
        """Ask how far the guest's running move is."""
        return self._moves.job(uuid)

    def wait_job(self, uuid: str, timeout: float) -> bool:
        """Wait for news of the guest's job: libvirt's events, or its end."""
        return self._events.news(uuid, timeout)

    def abort(self, uuid: str) -> None:
        """Stop the guest's running move."""
        opened = self._link.get()
        with trouble.told(f"abort the move of server {uuid}"):
            control.abort(opened, uuid)

    def post_copy(self, uuid: str) -> None:
        """Switch the guest's running move to post-copy."""
        opened = self._link.get()
        with trouble.told(f"switch server {uuid} to post-copy"):
            control.post_copy(opened, uuid)

    def set_downtime(self, uuid: str, milliseconds: int) -> None:
        """Change the downtime that the running move may take."""
        opened = self._link.get()
        with trouble.told(f"change the downtime of server {uuid}"):
            control.set_downtime(opened, uuid, milliseconds)

    def set_bandwidth(self, uuid: str, mib: int) -> None:
        """Change the bandwidth of the running move."""
        opened = self._link.get()
        with trouble.told(f"change the bandwidth of server {uuid}"):
            control.set_bandwidth(opened, uuid, mib)

    def leave(self, instance: objects.Instance, data: objects.LibvirtLiveMigrateData) -> None:
        """Remove what the guest left here, if it left by this move."""
        self._moves.leave(instance, data)

    # ---- parts ----

    def _known(self) -> facts.Host:
        """What this host is; asked again after the daemon was started anew."""
        opened = self._link.get()
        if self._host is not None and self._host[0] == self._link.opened:
            return self._host[1]
        with trouble.told("learn what this host is"):
            host = facts.read(opened, self._shape().virt_type, self._here.machine_type)
        self._host = (self._link.opened, host)
        return host

    def _shape(self) -> xml.Machine:
        """What this host gives every guest, found out once."""
        if self._machine is None:
            here = self._here
            kind = here.virt_type
            with trouble.files(f"try {here.instances}"):
                if kind == "auto":
                    kind = "kvm" if kvm.works(here.instances, here.host) else "qemu"
                direct = disks.direct(here.instances, here.host)
            self._machine = xml.Machine(kind, here.machine_type, here.cpu_model, direct)
        return self._machine

    def _make_disks(
        self, opened: libvirt.virConnect, instance: objects.Instance, files: local.Files
    ) -> None:
        """Make the disks that are not there yet; NoDiskSpace when they may not grow here."""
        folder = self._here.folder(instance.uuid)
        with trouble.files(f"make the disks of server {instance.uuid}"):
            missing = [
                disk
                for disk in disks.layout(folder, instance, files.disk)
                if not disk.path.exists()
            ]
            if missing:
                free = checks.roomy(self._here, usage.space(opened, self._here), over_commit=False)
                plain.fits(self._here.host, sum(disk.virtual for disk in missing), free)
            folder.mkdir(mode=0o755, exist_ok=True)
            for disk in missing:
                disks.make(disk.path, disk.virtual, disk.base)

    def _boot(
        self, opened: libvirt.virConnect, instance: objects.Instance, files: local.Files
    ) -> None:
        """Define the guest anew, with its fresh run token, and start it."""
        made = overlays.newest(disks.layout(self._here.folder(instance.uuid), instance, files.disk))
        with trouble.told(f"start server {instance.uuid}"):
            self._define(opened, instance, files, made).create()

    def _define(
        self,
        opened: libvirt.virConnect,
        instance: objects.Instance,
        files: local.Files,
        made: list[disks.Disk],
        machine_type: str = "",
    ) -> libvirt.virDomain:
        """Define the guest anew, with its fresh run token and the machine type that it has."""
        folder, shape = self._here.folder(instance.uuid), self._shape()
        known = guests.find(opened, instance.uuid)
        if machine_type:
            shape = shape._replace(machine_type=machine_type)
        elif known is not None:
            shape = xml.kept(shape, known.XMLDesc())
        named = tuple((disk.target, str(disk.path)) for disk in made)
        paths = xml.Paths(named, files.kernel, files.ramdisk, str(disks.console(folder)))
        return opened.defineXML(xml.build(instance, shape, paths))
