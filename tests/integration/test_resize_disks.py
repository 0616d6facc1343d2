"""Cold moves of what is large, many, or stays: a big image, several disks or guests, one host."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from common import images
from deploy.lab import probe
from tests.integration import cloud as clouds
from tests.integration import labs
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

MIB = 1 << 20
BASE = 1024  # MiB
WRITTEN = 200  # MiB
PATIENCE = 120
STAYS = ("--set", "conductor.allow_resize_to_same_host=true")
ROOT = pathlib.Path("/var/lib/whimbrel-lab")


@pytest.fixture(scope="module")
def cloud() -> Iterator[clouds.Cloud]:
    """Run a lab of its own: an image is put into its store."""
    with labs.running(labs.Lab("stint", "198.18.28.0/24"), *STAYS) as lab:
        yield clouds.Cloud(lab)


@pytest.fixture
def large(cloud: clouds.Cloud, tmp_path: pathlib.Path) -> str:
    """Put an image of a GiB without holes into the store, and give its name."""
    store = str(ROOT / cloud.lab.name / "images")
    known = {image.name: image for image in images.Store(store).all()}
    properties = known[cloud.lab.env()["WHIMBREL_LAB_IMAGE"]].properties
    file = tmp_path / "large"
    piece = os.urandom(16 * MIB - 8)
    with file.open("wb") as made:
        for number in range(BASE // 16):
            made.write(number.to_bytes(8) + piece)
    images.Directory(store).add(file, name="large", properties=properties)
    file.unlink()
    return "large"


@pytest.fixture
def several(cloud: clouds.Cloud) -> str:
    """Make a flavor with a root disk, an ephemeral one and swap, and give its name."""
    wanted = {
        "name": "many-disks",
        "vcpus": 1,
        "ram": 128,
        "disk": 1,
        "OS-FLV-EXT-DATA:ephemeral": 1,
        "swap": 64,
    }
    answer = cloud.ask("POST", "/flavors", {"flavor": wanted})
    return str(answer.json()["flavor"]["name"])


def test_large_disk_is_the_same_inside_and_outside(cloud, large):
    """What was written over the image arrives, and nothing but that travels."""
    guest = cloud.boot(image=large)
    probe.ask(guest.address, f"write {WRITTEN}", 60)
    before = probe.ask(guest.address, f"sum {WRITTEN}", 60)

    guest.act({"migrate": {"host": "host2"}})
    move = guest.moved(PATIENCE, until="finished")
    guest.wait_idle("VERIFY_RESIZE")
    probe.alive(guest.address, PATIENCE)
    after = probe.ask(guest.address, f"sum {WRITTEN}", 60)
    compared = _compare(
        _chain(cloud, "host1", f"{move['uuid']}.kept"), _chain(cloud, "host2", guest.uuid)
    )
    guest.act({"revertResize": None})
    reverted = guest.moved(PATIENCE)
    guest.wait_idle("ACTIVE")
    probe.alive(guest.address, PATIENCE)
    back = probe.ask(guest.address, f"sum {WRITTEN}", 60)
    settled.assert_settled(cloud, guest, "host1")
    guest.delete()

    assert ("finished", None) == (move["status"], move["error_message"])
    assert "reverted" == reverted["status"]
    assert before == after == back
    assert "Images are identical." == compared
    assert move["cold"]["copied_bytes"] < 1.05 * WRITTEN * MIB


def test_every_disk_goes_along(cloud, several):
    """Ephemeral disk and swap arrive with what is on them."""
    guest = cloud.boot(flavor=several)
    for number in (1, 2):
        device = f"/machine/peripheral/virtio-disk{number}/virtio-backend"
        order = f'qemu-io -d {device} "write -P {number} 1M 1M"'
        cloud.lab.virsh("host1", "qemu-monitor-command", guest.uuid, "--hmp", order)

    guest.act({"migrate": {"host": "host2", "whimbrel:confirm": True}})
    move = guest.moved(PATIENCE)
    guest.wait_idle("ACTIVE")
    settled.assert_settled(cloud, guest, "host2")
    guest.act({"os-stop": None})
    guest.wait_idle("SHUTOFF")
    files = cloud.lab.inside("host2", "ls", f"{clouds.INSTANCES}/{guest.uuid}").split()
    read = [_read(cloud, guest, *disk) for disk in (("disk.eph0", 1), ("disk.swap", 2))]
    guest.delete()

    assert ("confirmed", None) == (move["status"], move["error_message"])
    assert {"disk", "disk.eph0", "disk.swap"} <= set(files)
    assert all("read 1048576/1048576" in found for found in read)
    assert not any("Pattern verification failed" in found for found in read)


def test_several_leave_at_once(cloud):
    """Copies keep to their limits; every guest arrives with its disk."""
    guests = cloud.boot_all(4)
    for guest in guests:
        probe.ask(guest.address, "write 16", 60)
    before = [probe.ask(guest.address, "sum 16", 60) for guest in guests]

    for guest in guests:
        guest.act({"migrate": {"host": "host2", "whimbrel:confirm": True}})
    moves = [guest.moved(PATIENCE) for guest in guests]
    for guest in guests:
        guest.wait_idle("ACTIVE")
        probe.alive(guest.address, PATIENCE)
    after = [probe.ask(guest.address, "sum 16", 60) for guest in guests]
    for guest in guests:
        settled.assert_settled(cloud, guest, "host2")
        guest.delete()

    assert ["confirmed"] * 4 == [move["status"] for move in moves]
    assert before == after


@pytest.fixture
def twice(cloud: clouds.Cloud) -> str:
    """Make a flavor that is twice as large, and give its id."""
    wanted = {"name": "twice", "vcpus": 2, "ram": 192, "disk": 2}
    return str(cloud.ask("POST", "/flavors", {"flavor": wanted}).json()["flavor"]["id"])


def test_resize_that_stays_on_its_host(cloud, twice):
    """There, back, and there for good: a guest that runs and one that is off, with their disks."""
    guests = cloud.boot_all(2)
    for guest in guests:
        probe.ask(guest.address, "write 8", 60)
    before = [probe.ask(guest.address, "sum 8", 60) for guest in guests]
    guests[1].act({"os-stop": None})
    guests[1].wait_idle("SHUTOFF")

    back = _decided(guests, twice, "revertResize", [])
    between = [sorted(_disks(cloud, guest)) for guest in guests]
    stayed = _decided(guests, twice, "confirmResize", [2, 2])
    left = [*cloud.files("host1", ".kept"), *cloud.files("host1", ".incoming")]
    pools = cloud.lab.virsh("host1", "pool-list", "--all", "--name").split()
    guests[1].act({"os-start": None})
    guests[1].wait_idle("ACTIVE")
    for guest in guests:
        probe.alive(guest.address, PATIENCE)
    after = [probe.ask(guest.address, "sum 8", 60) for guest in guests]
    for guest in guests:
        settled.assert_settled(cloud, guest, "host1")
        guest.delete()

    assert (["reverted"] * 2, ["confirmed"] * 2) == (back, stayed)
    assert [["disk"]] * 2 == between
    assert ([], []) == (left, [pool for pool in pools if pool.startswith("whimbrel")])
    assert before == after


def _decided(guests: list[clouds.Guest], flavor: str, action: str, sizes: list[int]) -> list[str]:
    """Resize guests on host1, decide on it, and give how that ended."""
    for guest in guests:
        answer = guest.act({"resize": {"flavorRef": flavor, "whimbrel:host": "host1"}})
        assert answer.ok, answer.text
    for guest in guests:
        guest.moved(PATIENCE, until="finished")
        guest.wait_idle("VERIFY_RESIZE")
        assert "host1" == guest.host
        guest.act({action: None})
    ended = [str(guest.moved(PATIENCE)["status"]) for guest in guests]
    for guest, status in zip(guests, ("ACTIVE", "SHUTOFF"), strict=True):
        guest.wait_idle(status)
    assert not sizes or sizes == [guest.show()["flavor"]["disk"] for guest in guests]
    return ended


def _disks(cloud: clouds.Cloud, guest: clouds.Guest) -> list[str]:
    """Name the disks in the folder of a guest on host1."""
    found = cloud.lab.inside("host1", "ls", f"{clouds.INSTANCES}/{guest.uuid}").split()
    return [name for name in found if name.startswith("disk")]


def _chain(cloud: clouds.Cloud, host: str, folder: str) -> str:
    """Describe a disk to qemu-img outside of its host: every file by its path here."""
    mine = ROOT / cloud.lab.name / "hosts" / host / "whimbrel"
    name = json.loads(
        _img("info", "-U", "--output=json", str(mine / "instances" / folder / "disk"))
    )
    base = mine / "cache" / pathlib.Path(name["backing-filename"]).name
    described = _node("raw", base)
    for file in ("disk", "disk.delta"):
        path = mine / "instances" / folder / file
        if path.exists():
            described = {**_node("qcow2", path), "backing": described}
    return "json:" + json.dumps(described)


def _node(kind: str, path: pathlib.Path) -> dict[str, object]:
    return {"driver": kind, "file": {"driver": "file", "filename": str(path)}}


def _compare(one: str, other: str) -> str:
    return _img("compare", "-U", one, other).strip()


def _img(*words: str) -> str:
    return subprocess.run(
        ["qemu-img", *words], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def _read(cloud: clouds.Cloud, guest: clouds.Guest, file: str, number: int) -> str:
    """Look for the pattern in the file of a disk, on host2."""
    path = f"{clouds.INSTANCES}/{guest.uuid}/{file}"
    return cloud.lab.inside("host2", "qemu-io", "-r", "-c", f"read -P {number} 1M 1M", path)
