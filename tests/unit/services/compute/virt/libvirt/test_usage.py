"""What a libvirt host measures of itself."""

from xml.etree import ElementTree as ET

import libvirt

from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import facts
from services.compute.virt.libvirt import metadata
from services.compute.virt.libvirt import usage
from tests import factories

MIB = 1 << 20
CAPABILITIES = """
<capabilities>
  <host>
    <cpu>
      <arch>x86_64</arch><model>Milan</model><vendor>AMD</vendor>
      <topology sockets="1" dies="1" cores="8" threads="2"/>
      <feature name="svm"/><feature name="aes"/>
    </cpu>
    <topology><cells num="2"><cell id="0"/><cell id="1"/></cells></topology>
  </host>
  <guest>
    <os_type>hvm</os_type>
    <arch name="x86_64"><domain type="qemu"/><domain type="kvm"/></arch>
  </guest>
</capabilities>
"""


def test_capacity_tells_what_is_taken_of_the_host(connection, here):
    """A thin disk is a promise; somebody else's guest is foreign."""
    folder = here.folder("8f0f3c1e-0000-4000-8000-000000000001")
    folder.mkdir()
    disks.make(folder / "disk", 64 * MIB, None)

    found = usage.capacity(connection, here, facts.Host(factories.facts(), frozenset()))

    (growing,) = found.usage.disks
    assert (folder.name, 64 * MIB) == (growing.instance_uuid, growing.virtual_bytes)
    assert 0 < growing.may_grow_bytes <= 64 * MIB
    assert ["test"] == [guest.name for guest in found.usage.foreign]
    assert [] == found.usage.guests
    assert (found.usage.disk_free_mb * MIB) // disks.GIB >= found.disk_available_least
    assert found.storage == disks.identity(here.instances, "other")


def test_our_guest_is_told_with_its_size(connection, domain, here):
    """Its disks by what they may grow to, without what is written while they are copied."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        '<instance><run token="abc"/></instance>',
        metadata.PREFIX,
        metadata.NAMESPACE,
        0,
    )
    folder = here.folder(domain.UUIDString())
    folder.mkdir()
    for name in ("disk", "disk.eph0", "disk.delta"):
        disks.make(folder / name, disks.GIB, None)

    found = usage.capacity(connection, here, facts.Host(factories.facts(), frozenset()))

    (guest,) = found.usage.guests
    assert ("abc", 1, 64, 2) == (guest.run_token, guest.vcpus, guest.memory_mb, guest.disk_gb)


def test_greediest_disk_comes_first(tmp_path):
    grown = [
        disks.Growing(name, tmp_path / name, size, 0)
        for name, size in (("small", 1), ("large", 9), ("middle", 5))
    ]

    found = usage.largest(disks.Space(100, 100, tuple(grown)))

    assert ["large", "middle", "small"] == [disk.owner for disk in found]


def test_free_memory_is_the_kernels_own_estimate(tmp_path):
    source = tmp_path / "meminfo"
    source.write_text("MemTotal: 4096 kB\nMemFree: 10 kB\nMemAvailable:    2048 kB\n")

    assert 2 == usage.free_memory(source)


def test_processor_is_described_as_clients_expect():
    info = facts.cpu_info(ET.fromstring(CAPABILITIES))

    assert info is not None
    assert ("Milan", ["aes", "svm"], 2, 8, 2) == (
        info.model,
        info.features,
        info.cells,
        info.cores,
        info.threads,
    )


def test_kinds_of_guests_are_those_of_the_emulators():
    found = facts.kinds(ET.fromstring(CAPABILITIES))

    assert [("x86_64", "qemu", "hvm"), ("x86_64", "kvm", "hvm")] == [
        (kind.architecture, kind.hypervisor_type, kind.vm_mode) for kind in found
    ]


def test_unknown_processor_is_none():
    empty = ET.fromstring("<capabilities><host/></capabilities>")

    assert facts.cpu_info(empty) is None
    assert [] == facts.kinds(empty)
