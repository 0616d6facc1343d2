"""What both hosts look at before a live migration; each check refuses with its own reason.

DESTINATION and SOURCE are the checks in their order. The move and the dry run
ask the same ones: driver.Driver makes the first fail an error.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import libvirt

from common import checks
from common import errors
from common import objects
from services.compute.virt import checks as plain
from services.compute.virt.libvirt import certificates
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import facts
from services.compute.virt.libvirt import features
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import processors
from services.compute.virt.libvirt import qcow2
from services.compute.virt.libvirt import reach
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import streams
from services.compute.virt.libvirt import trouble
from services.compute.virt.libvirt import usage


class Arrival(NamedTuple):
    """A move as its destination sees it."""

    connection: libvirt.virConnect
    here: settings.Settings
    host: facts.Host
    instance: objects.Instance
    now: datetime.datetime


class Running(NamedTuple):
    """The guest at its source, from its live XML."""

    architecture: str
    machine_type: str
    virt_type: str
    cpu: str
    disks: list[objects.DiskInfo]
    uses: tuple[str, ...] = ()  # features of its processor, where they can differ


class Departure(NamedTuple):
    """A move as its source sees it: the guest here, and what the destination told."""

    connection: libvirt.virConnect
    host: facts.Host
    instance: objects.Instance
    guest: Running
    here: settings.Settings
    asked: bool | None  # copy disks, as the request has it
    data: objects.LibvirtLiveMigrateData
    there: objects.HostFacts
    now: datetime.datetime

    @property
    def shared(self) -> bool:
        """Whether the destination's test file is seen here."""
        return bool(self.data.is_shared)


DESTINATION: tuple[checks.Check[Arrival], ...] = (
    checks.Check(
        "architecture",
        lambda at: plain.architecture(at.here.host, plain.wanted(at.instance), at.host.facts),
    ),
    checks.Check("cpu-model", lambda at: model(at.here, at.host)),
    checks.Check("bridges", lambda at: bridges(at.here.host, at.instance)),
    checks.Check("no-guest", lambda at: absent(at.here, at.connection, at.instance.uuid)),
    checks.Check(
        "libvirt-tls",
        lambda at: certificates.answer(
            at.here.scheme, lambda: certificates.server(features.daemon(), at.now)
        ),
    ),
    checks.Check("port-range", lambda at: configured(at.here.ports, features.settings())),
)

SOURCE: tuple[checks.Check[Departure], ...] = (
    checks.Check(
        "guest-architecture",
        lambda at: plain.architecture(at.data.destination_address, at.guest.architecture, at.there),
    ),
    checks.Check(
        "hypervisor",
        lambda at: plain.hypervisor(at.connection.getType(), at.connection.getVersion(), at.there),
    ),
    checks.Check("machine-type", lambda at: plain.machine(at.guest.machine_type, at.there)),
    checks.Check("accelerator", lambda at: plain.accelerator(at.guest.virt_type, at.there)),
    checks.Check(
        "cpu",
        lambda at: processors.forth(at.guest.virt_type, at.guest.uses, at.there.cpu_features),
    ),
    checks.Check(
        "cpu-back",
        lambda at: processors.back(
            at.guest.virt_type, at.host.facts.cpu_features, at.there.cpu_features
        ),
    ),
    checks.Check(
        "storage",
        lambda at: plain.storage(shared=at.shared, asked=at.asked, disks=len(at.guest.disks)),
    ),
    checks.Check("paths", lambda at: paths(at.here, at.data)),
    checks.Check("files", lambda at: plain.untouched(at.instance, at.data, shared=at.shared)),
    checks.Check("disk-space", lambda at: plain.room(at.data)),
    checks.Check(
        "libvirt-tls-source",
        lambda at: certificates.answer(
            reach.scheme(at.data.destination_uri), lambda: certificates.client(at.now)
        ),
    ),
    checks.Check("libvirt-port", lambda at: reach.libvirt(at.data.destination_uri)),
    checks.Check("migration-ports", lambda at: ports(at.data)),
)


# ---- at the destination ----


def configured(ours: range, conf: Mapping[str, str]) -> str | checks.Doubt:
    """Doubt a configuration that knows other ports of incoming guests than libvirt's own."""
    first = conf.get("migration_port_min", str(streams.MIGRATION[0]))
    last = conf.get("migration_port_max", str(streams.MIGRATION[-1]))
    told = f"qemu.conf gives incoming guests the ports {first}-{last}"
    if (first, last) == (str(ours[0]), str(ours[-1])):
        return told
    return checks.Doubt(
        f"{told}, [libvirt] migration_ports says {ours[0]}-{ours[-1]}: other ports are tried than "
        "those that guests come in by"
    )


def destination(
    at: Arrival, data: objects.LibvirtLiveMigrateData, doors: reach.Doors
) -> objects.CheckReport:
    """Check what this host alone can tell, leave the test file, and listen for the source."""
    here = at.here
    qemu = certificates.incoming(features.settings(), at.now)
    with trouble.told(f"look for server {at.instance.uuid}"):
        results = checks.every(DESTINATION, here.host, at)
    with trouble.files(f"check {here.instances}"):
        space = usage.space(at.connection, here)
        named = checks.owns(here.host, data.test_file)
        name = str(data.test_file) if named else checks.test_file(here.host)
        opened = listening(here, name, doors)
        found = data.replace(
            test_file=name,
            destination_address=here.address,
            destination_uri=here.peer_uri,
            destination_ports=opened,
            destination_instances=str(here.instances),
            destination_cache=str(here.cache),
            destination_free_bytes=roomy(here, space, over_commit=data.disk_over_commit),
            destination_facts=at.host.facts.replace(
                bridges=facts.bridges(), tls_fault=qemu.fault, tls_doubt=qemu.doubt
            ),
            destination_has_files=here.folder(at.instance.uuid).exists(),
        )
    return objects.CheckReport(data=found, results=results)


def listening(here: settings.Settings, name: str, doors: reach.Doors) -> list[int]:
    """Leave the test file and listen; WrongState, and no file, for a check that was cleaned up."""
    file = here.instances / name
    file.touch()
    try:
        busy = records.any_of(here.instances, records.Role.COMING)
        return doors.open(name, here.address, busy=busy)
    except errors.WrongState:
        file.unlink(missing_ok=True)
        raise


def roomy(here: settings.Settings, space: disks.Space, *, over_commit: bool) -> int:
    """What new disks may take: of what is free now, or of what stays free when all are full."""
    if over_commit:
        return space.free - here.reserved
    return space.room(here.reserved, here.disk_ratio)


def clean(
    here: settings.Settings, data: objects.LibvirtLiveMigrateData, doors: reach.Doors
) -> None:
    """Remove the test file that this host made and listen no more; a repeat is fine."""
    name = str(data.test_file)
    if not checks.owns(here.host, name):
        return
    # First: who makes the file anew from now on sees that it is not wanted.
    doors.close(name)
    with trouble.files(f"remove {name}"):
        (here.instances / name).unlink(missing_ok=True)


def sweep(here: settings.Settings) -> None:
    """Remove this host's test files that a crash left."""
    with trouble.files(f"look into {here.instances}"):
        for path in here.instances.glob(f"{checks.TEST_FILE}-{here.host}-*"):
            path.unlink(missing_ok=True)


def model(here: settings.Settings, host: facts.Host) -> str:
    """Refuse a host that cannot give guests the CPU model that every host shall have."""
    if here.cpu_model not in host.usable:
        raise errors.IncompatibleCpu(
            f"{here.host} cannot run guests with the CPU model {here.cpu_model} "
            f"under {host.facts.virt_type}"
        )
    return f"{here.host} has the CPU model {here.cpu_model}"


def bridges(host: str, instance: objects.Instance) -> str:
    """Refuse a host without a bridge that the guest is connected to."""
    return plain.bridges(host, instance, facts.bridges())


def absent(here: settings.Settings, connection: libvirt.virConnect, uuid: str) -> str:
    """Refuse a destination that has a guest of this uuid already."""
    return plain.absent(here.host, uuid, there=guests.find(connection, uuid) is not None)


# ---- at the source ----


def source(
    connection: libvirt.virConnect,
    here: settings.Settings,
    host: facts.Host,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
    now: datetime.datetime,
) -> objects.CheckReport:
    """Check the guest against what the destination told, and decide block_migration."""
    there = data.destination_facts
    if there is None or data.test_file is None:
        raise errors.Invalid("the destination has not been asked yet")
    with trouble.told(f"look at server {instance.uuid}"), trouble.files("look at its disks"):
        try:
            guest = running(connection, here, instance)
        except errors.Error as absence:
            results = [checks.failed("guest", here.host, absence)]
            return objects.CheckReport(data=data, results=results)
        found = agreed(here, guest, data)
        at = Departure(
            connection, host, instance, guest, here, data.block_migration, found, there, now
        )
        standing = checks.passed("guest", here.host, f"it is active on {here.host}")
        results = [standing, *checks.every(SOURCE, here.host, at)]
    return objects.CheckReport(data=found, results=results)


def agreed(
    here: settings.Settings, guest: Running, data: objects.LibvirtLiveMigrateData
) -> objects.LibvirtLiveMigrateData:
    """Look for the test file, and fill in the source's part by what was seen."""
    shared = seen(here.instances, str(data.test_file))
    block = plain.copied(shared=shared, asked=data.block_migration, disks=len(guest.disks))
    return data.replace(
        is_shared=shared,
        block_migration=block,
        disks=guest.disks if block else [],
        unsafe=shared and here.trust_shared,
    )


def running(
    connection: libvirt.virConnect, here: settings.Settings, instance: objects.Instance
) -> Running:
    """Read the guest's hardware; WrongState when it does not run here."""
    domain = guests.find(connection, instance.uuid)
    if domain is None:
        raise errors.GuestNotFound(f"{here.host} has no guest of server {instance.uuid}")
    if guests.standing(connection, instance.uuid) is not guests.Standing.ACTIVE:
        raise errors.WrongState(f"server {instance.uuid} is shut down on {here.host}")
    found = hardware(domain, instance)
    if found.virt_type == processors.PLAIN:
        return found
    return found._replace(uses=tuple(processors.expand(connection, found.virt_type, found.cpu)))


def hardware(domain: libvirt.virDomain, instance: objects.Instance) -> Running:
    """Read the hardware of a guest, whether it runs or not."""
    xml = ET.fromstring(domain.XMLDesc())
    kind, cpu = xml.find("os/type"), xml.find("cpu")
    return Running(
        architecture=kind.get("arch", "") if kind is not None else "",
        machine_type=kind.get("machine", "") if kind is not None else "",
        virt_type=xml.get("type", ""),
        cpu=ET.tostring(cpu, encoding="unicode") if cpu is not None else "",
        disks=[info(each, instance) for each in xml.iterfind("devices/disk") if _local(each)],
    )


def info(disk: ET.Element, instance: objects.Instance) -> objects.DiskInfo:
    """Describe one disk by its XML and its file."""
    path = disk.find("source")
    target = disk.find("target")
    file = path.get("file", "") if path is not None else ""
    header = qcow2.read(Path(file))
    image = instance.image.id if instance.image is not None and header.backing else None
    return objects.DiskInfo(
        target=target.get("dev", "") if target is not None else "",
        path=file,
        format=header.format,
        virtual_bytes=header.virtual,
        allocated_bytes=header.allocated,
        image_id=image,
    )


def seen(instances: Path, name: str) -> bool:
    """Tell whether the destination's test file is here too."""
    # A network file system answers from its cache unless the directory changed.
    os.utime(instances)
    return (instances / name).exists()


def paths(here: settings.Settings, data: objects.LibvirtLiveMigrateData) -> str:
    """Refuse a destination that keeps files elsewhere: the guest takes its paths along."""
    for option, ours, theirs in (
        ("[compute] instances_path", str(here.instances), data.destination_instances),
        ("[image] cache", str(here.cache), data.destination_cache),
    ):
        if ours != theirs:
            raise errors.StorageMismatch(
                f"{option} is {ours} on {here.host} and {theirs} on {data.destination_address}: "
                "give both hosts the same"
            )
    return f"both hosts keep disks in {here.instances} and images in {here.cache}"


def ports(data: objects.LibvirtLiveMigrateData) -> str | checks.Doubt:
    """Refuse a destination whose ports for incoming guests cannot be reached."""
    if not data.destination_ports:
        return checks.Doubt(
            f"{data.destination_address} has no free port for incoming guests to try"
        )
    return reach.qemu(data.destination_address, data.destination_ports)


def _local(disk: ET.Element) -> bool:
    """A writable file; what is read-only or on the network is not copied."""
    return (
        disk.get("type") == "file"
        and disk.get("device") == "disk"
        and disk.find("readonly") is None
        and disk.find("shareable") is None
    )
