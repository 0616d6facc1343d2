"""A server as libvirt's domain XML: a pure function of objects, paths and the host's machine."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree as ET

from common import objects
from services.compute.virt.libvirt import metadata

KIB_PER_MIB = 1024
COMMAND_LINE = "root=/dev/vda console=ttyS0"


class Machine(NamedTuple):
    """What the host gives every guest."""

    virt_type: str  # kvm or qemu
    machine_type: str
    cpu_model: str
    direct: bool  # its disks can go past the page cache


class Paths(NamedTuple):
    """The files of one guest, disks as target and path; None where it has none."""

    disks: tuple[tuple[str, str], ...]
    kernel: str | None
    ramdisk: str | None
    console: str


def name(instance: objects.Instance) -> str:
    """The domain's name: unique wherever the guest may go."""
    return f"whimbrel-{instance.uuid}"


def build(instance: objects.Instance, machine: Machine, paths: Paths) -> str:
    """Give the XML that makes the same hardware on every host."""
    domain = ET.Element("domain", type=machine.virt_type)
    _text(domain, "name", name(instance))
    _text(domain, "uuid", instance.uuid)
    ET.SubElement(domain, "metadata").append(metadata.element(instance))
    _text(domain, "memory", str(instance.flavor.memory_mb * KIB_PER_MIB), unit="KiB")
    _text(domain, "vcpu", str(instance.flavor.vcpus), placement="static")
    domain.append(_os(instance, machine, paths))
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    domain.append(_cpu(instance, machine))
    domain.append(_clock())
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        _text(domain, f"on_{event}", action)
    domain.append(_devices(instance, machine, paths))
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def kept(machine: Machine, defined: str) -> Machine:
    """Give what a host gives a guest that is defined already: its machine type stays its own."""
    kind = ET.fromstring(defined).find("os/type")
    found = kind.get("machine") if kind is not None else None
    return machine._replace(machine_type=found or machine.machine_type)


def _os(instance: objects.Instance, machine: Machine, paths: Paths) -> ET.Element:
    system = ET.Element("os")
    _text(system, "type", "hvm", arch="x86_64", machine=machine.machine_type)
    if paths.kernel is None:
        ET.SubElement(system, "boot", dev="hd")
        return system
    _text(system, "kernel", paths.kernel)
    if paths.ramdisk is not None:
        _text(system, "initrd", paths.ramdisk)
    given = instance.image.properties.get("os_command_line") if instance.image else None
    _text(system, "cmdline", given or COMMAND_LINE)
    return system


def _cpu(instance: objects.Instance, machine: Machine) -> ET.Element:
    cpu = ET.Element("cpu", mode="custom", match="exact")
    _text(cpu, "model", machine.cpu_model, fallback="forbid")
    cores = str(instance.flavor.vcpus)
    ET.SubElement(cpu, "topology", sockets="1", dies="1", cores=cores, threads="1")
    return cpu


def _clock() -> ET.Element:
    clock = ET.Element("clock", offset="utc")
    ET.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    ET.SubElement(clock, "timer", name="pit", tickpolicy="delay")
    ET.SubElement(clock, "timer", name="hpet", present="no")
    return clock


def _devices(instance: objects.Instance, machine: Machine, paths: Paths) -> ET.Element:
    devices = ET.Element("devices")
    for target, path in paths.disks:
        devices.append(_disk(target, path, machine))
    for port in instance.ports:
        devices.append(_card(port))
    ET.SubElement(devices, "controller", type="usb", model="none")
    serial = ET.SubElement(devices, "serial", type="file")
    # What the guest said before a move or restart stays in the file.
    ET.SubElement(serial, "source", path=paths.console, append="on")
    ET.SubElement(serial, "target", port="0")
    random = ET.SubElement(devices, "rng", model="virtio")
    _text(random, "backend", "/dev/urandom", model="random")
    ET.SubElement(devices, "memballoon", model="virtio")
    return devices


def _disk(target: str, path: str, machine: Machine) -> ET.Element:
    disk = ET.Element("disk", type="file", device="disk")
    cache = "none" if machine.direct else "writeback"
    ET.SubElement(disk, "driver", name="qemu", type="qcow2", cache=cache, discard="unmap")
    ET.SubElement(disk, "source", file=path)
    ET.SubElement(disk, "target", dev=target, bus="virtio")
    return disk


def _card(port: objects.Port) -> ET.Element:
    card = ET.Element("interface", type="bridge")
    ET.SubElement(card, "mac", address=port.mac)
    ET.SubElement(card, "source", bridge=port.bridge)
    ET.SubElement(card, "model", type="virtio")
    return card


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
