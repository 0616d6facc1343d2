"""Cold migration and resize of real guests: their disks, their sizes, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from common import ids
from deploy.lab import probe
from tests import waiting
from tests.integration import cloud as clouds

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WRITTEN = 8  # MiB
LARGER = {"name": "larger", "vcpus": 2, "ram": 192, "disk": 2}


@pytest.fixture(scope="module")
def larger(cloud: clouds.Cloud) -> str:
    """Make a flavor that is larger in everything, and give its id."""
    known = {one["name"]: one["id"] for one in cloud.get("/flavors")["flavors"]}
    if LARGER["name"] in known:
        return str(known[LARGER["name"]])
    answer = cloud.ask("POST", "/flavors", {"flavor": {**LARGER, "id": ids.new()}})
    return str(answer.json()["flavor"]["id"])


@pytest.fixture
def guest(cloud: clouds.Cloud) -> Iterator[clouds.Guest]:
    """Run a guest on host1 that has written to its disk."""
    made = cloud.boot()
    probe.ask(made.address, f"write {WRITTEN}", 60)
    yield made
    made.delete()
    for host in clouds.HOSTS:
        assert not [name for name in cloud.files(host, made.uuid) if made.uuid in name]


def summed(guest: clouds.Guest) -> str:
    """Give the checksum of what the guest wrote, from inside of it."""
    probe.alive(guest.address, 60)
    return str(probe.ask(guest.address, f"sum {WRITTEN}", 60))


def hardware(guest: clouds.Guest) -> dict[str, int]:
    """Give what the guest is made of, as it sees it itself."""
    probe.alive(guest.address, 60)
    told = str(probe.ask(guest.address, "hardware", 60))
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", told)}


def settled(cloud: clouds.Cloud, guest: clouds.Guest, host: str) -> None:
    """Assert that exactly this host knows and runs the guest, and that nothing is anywhere else."""
    (other,) = set(clouds.HOSTS) - {host}
    here, left = (
        cloud.lab.inside(name, "ls", "-A", clouds.INSTANCES).split() for name in (host, other)
    )

    assert ([host], [host]) == (cloud.running(guest.uuid), cloud.known(guest.uuid))
    assert host == guest.host
    assert not [name for name in left if name.endswith((".kept", ".incoming", guest.uuid))]
    assert not [name for name in (*here, *left) if name.startswith(".whimbrel-cold-")]
    assert clouds.NOTHING == cloud.allocations(other)


def test_migrated_guest_keeps_its_disk(cloud, guest):
    """It starts on the other host with all that it wrote, and most was copied while it ran."""
    before = summed(guest)

    answer = guest.act({"migrate": {"host": "host2", "whimbrel:confirm": True}})
    move = guest.moved()

    assert requests.codes.accepted == answer.status_code
    assert ("confirmed", None) == (move["status"], move["error_message"])
    assert before == summed(guest)
    guest.wait_idle("ACTIVE")
    settled(cloud, guest, "host2")
    assert move["cold"]["copied_running"] > move["cold"]["copied_bytes"] / 2


def test_resized_guest_sees_its_new_size_and_can_go_back(cloud, guest, larger):
    """Processors, memory and disk grow; the revert brings the old ones back, and the disk."""
    before, small = summed(guest), hardware(guest)
    guest.act({"resize": {"flavorRef": larger}})
    guest.moved(until="finished")
    guest.wait_idle("VERIFY_RESIZE")
    after, large = summed(guest), hardware(guest)
    probe.ask(guest.address, "write 1", 60)

    guest.act({"revertResize": None})
    move = guest.moved()
    guest.wait_idle("ACTIVE")

    assert before == after
    assert (2, 2048) == (large["vcpus"], large["disk_mib"])
    assert large["memory_mib"] > small["memory_mib"] + 48
    assert "reverted" == move["status"], move["error_message"]
    assert before == summed(guest)
    assert small == hardware(guest)
    settled(cloud, guest, "host1")


def test_stopped_guest_stays_stopped(cloud, guest, larger):
    """It is copied as it is, and starts only when it is told to."""
    before = summed(guest)
    guest.act({"os-stop": None})
    guest.wait_idle("SHUTOFF")

    guest.act({"resize": {"flavorRef": larger}})
    guest.moved(until="finished")
    guest.wait_idle("VERIFY_RESIZE")
    off = cloud.running(guest.uuid)
    confirmed = guest.act({"confirmResize": None}, "2.96")
    move = guest.moved()
    guest.wait_idle("SHUTOFF")
    guest.act({"os-start": None})
    guest.wait_idle("ACTIVE")

    assert [] == off
    assert requests.codes.no_content == confirmed.status_code
    assert "confirmed" == move["status"]
    assert before == summed(guest)
    settled(cloud, guest, "host2")


def test_resized_guest_can_be_deleted(cloud, guest):
    """The fixture sees that nothing is left on either host."""
    guest.act({"migrate": {"host": "host2"}})
    guest.moved(until="finished")
    guest.wait_idle("VERIFY_RESIZE")

    guest.delete()

    assert [] == cloud.known(guest.uuid)
    assert [clouds.NOTHING] * 2 == [cloud.allocations(host) for host in clouds.HOSTS]


def test_abort_leaves_the_guest_running(cloud, guest):
    """A slow copy is stopped; the guest has never been off, and its disk is whole again."""
    before = summed(guest)
    with probe.Prober(guest.address) as prober:
        guest.act({"migrate": {"host": "host2", "whimbrel:bandwidth": 1}})
        waiting.until(
            lambda: (guest.move().get("progress") or {}).get("disk_processed"), "it is copied", 60
        )
        uuid = guest.move()["uuid"]
        answer = cloud.ask("DELETE", f"/servers/{guest.uuid}/migrations/{uuid}")
        move = guest.moved()
        guest.wait_idle("ACTIVE")
        heard = prober.stop()

    assert requests.codes.accepted == answer.status_code
    assert "cancelled" == move["status"]
    assert not heard.restarted
    assert before == summed(guest)
    settled(cloud, guest, "host1")


def test_refused_destination_is_not_noticed_by_the_guest(cloud, guest):
    """A host that has files of the server refuses before anything is touched, and keeps them."""
    theirs = f"{clouds.INSTANCES}/{guest.uuid}"
    cloud.lab.inside("host2", "mkdir", theirs)
    try:
        with probe.Prober(guest.address) as prober:
            guest.act({"migrate": {"host": "host2"}})
            move = guest.moved()
            guest.wait_idle("ACTIVE")
            heard = prober.stop()
        kept = cloud.files("host2", guest.uuid)
    finally:
        cloud.lab.inside("host2", "rmdir", theirs)

    assert ("failed", "prep_resize") == (move["status"], move["failed_step"])
    assert "has files of server" in move["error_message"]
    assert [guest.uuid] == kept
    assert not heard.restarted
    settled(cloud, guest, "host1")
