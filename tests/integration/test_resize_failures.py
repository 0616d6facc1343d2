"""Cold moves that break, on real QEMU: the guest is where the rule says, and nothing is left."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from deploy.lab import errors
from deploy.lab import probe
from tests import waiting
from tests.integration import cloud as clouds
from tests.integration import labs
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WRITTEN = 48  # MiB: three chunks of a copy
SLOW = 8  # MiB per second
PATIENCE = 90
# A dead host's step is taken up again after a lease.
OPTIONS = ("--set", "conductor.lease=8", "--set", "conductor.tick=1")


@pytest.fixture(scope="module")
def cloud() -> Iterator[clouds.Cloud]:
    """Run a lab whose conductor soon looks after what nobody reports on."""
    with labs.running(labs.Lab("knot", "198.18.27.0/24"), *OPTIONS) as lab:
        yield clouds.Cloud(lab)


@pytest.fixture
def guest(cloud: clouds.Cloud) -> Iterator[clouds.Guest]:
    """Run a guest on host1 that has written to its disk; nothing of it is left in the end."""
    made = cloud.boot()
    probe.ask(made.address, f"write {WRITTEN}", 60)
    yield made
    made.delete()
    assert not left(cloud, made)


def summed(guest: clouds.Guest) -> str:
    """Give the checksum of what the guest wrote, from inside of it."""
    probe.alive(guest.address, PATIENCE)
    return str(probe.ask(guest.address, f"sum {WRITTEN}", 60))


def begin(guest: clouds.Guest, bandwidth: int = SLOW) -> dict[str, Any]:
    """Begin a move to host2 and give it once its first chunks have landed."""
    answer = guest.act({"migrate": {"host": "host2", "whimbrel:bandwidth": bandwidth}})
    assert answer.ok, answer.text
    return guest.moving(lambda progress: progress["disk_processed"] > 20 << 20)


def incoming(move: dict[str, Any]) -> str:
    """Name where the copy of a guest's disk lands on host2."""
    return f"{clouds.INSTANCES}/{move['uuid']}.incoming/disk"


def left(cloud: clouds.Cloud, guest: clouds.Guest) -> list[str]:
    """Name what a move has left on any host beside a server's own files."""
    found = []
    for host in clouds.HOSTS:
        names = cloud.lab.inside(host, "ls", "-A", clouds.INSTANCES).split()
        pools = cloud.lab.virsh(host, "pool-list", "--all", "--name").split()
        moves = tuple(move["uuid"] for move in guest.moves())
        found += [f"{host}: {name}" for name in [*names, *pools] if any(m in name for m in moves)]
    return found


def unchanged(cloud: clouds.Cloud, guest: clouds.Guest, since: probe.Answer | None = None) -> None:
    """Assert that the guest runs on host1 with all of its disk, and that nothing is left."""
    guest.wait_idle("ACTIVE")
    settled.assert_settled(cloud, guest, "host1", since)
    files = cloud.lab.inside("host1", "ls", f"{clouds.INSTANCES}/{guest.uuid}").split()

    assert {"console.log", "disk"} == set(files)
    assert not left(cloud, guest)
    assert f"{guest.uuid}/disk" in cloud.lab.virsh("host1", "domblklist", guest.uuid)
    untouched(cloud)


def untouched(cloud: clouds.Cloud) -> None:
    """Assert that every image in the hosts' caches has the bytes of its name."""
    for host in clouds.HOSTS:
        words = f"cd {clouds.CACHE} && sha256sum *"
        told = cloud.lab.inside(host, "sh", "-c", words, check=False).split()
        assert all(
            name.startswith(digest) for digest, name in zip(told[::2], told[1::2], strict=True)
        )


def finished(cloud: clouds.Cloud, guest: clouds.Guest, before: str) -> None:
    """Assert that the move goes on to its end, and that the guest has all that it had."""
    move = guest.moved(PATIENCE, until="finished")
    assert ("finished", None) == (move["status"], move["error_message"])
    assert before == summed(guest)
    guest.act({"confirmResize": None})
    guest.moved(PATIENCE)
    guest.wait_idle("ACTIVE")
    settled.assert_settled(cloud, guest, "host2")


@contextlib.contextmanager
def small(cloud: clouds.Cloud, host: str) -> Iterator[None]:
    """Give a host's instances a file system of their own while the block lasts."""
    room = cloud.get(f"/whimbrel/hosts/{host}")["host"]["local_gb"]
    cloud.lab.inside(host, "mount", "-t", "tmpfs", "-o", "size=8g", "tmpfs", clouds.INSTANCES)
    try:
        yield
    finally:
        cloud.lab.inside(host, "umount", "--lazy", clouds.INSTANCES)
        waiting.until(
            lambda: cloud.get(f"/whimbrel/hosts/{host}")["host"]["local_gb"] == room,
            "the host tells its room anew",
            PATIENCE,
        )


def shrink(cloud: clouds.Cloud, host: str, kib: int = 4096) -> None:
    """Leave a host's instances little more room than they use."""
    used = f"$(df -k --output=used {clouds.INSTANCES} | tail -1)"
    words = f"mount -o remount,size=$(({used} + {kib}))k {clouds.INSTANCES}"
    cloud.lab.inside(host, "sh", "-c", words)


def widen(cloud: clouds.Cloud, host: str) -> None:
    """Give a host's instances room again."""
    cloud.lab.inside(host, "mount", "-o", "remount,size=8g", clouds.INSTANCES)


def told(cloud: clouds.Cloud, host: str, words: str) -> bool:
    """Tell whether a host's compute has logged this."""
    log = pathlib.Path("/var/lib/whimbrel-lab", cloud.lab.name, "logs", f"{host}-compute.log")
    return words in log.read_text(errors="replace")


def test_destination_fills_up(cloud, guest):
    """The copy fails with the reason; the guest has never been off."""
    before = probe.alive(guest.address, 10)
    with small(cloud, "host2"):
        begin(guest)
        shrink(cloud, "host2")
        move = guest.moved(PATIENCE)
        unchanged(cloud, guest, before)

    assert ("failed", "resize_instance", "host1") == (
        move["status"],
        move["failed_step"],
        move["failed_host"],
    )
    assert "No space left" in move["error_message"]


@pytest.fixture
def cramped(cloud: clouds.Cloud) -> Iterator[clouds.Guest]:
    """Run a guest on a host1 whose instances have a small file system."""
    with small(cloud, "host1"):
        made = cloud.boot()
        probe.ask(made.address, f"write {WRITTEN}", 60)
        yield made
        made.delete()


def test_source_fills_up(cloud, cramped):
    """A stopped move has its guest running on, and its disks whole once there is room.

    A guest that writes on until QEMU stops it goes on by itself then.
    """
    since, before = probe.alive(cramped.address, 10), summed(cramped)
    move = begin(cramped)
    probe.ask(cramped.address, f"write {WRITTEN + 32}", 60)
    shrink(cloud, "host1", 64)
    cramped.abort(move)
    waiting.until(lambda: "waits for" in str(cramped.move()["error_message"]), "it waits", 60)
    still = probe.alive(cramped.address, 10)
    with pytest.raises(errors.TooLate):
        probe.ask(cramped.address, f"write {WRITTEN + 64}", 5)
    paused = cloud.lab.virsh("host1", "domstate", "--reason", cramped.uuid)
    widen(cloud, "host1")
    move = cramped.moved(PATIENCE)
    unchanged(cloud, cramped, since)
    after = summed(cramped)

    assert "cancelled" == move["status"]
    assert "paused (I/O error)" in paused
    assert since.boot == still.boot
    assert before == after


def test_broken_link_is_no_new_beginning(cloud, guest):
    """What has landed stays; the copy goes on once the link is back."""
    before = summed(guest)
    move = begin(guest)
    first = cloud.lab.inside("host2", "stat", "-c", "%i", incoming(move))
    cloud.lab.run("cut", "host2", "--only", "control")
    waiting.until(lambda: told(cloud, "host1", "the copy goes on in a moment"), "it broke", 60)
    cloud.lab.run("heal", "host2")
    waiting.until(
        lambda: guest.move()["progress"]["disk_processed"] > 40 << 20, "it goes on", PATIENCE
    )
    again = cloud.lab.inside("host2", "stat", "-c", "%i", incoming(move), check=False)

    assert again in {first, ""}
    finished(cloud, guest, before)


def test_link_that_stays_broken(cloud, guest):
    """An aborted move has its guest whole at once, and ends when its destination is back."""
    before = probe.alive(guest.address, 10)
    move = begin(guest)
    cloud.lab.run("cut", "host2", "--only", "control")
    guest.abort(move)
    path = f"{clouds.INSTANCES}/{guest.uuid}/disk.delta"
    waiting.until(
        lambda: not cloud.lab.inside("host1", "ls", path, check=False), "it is whole", PATIENCE
    )
    still = guest.move()
    cloud.lab.run("heal", "host2")
    move = guest.moved(PATIENCE)

    assert still["status"] not in clouds.TERMINAL
    assert "cancelled" == move["status"]
    unchanged(cloud, guest, before)


def test_destination_cannot_start_the_guest(cloud, guest):
    """Its bridge is gone by then: the guest comes back from what was kept."""
    before = summed(guest)
    begin(guest)
    bridge(cloud, "br-tenant", "br-away")
    try:
        move = guest.moved(PATIENCE)
    finally:
        bridge(cloud, "br-away", "br-tenant")

    assert ("failed", "finish_resize", "host2") == (
        move["status"],
        move["failed_step"],
        move["failed_host"],
    )
    assert "br-tenant" in move["error_message"]
    unchanged(cloud, guest)
    assert before == summed(guest)


def bridge(cloud: clouds.Cloud, old: str, new: str) -> None:
    """Give host2's bridge another name."""
    words = f"ip link set {old} down && ip link set {old} name {new} && ip link set {new} up"
    cloud.lab.inside("host2", "sh", "-c", words)


@contextlib.contextmanager
def no_store(cloud: clouds.Cloud) -> Iterator[None]:
    """Take the image store away, and what host2 has of it."""
    images = pathlib.Path("/var/lib/whimbrel-lab", cloud.lab.name, "images")
    away = images.with_name("images.away")
    images.rename(away)
    cloud.lab.inside("host2", "sh", "-c", f"rm -f {clouds.CACHE}/*")
    try:
        yield
    finally:
        away.rename(images)


def test_image_comes_from_the_source(cloud, guest):
    """The store has it no more, nor has the destination: the guest arrives all the same."""
    before = summed(guest)
    with no_store(cloud):
        guest.act({"migrate": {"host": "host2"}})
        finished(cloud, guest, before)

    assert cloud.lab.inside("host2", "ls", clouds.CACHE).split()
    untouched(cloud)


def test_image_with_other_bytes_is_refused(cloud, guest):
    """A source whose copy of the image is not the image gives it to nobody; the guest goes on."""
    before = probe.alive(guest.address, 10)
    base = cloud.lab.inside("host1", "sh", "-c", f"ls {clouds.CACHE}/*.qcow2").split()[0]
    with no_store(cloud):
        cloud.lab.inside("host1", "sh", "-c", f"printf x >>{base}")
        guest.act({"migrate": {"host": "host2"}})
        move = guest.moved(PATIENCE)
        cloud.lab.inside("host1", "truncate", "-s", "-1", base)

    assert ("failed", "resize_instance") == (move["status"], move["failed_step"])
    assert "instead of the" in move["error_message"] or "more than" in move["error_message"]
    unchanged(cloud, guest, before)


def test_damaged_chunk_is_sent_again(cloud, guest):
    """Bytes that are others at the destination are found by their checksum, and mended."""
    before = summed(guest)
    move = begin(guest, SLOW // 2)
    words = f"printf garbage | dd of={incoming(move)} bs=1M seek=9 conv=notrunc status=none"
    cloud.lab.inside("host2", "sh", "-c", words)

    finished(cloud, guest, before)
    assert told(cloud, "host1", f"migration {move['uuid']}: disk landed damaged")


def test_source_that_dies_is_taken_up_again(cloud, guest):
    """Its compute is killed in the middle of the copy; the guest runs on, and so does the move."""
    before = summed(guest)
    begin(guest)
    cloud.lab.run("kill", "host1", "compute")
    probe.alive(guest.address, 10)
    cloud.lab.run("start", "host1", "compute")

    finished(cloud, guest, before)


def test_destination_that_dies_is_told_again(cloud, guest):
    """Its compute is killed when it shall start the guest, and does when it is back."""
    before = summed(guest)
    guest.act({"migrate": {"host": "host2"}})
    waiting.until(lambda: guest.move()["status"] == "post-migrating", "it is handed over", PATIENCE)
    cloud.lab.run("kill", "host2", "compute")
    cloud.lab.run("start", "host2", "compute")

    finished(cloud, guest, before)


def test_deleted_while_its_link_is_broken(cloud, guest):
    """Nothing is left on either host; the fixture looks again."""
    begin(guest)
    cloud.lab.run("cut", "host2", "--only", "control")
    accepted = cloud.ask("DELETE", f"/servers/{guest.uuid}")
    cloud.lab.run("heal", "host2")
    guest.delete()

    assert requests.codes.no_content == accepted.status_code
    assert [] == cloud.known(guest.uuid)
    assert [clouds.NOTHING] * 2 == [cloud.allocations(host) for host in clouds.HOSTS]
    assert [[], []] == [cloud.files(host, guest.uuid) for host in clouds.HOSTS]
