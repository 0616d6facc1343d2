"""Domains that Whimbrel did not make: what they take of the host is not ours to promise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import libvirt

from common import objects
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import metadata
from services.compute.virt.libvirt import qcow2
from services.compute.virt.libvirt import trouble

KIB_PER_MIB = 1024


class Foreign(NamedTuple):
    """One such domain, and its disk files on the file system of our guests, by their sizes."""

    guest: objects.ForeignGuest
    files: dict[Path, int]


def every(connection: libvirt.virConnect, instances: Path) -> list[Foreign]:
    """Every domain without our element; one that vanishes while it is looked at is left out."""
    found = []
    for domain in connection.listAllDomains():
        try:
            if not metadata.run_token(domain):
                found.append(_look(domain, instances))
        except libvirt.libvirtError as error:
            if trouble.code(error) != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return found


def owners(found: list[Foreign]) -> dict[Path, str]:
    """Say whose each file is."""
    return {path: one.guest.uuid for one in found for path in one.files}


def _look(domain: libvirt.virDomain, instances: Path) -> Foreign:
    xml = ET.fromstring(domain.XMLDesc())
    files = _files(xml, instances)
    size = sum(files.values())
    guest = objects.ForeignGuest(
        uuid=domain.UUIDString(),
        name=domain.name(),
        power_state=int(guests.power(domain)),
        vcpus=int(xml.findtext("vcpu") or 1),
        memory_mb=math.ceil(domain.maxMemory() / KIB_PER_MIB),
        disk_gb=math.ceil(size / disks.GIB),
    )
    return Foreign(guest, files)


def _files(xml: ET.Element, instances: Path) -> dict[Path, int]:
    """Its disks that take room where our guests' disks are; one that cannot be read takes none."""
    named = (each.get("file") for each in xml.iterfind("devices/disk/source"))
    here = instances.stat().st_dev
    found = {}
    for path in sorted({Path(name) for name in named if name}):
        try:
            if path.is_file() and path.stat().st_dev == here:
                found[path] = qcow2.read(path).virtual
        except OSError:
            continue
    return found
