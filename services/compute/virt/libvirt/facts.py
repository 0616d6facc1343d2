"""What this host is: architecture, versions, machine types, processor, bridges."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import libvirt

from common import errors
from common import objects
from services.compute.virt.libvirt import features

BRIDGES = Path("/sys/class/net")
ARCHITECTURE = "x86_64"


class Host(NamedTuple):
    """What does not change while the daemon runs; `usable` are the CPU models it can give."""

    facts: objects.HostFacts
    usable: frozenset[str]


def read(connection: libvirt.virConnect, virt_type: str, machine_type: str) -> Host:
    """Ask libvirt, or raise HypervisorError when it cannot run this kind of guest."""
    guest = _guest(ET.fromstring(connection.getCapabilities()))
    abilities = ET.fromstring(
        connection.getDomainCapabilities(None, ARCHITECTURE, machine_type, virt_type)
    )
    versions = connection.getLibVersion(), connection.getVersion()
    model = abilities.find("cpu/mode[@name='host-model']")
    facts = objects.HostFacts(
        architecture=ARCHITECTURE,
        hypervisor_type=connection.getType(),
        hypervisor_version=versions[1],
        libvirt_version=versions[0],
        virt_type=virt_type,
        machine_types=sorted({machine.text or "" for machine in guest.iterfind("machine")}),
        cpu=_cpu(model),
        bridges=bridges(),
        features=features.known(*versions, features.unusable()),
    )
    usable = abilities.iterfind("cpu/mode[@name='custom']/model[@usable='yes']")
    return Host(facts, frozenset(each.text or "" for each in usable))


def bridges(root: Path = BRIDGES) -> list[str]:
    """The bridges that exist on this host now."""
    return sorted(each.parent.name for each in root.glob("*/bridge"))


def _guest(capabilities: ET.Element) -> ET.Element:
    found = capabilities.find(f"guest/arch[@name='{ARCHITECTURE}']")
    if found is None:
        raise errors.HypervisorError(f"libvirt here has no emulator for {ARCHITECTURE}")
    return found


def _cpu(model: ET.Element | None) -> str:
    """The processor a guest can get here at most, as libvirt's <cpu>."""
    if model is None or model.get("supported") != "yes":
        return ""
    cpu = ET.Element("cpu", mode="custom", match="exact")
    cpu.extend(list(model))
    return " ".join(ET.tostring(cpu, encoding="unicode").split())
