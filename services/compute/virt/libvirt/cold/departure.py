"""A cold move at its source: named, frozen, kept aside, put back or discarded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import libvirt
from oslo_log import log

from common import errors
from common import ids
from common import objects
from services.compute.virt.libvirt import checks
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import power
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt.cold import overlays
from services.compute.virt.libvirt.cold import places

if TYPE_CHECKING:
    from services.compute.virt.libvirt import facts
    from services.compute.virt.libvirt import settings

LOG = log.getLogger(__name__)

SECTOR = 512
SECRETS = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE


def survey(
    here: settings.Settings,
    host: facts.Host,
    domain: libvirt.virDomain,
    instance: objects.Instance,
    cold: objects.ColdMove,
) -> objects.ColdMove:
    """Tell what the guest is made of; CheckFailed for a disk that does not lie with the others."""
    hardware = checks.hardware(domain, instance)
    folder = here.folder(instance.uuid)
    for disk in hardware.disks:
        if Path(disk.path).parent != folder:
            raise errors.CheckFailed(
                f"disk {disk.target} of server {instance.uuid} is {disk.path}, outside of "
                f"{folder}: a cold move copies only what is in there"
            )
    return cold.replace(
        disks=hardware.disks,
        machine_type=hardware.machine_type,
        source_storage=disks.identity(here.instances, ids.new()),
        source_facts=host.facts,
    )


def freeze(
    domain: libvirt.virDomain | None,
    here: settings.Settings,
    instance: objects.Instance,
    cold: objects.ColdMove,
) -> list[objects.CopyFile]:
    """Name the disks that a guest writes no more; none where it cannot leave them.

    NoDiskSpace where only room for its overlays is missing: it goes on running.
    """
    if domain is None or not domain.isActive():
        # It may have gone off since, with its disks half copied.
        found = [path for path in _disks(here, instance, cold) if overlays.of(path).exists()]
        return [_file(path) for path in found]
    try:
        return [_file(path) for path in overlays.freeze(domain)]
    except errors.HypervisorError as refusal:
        if disks.FULL in refusal.message:
            raise errors.NoDiskSpace(f"{here.host} has no disk free: {refusal}") from refusal
        LOG.warning("guest %s is copied once it is off: %s", domain.name(), refusal)
        return []


def remainder(
    here: settings.Settings, instance: objects.Instance, cold: objects.ColdMove
) -> list[objects.CopyFile]:
    """Name what the frozen disks lack: their overlays, and the disks that have none."""
    if not here.folder(instance.uuid).exists():  # it is kept aside already: all was copied
        return []
    found = []
    for path in _disks(here, instance, cold):
        delta = overlays.of(path)
        found.append(_file(delta if delta.exists() else path))
    return found


def keep_aside(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    cold: objects.ColdMove,
    flags: int,
) -> None:
    """Put disks, overlays and definition of a guest that is off into a folder of the move."""
    folder, aside = here.folder(instance.uuid), places.kept(here, cold)
    if guests.standing(connection, instance.uuid) is guests.Standing.ACTIVE:
        raise errors.Conflict(f"server {instance.uuid} runs on {here.host}: it is not put aside")
    if aside.exists():
        return
    domain = guests.find(connection, instance.uuid)
    if domain is not None:
        definition = domain.XMLDesc(SECRETS).replace(f"{overlays.SUFFIX}'", "'")
        _keep(folder / places.DEFINITION, definition)
    guests.forget(connection, instance.uuid, flags)
    # That of this move stays: on a move that stays on its host it is the destination's.
    others = records.Role.COLD
    records.drop_all(here.instances, others, instance.uuid, but=cold.migration_uuid)
    folder.rename(aside)


def _keep(path: Path, definition: str) -> None:
    """Write a definition down, whole or not at all, before libvirt forgets it."""
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(definition)
        disks.flush(fresh)
        fresh.rename(path)
        disks.flush(path.parent)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def put_back(
    connection: libvirt.virConnect,
    here: settings.Settings,
    instance: objects.Instance,
    cold: objects.ColdMove,
) -> None:
    """Undo freeze() and keep_aside(), whatever of them was done; nothing is started."""
    folder, aside = here.folder(instance.uuid), places.kept(here, cold)
    if aside.exists():
        if folder.exists():
            raise errors.Conflict(
                f"{here.host} keeps server {instance.uuid} in {aside}, and {folder} is there too: "
                "look which of them is the guest's"
            )
        aside.rename(folder)
    domain = guests.find(connection, instance.uuid)
    definition = folder / places.DEFINITION
    if domain is None and definition.exists():
        domain = connection.defineXML(definition.read_text())
    if domain is not None and domain.isActive():
        overlays.thaw(domain)
        overlays.sweep(domain, folder)
        power.wake(domain)
    elif folder.exists():
        overlays.fold(folder)
    definition.unlink(missing_ok=True)


def discard(here: settings.Settings, cold: objects.ColdMove) -> None:
    """Remove what was kept."""
    disks.remove(places.kept(here, cold))


def _disks(
    here: settings.Settings, instance: objects.Instance, cold: objects.ColdMove
) -> list[Path]:
    folder = here.folder(instance.uuid)
    return [folder / overlays.below(Path(disk.path)).name for disk in cold.disks]


def _file(path: Path) -> objects.CopyFile:
    status = path.stat()
    return objects.CopyFile(
        name=path.name,
        path=str(path),
        size=status.st_size,
        allocated=min(status.st_blocks * SECTOR, status.st_size),
    )
