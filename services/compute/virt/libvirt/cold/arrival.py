"""A cold move at its destination: checked, made ready, assembled of its copies, or undone."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from typing import TYPE_CHECKING

import libvirt

from common import checks as verdicts
from common import errors
from common import ids
from common import objects
from services.compute.virt import checks as plain
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import qcow2
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import usage
from services.compute.virt.libvirt.cold import overlays
from services.compute.virt.libvirt.cold import places
from services.compute.virt.libvirt.cold import upload

if TYPE_CHECKING:
    from services.compute.virt.libvirt import settings

COLD = records.Role.COLD
# What is in the way of a guest that comes from elsewhere, but not of one that stays.
NEW = frozenset({"no-guest", "libvirt-tls"})


class Coming(NamedTuple):
    """A cold move as its destination sees it."""

    arrival: checks.Arrival
    cold: objects.ColdMove
    stays: bool  # source and destination are one host

    @property
    def facts(self) -> objects.HostFacts:
        """What this host is."""
        return self.arrival.host.facts


def prepare(at: Coming, flags: int) -> objects.ColdMove:
    """Refuse what cannot live here; else make the folder, and the pool, for the copies.

    For one at a time: what is promised to a guest is seen by the next. A
    refusal or a failure leaves nothing; a repeat finds what was made.
    """
    here, cold, instance = at.arrival.here, at.cold, at.arrival.instance
    folder = places.incoming(here, cold)
    prepared = cold.replace(
        destination_address=here.address,
        destination_uri=here.peer_uri,
        destination_folder=str(folder),
    )
    known = records.read(here.instances, COLD, cold.migration_uuid)
    if known is not None:
        if str(here.folder(instance.uuid)) not in known.paths:  # else it is assembled already
            _open(at, prepared)
        return prepared
    _check(at)
    try:
        record = records.Record(cold.migration_uuid, instance.uuid, [str(folder)])
        records.write(here.instances, COLD, record)
        _open(at, prepared)
    except (errors.Error, OSError, libvirt.libvirtError):
        undo(at.arrival.connection, here, instance, cold, flags)
        raise
    return prepared


def _check(at: Coming) -> None:
    here = at.arrival.here
    rows = [row for row in checks.DESTINATION if not (at.stays and row.name in NEW)]
    verdicts.refuse(verdicts.every(rows, here.host, at.arrival))
    verdicts.refuse(verdicts.every(CHECKS, here.host, at))


def _open(at: Coming, prepared: objects.ColdMove) -> None:
    """Make the folder and the pool, and in it every disk, empty.

    So what the disks may grow to is promised from now on. The copy, which
    differs in its first chunk, takes the place of an empty disk.
    """
    folder = Path(prepared.destination_folder)
    folder.mkdir(mode=places.MODE, exist_ok=True)
    old = {overlays.below(Path(disk.path)).name: disk.virtual_bytes for disk in prepared.disks}
    for disk in disks.layout(folder, at.arrival.instance, None):
        virtual = max(disk.virtual, old.get(disk.path.name, 0))
        disks.make(disk.path, virtual, None)
    upload.open_pool(at.arrival.connection, prepared)


def assemble(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    cold: objects.ColdMove,
    file: str | None,
) -> list[disks.Disk]:
    """Put the copies into the server's directory, on this host's image and as large as wanted."""
    incoming, folder = places.incoming(here, cold), here.folder(instance.uuid)
    record = records.read(here.instances, COLD, cold.migration_uuid)
    if record is None:
        raise errors.Conflict(f"{here.host} has no copies of migration {cold.migration_uuid}")
    upload.close_pool(connection, cold)
    if incoming.exists():
        if folder.exists():
            raise plain.occupied(here.host, instance.uuid, f"in {folder}")
        for image in incoming.glob("image.*"):
            image.unlink()
        for disk in disks.layout(incoming, instance, file):
            _whole(disk)
        records.write(here.instances, COLD, record._replace(paths=[str(incoming), str(folder)]))
        incoming.chmod(0o755)
        disks.sync(incoming)
        incoming.rename(folder)
    disks.flush(here.instances)
    return disks.layout(folder, instance, file)


def undo(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    cold: objects.ColdMove,
    flags: int,
) -> None:
    """Remove what the record of this move names; Conflict when the guest it made runs here."""
    record = records.read(here.instances, COLD, cold.migration_uuid)
    if record is None:
        return
    folder = here.folder(instance.uuid)
    if str(folder) in record.paths:
        if guests.standing(connection, instance.uuid) is guests.Standing.ACTIVE:
            raise errors.Conflict(f"server {instance.uuid} runs on {here.host}: nothing is undone")
        guests.forget(connection, instance.uuid, flags)
        disks.remove(folder)
    upload.close_pool(connection, cold)
    disks.remove(places.incoming(here, cold))
    records.drop(here.instances, COLD, cold.migration_uuid)


def hypervisor(at: Coming) -> str:
    """Refuse a host whose hypervisor is another one, or older."""
    there = at.cold.source_facts
    if there is None:
        raise errors.Invalid("the source has not been asked yet")
    return plain.hypervisor(there.hypervisor_type, there.hypervisor_version, at.facts)


def apart(at: Coming) -> str:
    """Refuse to copy disks onto themselves: both hosts keep them in one place."""
    here = at.arrival.here
    if not at.stays and at.cold.source_storage == disks.identity(here.instances, ids.new()):
        raise errors.StorageMismatch(
            f"{here.host} shares {here.instances} with the host of server "
            f"{at.arrival.instance.uuid}, so there is nothing to copy: live-migrate the server, "
            "which leaves its disks where they are, and start it before if it is off"
        )
    return "the hosts keep their disks apart"


def untouched(at: Coming) -> str:
    """Refuse a host that has files of this server already."""
    here, server = at.arrival.here, at.arrival.instance.uuid
    folder = here.folder(server)
    if folder.exists() and not at.stays:
        raise plain.occupied(here.host, server, f"in {folder}")
    return "it has no files of the server"


def room(at: Coming) -> str:
    """Refuse a host without room for the copies, or for all that the disks may grow to."""
    here = at.arrival.here
    space = usage.space(at.arrival.connection, here)
    free = checks.roomy(here, space, over_commit=True)
    least = checks.roomy(here, space, over_commit=False)
    images = _images(at)
    copied = sum(disk.allocated_bytes for disk in at.cold.disks) + images
    grown = _virtual(at) + images
    told = (
        f"{here.host} has {free // disks.MIB} MiB of disk free and {least // disks.MIB} MiB when "
        f"every thin disk is full; the copy takes {-(-copied // disks.MIB)} MiB and may grow to "
        f"{-(-grown // disks.MIB)} MiB"
    )
    if copied > free or grown > least:
        raise errors.NoDiskSpace(told)
    return told


def _images(at: Coming) -> int:
    """Count the bytes of the images that come along."""
    server = at.arrival.instance
    known = {"disk": server.image, "kernel": server.kernel, "ramdisk": server.ramdisk}
    coming = [known[name] for name in at.cold.needs_images]
    return sum(image.size for image in coming if image is not None)


def _virtual(at: Coming) -> int:
    """Give what the disks may grow to, in bytes, once they have their new sizes."""
    new, old = at.cold.new_flavor, at.cold.old_flavor
    more = (
        (new.root_gb - old.root_gb) * disks.GIB
        + (new.ephemeral_gb - old.ephemeral_gb) * disks.GIB
        + (new.swap_mb - old.swap_mb) * disks.MIB
    )
    return int(sum(disk.virtual_bytes for disk in at.cold.disks) + max(more, 0))


def _whole(disk: disks.Disk) -> None:
    """Make one disk of its copies: on its base, with what was written last, grown."""
    if not disk.path.exists():  # of the new flavor only
        disks.make(disk.path, disk.virtual, disk.base)
        return
    found = qcow2.read(disk.path)
    if found.backing is not None and disk.base is not None and found.backing != disk.base.path:
        disks.rebase(disk.path, disk.base)
    delta = overlays.of(disk.path)
    if delta.exists():
        disks.rebase(delta, disks.Base(str(disk.path), disks.FORMAT))
        disks.commit(delta)
        delta.unlink()
    if found.virtual < disk.virtual:
        disks.grow(disk.path, disk.virtual)
    disk.path.chmod(disks.MODE)


CHECKS: tuple[verdicts.Check[Coming], ...] = (
    verdicts.Check("hypervisor", hypervisor),
    verdicts.Check("machine-type", lambda at: plain.machine(at.cold.machine_type, at.facts)),
    verdicts.Check("storage", apart),
    verdicts.Check("files", untouched),
    verdicts.Check("disk-space", room),
)
