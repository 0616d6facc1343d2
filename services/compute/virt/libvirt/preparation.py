"""Making the destination ready for a guest, keeping it, and taking that back."""

from __future__ import annotations

from pathlib import Path

import libvirt

from common import errors
from common import objects
from common import states
from services.compute.virt import checks as plain
from services.compute.virt import local
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import power
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt import settings
from services.compute.virt.libvirt import trouble
from services.compute.virt.libvirt import usage

COMING = records.Role.COMING
Standing = guests.Standing


def prepare(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
    files: local.Files,
) -> objects.LibvirtLiveMigrateData:
    """Make the directory and the empty target disks of a local copy; on failure nothing stays.

    For one at a time: what is promised to a guest is seen by the next.
    """
    checks.bridges(here.host, instance)
    folder = here.folder(instance.uuid)
    if data.is_shared:
        _seen(here, folder)
        # A late undo() of an earlier move must find nothing of its own.
        records.drop_all(here.instances, COMING, instance.uuid)
        _note(here, instance, data, [])
        return data.replace(created=[])
    known = records.read(here.instances, COMING, data.migration_uuid)
    if known is None and folder.exists():
        raise plain.occupied(here.host, instance.uuid, f"in {folder}")
    if known is None:
        # Another may have come since the check, and its disks are promised their room by now.
        space = usage.space(connection, here)
        free = checks.roomy(here, space, over_commit=data.disk_over_commit)
        plain.room(data.replace(destination_free_bytes=free))
    _note(here, instance, data, [str(folder)])
    try:
        created = _fill(folder, data, disks.base_of(instance, files.disk))
    except errors.Error:
        undo(connection, here, instance, data)
        raise
    return data.replace(created=created)


def finish(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
) -> states.Power:
    """See that the guest is here, make its definition permanent and forget the move.

    GuestNotFound when it has not arrived.
    """
    with trouble.told(f"look for server {instance.uuid}"):
        domain = guests.demand(connection, instance.uuid, here.host)
        if guests.incoming(domain):
            raise errors.GuestNotFound(f"server {instance.uuid} has not arrived on {here.host} yet")
        if not domain.isPersistent():
            live = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE
            connection.defineXML(domain.XMLDesc(live))
        found = guests.power(domain)
    with trouble.files(f"forget the move of server {instance.uuid}"):
        records.drop(here.instances, COMING, data.migration_uuid)
    return found


def undo(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
) -> None:
    """Remove what the record of this move names; Conflict when the guest runs here."""
    record = records.read(here.instances, COMING, data.migration_uuid)
    with trouble.told(f"undo the move of server {instance.uuid}"):
        standing = guests.standing(connection, instance.uuid)
        # Without a record it is another move's, or there is nothing to undo any more.
        if record is not None and standing is Standing.INCOMING:
            power.off(connection.lookupByUUIDString(instance.uuid))
    if standing is Standing.ACTIVE:
        raise errors.Conflict(f"server {instance.uuid} runs on {here.host}: nothing is undone")
    if record is not None and standing is Standing.OFF:
        raise errors.Conflict(
            f"server {instance.uuid} has arrived on {here.host} and is shut down there: "
            "nothing is undone"
        )
    if record is None:
        return
    with trouble.files(f"undo the move of server {instance.uuid}"):
        for path in record.paths:
            disks.remove(_inside(here, Path(path)))
        records.drop(here.instances, COMING, data.migration_uuid)


def _note(
    here: settings.Settings,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
    paths: list[str],
) -> None:
    """Write down what undo() may remove, and that the guest's empty half is this move's."""
    with trouble.files(f"note the move of server {instance.uuid}"):
        record = records.Record(data.migration_uuid, instance.uuid, paths)
        records.write(here.instances, COMING, record)


def _seen(here: settings.Settings, folder: Path) -> None:
    if not folder.is_dir():
        raise errors.StorageMismatch(f"{here.host} does not see {folder} on the shared storage")


def _fill(folder: Path, data: objects.LibvirtLiveMigrateData, base: disks.Base | None) -> list[str]:
    with trouble.files(f"make disks in {folder}"):
        folder.mkdir(mode=0o755, exist_ok=True)
        created = [str(folder)]
        for disk in data.disks:
            target = Path(disk.path)
            if target.parent != folder:
                raise errors.StorageMismatch(
                    f"disk {disk.target} is {target} at the source, but this host keeps disks in "
                    f"{folder.parent}: give both hosts the same instances_path"
                )
            disks.make(target, disk.virtual_bytes, base if disk.image_id else None)
            created.append(str(target))
    return created


def _inside(here: settings.Settings, path: Path) -> Path:
    """Refuse to remove anything but a server's own directory."""
    if path != here.folder(path.name):
        raise errors.Invalid(f"{path} is no server's directory in {here.instances}")
    return path
