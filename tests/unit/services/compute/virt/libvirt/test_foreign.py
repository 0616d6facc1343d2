"""Domains that Whimbrel did not make, on libvirt's test hypervisor."""

import libvirt

from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import foreign
from services.compute.virt.libvirt import metadata

MIB = 1 << 20
XML = """
<domain type="test">
  <name>legacy</name>
  <memory unit="MiB">300</memory>
  <vcpu>3</vcpu>
  <os><type>hvm</type></os>
  <devices>
    <disk type="file" device="disk"><source file="{here}"/><target dev="vda"/></disk>
    <disk type="file" device="disk"><source file="/proc/uptime"/><target dev="vdb"/></disk>
    <disk type="file" device="disk"><source file="/nowhere/disk"/><target dev="vdc"/></disk>
  </devices>
</domain>
"""


def sparse(path, size=64 * MIB):
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_foreign_domain_is_measured_whether_it_runs_or_not(connection, tmp_path):
    """Its disks count where they are on the file system of ours."""
    disk = sparse(tmp_path / "legacy.raw", 1 << 30)
    connection.defineXML(XML.format(here=disk))

    found = {one.guest.name: one for one in foreign.every(connection, tmp_path)}

    legacy = found["legacy"].guest
    assert {"legacy", "test"} == found.keys()
    assert (3, 300, 1) == (legacy.vcpus, legacy.memory_mb, legacy.disk_gb)
    assert {disk: legacy.uuid} == foreign.owners(list(found.values()))


def test_our_own_guest_is_not_foreign(connection, domain, tmp_path):
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        '<instance><run token="abc"/></instance>',
        metadata.PREFIX,
        metadata.NAMESPACE,
        0,
    )

    assert [] == foreign.every(connection, tmp_path)


def test_growth_of_foreign_disks_counts(connection, tmp_path):
    disk = sparse(tmp_path / "legacy.raw")
    connection.defineXML(XML.format(here=disk))
    owners = foreign.owners(foreign.every(connection, tmp_path))

    space = disks.space(tmp_path, owners)

    assert 64 * MIB == space.promised
    assert [disk] == [one.path for one in space.growing]
