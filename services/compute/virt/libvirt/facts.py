"""What this host is: architecture, versions, machine types, processor, bridges."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import libvirt

from common import errors
from common import objects
from services.compute.virt.libvirt import features
from services.compute.virt.libvirt import processors

BRIDGES = Path("/sys/class/net")
ARCHITECTURE = "x86_64"


class Host(NamedTuple):
    """What does not change while the daemon runs; `usable` are the CPU models it can give."""

    facts: objects.HostFacts
    usable: frozenset[str]
    cpu_info: objects.CpuInfo | None = None
    kinds: tuple[objects.GuestKind, ...] = ()


def read(connection: libvirt.virConnect, virt_type: str, machine_type: str) -> Host:
    """Ask libvirt, or raise HypervisorError when it cannot run this kind of guest."""
    capabilities = ET.fromstring(connection.getCapabilities())
    guest = _guest(capabilities)
    abilities = ET.fromstring(
        connection.getDomainCapabilities(None, ARCHITECTURE, machine_type, virt_type)
    )
    versions = connection.getLibVersion(), connection.getVersion()
    cpu = _cpu(abilities.find("cpu/mode[@name='host-model']"))
    facts = objects.HostFacts(
        architecture=ARCHITECTURE,
        hypervisor_type=connection.getType(),
        hypervisor_version=versions[1],
        libvirt_version=versions[0],
        virt_type=virt_type,
        machine_types=sorted({machine.text or "" for machine in guest.iterfind("machine")}),
        cpu=cpu,
        cpu_features=processors.expand(connection, virt_type, cpu),
        bridges=bridges(),
        features=features.known(*versions, features.unusable()),
    )
    usable = abilities.iterfind("cpu/mode[@name='custom']/model[@usable='yes']")
    return Host(
        facts,
        frozenset(each.text or "" for each in usable),
        cpu_info(capabilities),
        tuple(kinds(capabilities)),
    )


def cpu_info(capabilities: ET.Element) -> objects.CpuInfo | None:
    """The host's own processors; None where libvirt does not know them."""
    cpu = capabilities.find("host/cpu")
    if cpu is None:
        return None
    topology = cpu.find("topology")
    shape = topology.attrib if topology is not None else {}
    return objects.CpuInfo(
        arch=cpu.findtext("arch") or "",
        vendor=cpu.findtext("vendor") or "",
        model=cpu.findtext("model") or "",
        features=sorted(each.get("name", "") for each in cpu.iterfind("feature")),
        cells=len(capabilities.findall("host/topology/cells/cell")) or 1,
        sockets=int(shape.get("sockets", 1)),
        cores=int(shape.get("cores", 1)),
        threads=int(shape.get("threads", 1)),
    )


def kinds(capabilities: ET.Element) -> list[objects.GuestKind]:
    """Every kind of guest that an emulator of this host can run."""
    return [
        objects.GuestKind(
            architecture=arch.get("name", ""),
            hypervisor_type=domain.get("type", ""),
            vm_mode=guest.findtext("os_type") or "",
        )
        for guest in capabilities.iterfind("guest")
        for arch in guest.iterfind("arch")
        for domain in arch.iterfind("domain")
    ]


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
