"""Moves that queue up and moves that go wrong, on real QEMU: nothing is lost, nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from common import states
from deploy.lab import probe
from tests import waiting
from tests.integration import cloud as clouds
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

MIB = 1 << 20
SLOW = 2  # MiB per second: a guest's memory takes a minute
PATIENCE = 120
WRITTEN = 60  # MiB on a disk
FREE = {"whimbrel:policy": {"bandwidth": 0}}


@pytest.fixture
def six(cloud: clouds.Cloud) -> Iterator[list[clouds.Guest]]:
    """Run six guests on host1."""
    made = cloud.boot_all(6)
    yield made
    for guest in made:
        guest.delete()


@pytest.fixture
def small(cloud: clouds.Cloud) -> Iterator[None]:
    """Give host2's instances a file system of their own, as large as a move needs at first."""
    room = cloud.get("/whimbrel/hosts/host2")["host"]["local_gb"]
    cloud.lab.inside("host2", "mount", "-t", "tmpfs", "-o", "size=8g", "tmpfs", clouds.INSTANCES)
    yield
    cloud.lab.inside("host2", "umount", clouds.INSTANCES)
    waiting.until(
        lambda: cloud.get("/whimbrel/hosts/host2")["host"]["local_gb"] == room,
        "host2 tells its room anew",
        PATIENCE,
    )


@pytest.fixture
def several(cloud: clouds.Cloud) -> Iterator[clouds.Guest]:
    """Run a guest with a root disk, an ephemeral one and swap."""
    wanted = {
        "name": "three-disks",
        "vcpus": 1,
        "ram": 128,
        "disk": 1,
        "OS-FLV-EXT-DATA:ephemeral": 1,
        "swap": 64,
    }
    flavor = cloud.ask("POST", "/flavors", {"flavor": wanted}).json()["flavor"]
    made = cloud.boot(flavor=flavor["name"])
    yield made
    made.delete()
    cloud.ask("DELETE", f"/flavors/{flavor['id']}")


def test_queue_with_one_cancelled(cloud, six):
    """Of six moves two run at a time; one that waits is cancelled, the others arrive."""
    looks: list[list[str]] = []

    def look() -> dict[str, str]:
        moves = cloud.get("/os-migrations")["migrations"]
        found = {move["instance_uuid"]: move["status"] for move in moves}
        looks.append([found[guest.uuid] for guest in six if guest.uuid in found])
        return found

    def line() -> dict[int, clouds.Guest]:
        look()
        places = {guest.move()["queue_position"]: guest for guest in six}
        return {place: guest for place, guest in places.items() if place}

    before = {guest: probe.alive(guest.address, 10) for guest in six}
    with cloud.limits(2):
        for guest in six:
            guest.migrate("host2", policy={"policy": "gentle", "bandwidth": SLOW})
        waiting.until(lambda: sorted(line()) == [1, 2, 3, 4], "four wait", PATIENCE)
        waits = line()
        last = waits.pop(4)
        cancelled = last.abort(last.move())
        freed = [guest.steer(guest.move(), FREE) for guest in waits.values()]
        run = [guest for guest in six if guest not in {last, *waits.values()}]
        freed += [guest.steer(guest.moving(lambda _progress: True), FREE) for guest in run]
        waiting.until(
            lambda: {look()[guest.uuid] for guest in six} <= clouds.TERMINAL, "all end", PATIENCE
        )

    assert requests.codes.accepted == cancelled.status_code
    assert [requests.codes.accepted] * 5 == [answer.status_code for answer in freed]
    assert 2 == max(sum(status in states.IN_SLOT for status in each) for each in looks)
    assert ["cancelled" if guest is last else "completed" for guest in six] == looks[-1]
    for guest in six:
        where = "host1" if guest is last else "host2"
        settled.assert_settled(cloud, guest, where, before[guest])


def test_killed_libvirtd_at_the_destination(cloud, guest):
    """The destination's daemon dies in the copy: the guest stays, and nothing is left there."""
    before = probe.alive(guest.address, 10)
    guest.migrate("host2", policy={"policy": "gentle", "bandwidth": SLOW})
    guest.moving(lambda progress: progress["iteration"] >= 1)
    cloud.lab.run("kill", "host2", "libvirtd")
    cloud.lab.run("start", "host2", "libvirtd")
    move = guest.moved(PATIENCE)

    assert ("failed", "migrate") == (move["status"], move["failed_step"])
    assert "connection" in move["error_message"]
    settled.assert_settled(cloud, guest, "host1", before)


@pytest.mark.usefixtures("small")
def test_disk_full_at_the_destination(cloud, guest):
    """The destination fills up while a disk is copied: the guest stays, and nothing is left."""
    probe.ask(guest.address, f"write {WRITTEN}", 60)
    before = probe.alive(guest.address, 10)
    guest.migrate("host2", policy={"policy": "gentle", "bandwidth": SLOW})
    guest.moving(lambda progress: 0 < progress["disk_processed"] < progress["disk_total"])
    _shrink(cloud)
    move = guest.moved(PATIENCE)

    assert ("failed", "migrate") == (move["status"], move["failed_step"])
    assert "No space left" in move["error_message"]
    settled.assert_settled(cloud, guest, "host1", before)
    assert "write=1 " in probe.ask(guest.address, "write 1", 30)


def test_several_disks(cloud, several):
    """Every disk goes along with what is on it, and the progress of each is told."""
    probe.ask(several.address, f"write {WRITTEN}", 60)
    for number in (1, 2):
        _write(cloud, several, number)
    before = probe.alive(several.address, 10)
    several.migrate("host2", policy={"bandwidth": 10})
    running = several.moving(lambda progress: 0 < progress["disk_processed"])
    several.steer(running, FREE)
    move = several.moved(PATIENCE)
    told = {disk["target"]: disk for disk in move["progress"]["disks"]}

    assert ("completed", None) == (move["status"], move["error_message"])
    assert ["vda", "vdb", "vdc"] == [disk["target"] for disk in running["progress"]["disks"]]
    assert WRITTEN * MIB <= told["vda"]["total"]
    assert all(disk["processed"] == disk["total"] > 0 for disk in told.values())
    assert {"disk", "disk.eph0", "disk.swap", "console.log"} == set(
        cloud.lab.inside("host2", "ls", f"{clouds.INSTANCES}/{several.uuid}").split()
    )
    settled.assert_settled(cloud, several, "host2", before)
    several.act({"os-stop": None})
    several.wait_idle("SHUTOFF")
    assert "read 1048576/1048576" in _read(cloud, several, "disk.eph0", 1)
    assert "read 1048576/1048576" in _read(cloud, several, "disk.swap", 2)


def test_disk_that_is_there_already(cloud, guest):
    """Files of the server at the destination are nobody's to overwrite: refused, untouched."""
    before = probe.alive(guest.address, 10)
    place = f"{clouds.INSTANCES}/{guest.uuid}"
    cloud.lab.inside("host2", "sh", "-c", f"mkdir {place} && echo precious >{place}/disk")
    answer = guest.migrate("host2", block=True, version=clouds.OLD)
    kept = cloud.lab.inside("host2", "sh", "-c", f"cd {place} && grep . *")
    cloud.lab.inside("host2", "rm", "-r", place)

    assert requests.codes.bad_request == answer.status_code
    assert f"has files of server {guest.uuid}" in answer.json()["badRequest"]["message"]
    assert "precious" == kept.strip()
    settled.assert_settled(cloud, guest, "host1", before)


def _shrink(cloud: clouds.Cloud) -> None:
    """Leave host2's instances little more room than they use."""
    used = f"$(df -k --output=used {clouds.INSTANCES} | tail -1)"
    words = f"mount -o remount,size=$(({used} + 4096))k {clouds.INSTANCES}"
    cloud.lab.inside("host2", "sh", "-c", words)


def _write(cloud: clouds.Cloud, guest: clouds.Guest, number: int) -> None:
    """Have the guest's device write a pattern to a disk, on host1."""
    device = f"/machine/peripheral/virtio-disk{number}/virtio-backend"
    order = f'qemu-io -d {device} "write -P {number} 1M 1M"'
    name = f"whimbrel-{guest.uuid}"
    cloud.lab.virsh("host1", "qemu-monitor-command", name, "--hmp", order)


def _read(cloud: clouds.Cloud, guest: clouds.Guest, file: str, number: int) -> str:
    """Look for the pattern in the file of a disk, on host2."""
    path = f"{clouds.INSTANCES}/{guest.uuid}/{file}"
    return cloud.lab.inside("host2", "qemu-io", "-r", "-c", f"read -P {number} 1M 1M", path)
