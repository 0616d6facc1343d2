"""Links that break while a guest moves: real QEMU in the lab, through the API."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from deploy.lab import probe
from tests import waiting
from tests.integration import cloud as clouds
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

CAP = 8  # MiB per second: the guest's memory takes 16 s
# QEMU without KVM loses pages that a guest writes fast while they are copied, whoever moves it.
SLOW = 8
GENTLY = 2
PATIENCE = 90


@pytest.fixture
def guest(cloud: clouds.Cloud) -> Iterator[clouds.Guest]:
    """Run a guest on host1 that writes a little to its memory."""
    made = cloud.boot()
    probe.ask(made.address, f"dirty {GENTLY}", 10)
    yield made
    made.delete()


@contextlib.contextmanager
def cut(cloud: clouds.Cloud) -> Iterator[None]:
    """Keep host2 from all others while the block lasts; guests can be asked."""
    cloud.lab.run("cut", "host2", "--only", "control")
    try:
        yield
    finally:
        cloud.lab.run("heal", "host2")


def reached(guest: clouds.Guest, far: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Wait until the newest move of the guest, which goes on, has come so far."""

    def look() -> dict[str, Any] | None:
        move = guest.move()
        assert move["status"] not in clouds.TERMINAL, move["error_message"]
        return move if far(move) else None

    found = waiting.until(look, "the move comes so far", PATIENCE)
    assert found is not None
    return found


def copying(move: dict[str, Any]) -> bool:
    """Tell whether the memory of a guest is on its way."""
    return bool(move["progress"]) and move["progress"]["iteration"] >= 1


def undone(move: dict[str, Any]) -> list[str]:
    """Give how each try to clean the destination ended."""
    name = "rollback_live_migration_at_destination"
    return [step["state"] for step in move["steps"] if step["step"] == name]


@pytest.mark.parametrize("aborted", [False, True], ids=["by-itself", "by-its-user"])
def test_copy_over_a_dead_link_is_given_up(cloud, guest, aborted):
    """The guest runs on, the move ends long before TCP would, and a healed host is cleaned."""
    before = probe.alive(guest.address, 10)
    guest.migrate("host2", policy={"policy": "gentle", "bandwidth": CAP})
    move = reached(guest, copying)
    with probe.Prober(guest.address) as prober, cut(cloud):
        if aborted:
            path = f"/servers/{guest.uuid}/migrations/{move['id']}"
            answer = cloud.ask("DELETE", path)
            assert requests.codes.accepted == answer.status_code, answer.text
        ended = guest.moved()
        status = guest.show()["status"]
        probe.alive(guest.address, 5)
        heard = prober.stop()
    settled.assert_settled(cloud, guest, "host1", before, within=PATIENCE)

    assert ("cancelled" if aborted else "failed") == ended["status"]
    assert ("aborted by" if aborted else "link between host1 and host2") in ended["error_message"]
    assert "ACTIVE" == status
    assert 1 == len(heard.boots)
    assert "done" == undone(guest.move())[-1]


@pytest.mark.parametrize("soon", [True, False], ids=["at-the-switch", "later"])
def test_post_copy_over_a_broken_link_goes_on(cloud, guest, soon):
    """The guest waits, the reason says so, and healed it arrives with its memory."""
    before = probe.alive(guest.address, 10)
    policy = {"bandwidth": SLOW, "post_copy": "on-timeout", "completion_timeout": 250}
    guest.migrate("host2", policy=policy)
    move = reached(guest, copying)
    path = f"/servers/{guest.uuid}/migrations/{move['id']}/action"
    cloud.ask("POST", path, {"force_complete": None})
    reached(guest, lambda one: one["status"] == "running (post-copy)")
    if not soon:
        probe.alive(guest.address, 10)
    with cut(cloud):
        broken = reached(guest, lambda one: one["error_message"])
        faster = cloud.ask("POST", path, {"whimbrel:policy": {"bandwidth": 0}})
    ended = guest.moved(PATIENCE)
    settled.assert_settled(cloud, guest, "host2", before, within=PATIENCE)

    assert faster.ok, faster.text
    assert "running (post-copy)" == broken["status"]
    assert "link between host1 and host2 broke" in broken["error_message"]
    assert "the guest waits" in broken["error_message"]
    assert ("completed", None) == (ended["status"], ended["error_message"])
