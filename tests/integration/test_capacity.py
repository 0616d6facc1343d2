"""A host whose thin disks may outgrow its file system, and one with somebody else's domain."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import waiting
from tests.integration import cloud as clouds
from tests.integration import labs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WHIMBREL = labs.TOOL.parents[2] / ".venv" / "bin" / "whimbrel"
FILLER = f"{clouds.INSTANCES}/other-data"
MIB = 1 << 20
DISK = f"{clouds.INSTANCES}/legacy.raw"
LEGACY = f"""
<domain type="qemu">
  <name>legacy</name>
  <memory unit="MiB">128</memory>
  <vcpu>2</vcpu>
  <os><type arch="x86_64">hvm</type></os>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw"/><source file="{DISK}"/><target dev="vda" bus="virtio"/>
    </disk>
  </devices>
</domain>
"""
# Left of the file system, for a guest's disk that may grow by 1024.
LEFT = 512


@pytest.fixture
def cloud(lab: labs.Lab, tmp_path: Path) -> Iterator[clouds.Cloud]:
    """Give the lab with a file system of 4 GiB for the disks of host2."""
    image = tmp_path / "disks.ext4"
    with image.open("wb") as file:
        file.truncate(4096 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, timeout=60)
    lab.inside("host2", "mount", "-o", "loop", str(image), clouds.INSTANCES)
    try:
        yield clouds.Cloud(lab)
    finally:
        lab.inside("host2", "umount", clouds.INSTANCES)


@pytest.fixture
def guests(cloud: clouds.Cloud) -> Iterator[tuple[clouds.Guest, clouds.Guest]]:
    """Run a guest on each host, and let other data take what host2 has beside its guest's disk."""
    made = (cloud.boot("heavy", "host2"), cloud.boot("mover", "host1"))
    free = cloud.lab.inside("host2", "stat", "-f", "-c", "%a %S", clouds.INSTANCES).split()
    size = int(free[0]) * int(free[1]) - LEFT * MIB
    cloud.lab.inside("host2", "fallocate", "-l", str(size), FILLER)
    yield made
    for guest in made:
        guest.delete()


@pytest.fixture
def legacy(lab: labs.Lab, tmp_path: Path) -> Iterator[str]:
    """Run a domain on host2 as somebody else makes one, with a disk beside ours."""
    lab.inside("host2", "truncate", "-s", "1G", DISK)
    (tmp_path / "legacy.xml").write_text(LEGACY)
    lab.virsh("host2", "define", str(tmp_path / "legacy.xml"))
    lab.virsh("host2", "start", "legacy")
    yield "legacy"
    lab.virsh("host2", "destroy", "legacy")
    lab.virsh("host2", "undefine", "legacy")
    lab.inside("host2", "rm", DISK)
    told(clouds.Cloud(lab), "foreign_vcpus", 0)


def told(cloud: clouds.Cloud, name: str, value: int) -> dict[str, Any]:
    """Give host2 as it is shown once it has told this of itself."""
    found: dict[str, Any] = {}

    def known() -> bool:
        found.update(cloud.get("/whimbrel/hosts/host2")["host"])
        return bool(found[name] == value)

    waiting.until(known, f"{name} of host2 is {value}", 30)
    return found


def shown(cloud: clouds.Cloud) -> str:
    """Give what `whimbrel host show host2` prints."""
    return subprocess.run(
        [str(WHIMBREL), "host", "show", "host2"],
        env=cloud.lab.env(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_disks_that_may_outgrow_their_host_keep_others_away(cloud, guests):
    """The number is negative with its reason; no copy goes there, named or not, until it fits."""
    heavy, mover = guests

    disks = told(cloud, "disk_available_least", -1)["usage"]["disks"]
    words = shown(cloud)

    assert [(heavy.uuid, True)] == [
        (disk["instance_uuid"], disk["may_grow_bytes"] > LEFT * MIB) for disk in disks
    ]
    assert "-1 = 0.5 measured free - 1.0 that 1 disks may grow" in words
    assert f"{heavy.uuid}/disk may grow 1.0 GiB (0.0 of 1.0)" in words
    for host in (None, "host2"):
        for block in (True, "auto"):
            answer = mover.migrate(host, block, clouds.OLD)

            assert requests.codes.bad_request == answer.status_code
            assert "needs 1 GB, -1 GB left for new disks when those there are full" in answer.text
    assert ("host1", "ACTIVE") == (mover.host, mover.show()["status"])
    assert [] == cloud.files("host2", mover.uuid)
    assert 1 == cloud.allocations("host2")[1]

    cloud.lab.inside("host2", "rm", FILLER)
    told(cloud, "disk_available_least", 2)
    mover.migrate("host2", True)

    assert ("completed", None) == (mover.moved()["status"], mover.move()["error_message"])


def test_domain_of_somebody_else_takes_its_share(lab, request):
    """It is counted as used, with its disk, and shown as foreign; our sums are right without it."""
    cloud = clouds.Cloud(lab)
    before = told(cloud, "foreign_vcpus", 0)
    legacy = request.getfixturevalue("legacy")

    after = told(cloud, "foreign_vcpus", 2)

    grown = {"vcpus_used": 2, "memory_mb_used": 128, "local_gb_used": 1}
    assert grown == {name: after[name] - before[name] for name in grown}
    assert [(legacy, 2, 128, 1)] == [
        (one["name"], one["vcpus"], one["memory_mb"], one["disk_gb"])
        for one in after["usage"]["foreign"]
    ]
    assert len(after["usage"]["guests"]) + 1 == after["running_vms"]
    assert [] == after["findings"]
    assert f"{legacy} ({after['usage']['foreign'][0]['uuid']}): 2 vCPUs, 128 MiB" in shown(cloud)
