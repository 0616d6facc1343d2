"""Live migration of real guests over RabbitMQ, libvirt and QEMU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from deploy.lab import probe
from tests import waiting
from tests.integration import cloud as clouds
from tests.integration import labs
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shared_cloud(shared_lab: labs.Lab) -> clouds.Cloud:
    """Give the lab with shared storage."""
    return clouds.Cloud(shared_lab)


@pytest.fixture
def shared_guest(shared_cloud: clouds.Cloud) -> Iterator[clouds.Guest]:
    """Run a guest on host1 of the lab with shared storage."""
    made = shared_cloud.boot()
    yield made
    made.delete()


def test_boot(cloud, guest):
    """A created server runs where it was asked for, and its guest answers at its address."""
    settled.assert_settled(cloud, guest, "host1")


def test_local_disk(cloud, guest):
    """A guest with a local disk moves there and back and keeps memory and disk."""
    probe.ask(guest.address, "write 4", 30)
    with probe.Prober(guest.address) as prober:
        prober.wait_heard(10)
        for host in ("host2", "host1"):
            answer = guest.migrate(host)
            move = guest.moved()

            assert requests.codes.accepted == answer.status_code
            assert ("completed", None) == (move["status"], move["error_message"])
            settled.assert_settled(cloud, guest, host)
        probe.alive(guest.address, 10)
        heard = prober.stop()

    assert not heard.restarted
    assert 1 == len(heard.boots)


def test_scheduler_chooses(cloud, guest):
    """Without a destination the scheduler finds one; every step is in the journal and ended."""
    guest.migrate(None)
    move = guest.moved()

    assert ("completed", "host2") == (move["status"], move["destination"])
    assert [
        ("select_destinations", "controller", "done"),
        ("check_can_live_migrate_destination", "host2", "done"),
        ("check_can_live_migrate_source", "host1", "done"),
        ("pre_live_migration", "host2", "done"),
        ("migrate", "host1", "done"),
        ("post_live_migration_at_destination", "host2", "done"),
        ("leave_source", "host1", "done"),
    ] == [
        (step["step"], step["host"], step["state"])
        for step in move["steps"]
        if not step["step"].startswith("decide_")
    ]
    assert move["downtime_ms"] is not None


def test_shared_storage(shared_cloud, shared_guest):
    """On shared storage the disk stays where it is, and the guest comes back as well."""
    with probe.Prober(shared_guest.address) as prober:
        prober.wait_heard(10)
        for host in ("host2", "host1"):
            shared_guest.migrate(host)
            move = shared_guest.moved()

            assert ("completed", None) == (move["status"], move["error_message"])
            settled.assert_settled(shared_cloud, shared_guest, host, shared=True)
        probe.alive(shared_guest.address, 10)
        heard = prober.stop()

    assert not heard.restarted
    assert 1 == len(heard.boots)


@pytest.mark.parametrize("version", [clouds.OLD, clouds.NEW])
def test_wrong_storage_flag(cloud, guest, version):
    """block_migration=false without shared storage is refused before anything moves."""
    answer = guest.migrate("host2", block=False, version=version)
    move = guest.moved()

    assert (version == clouds.OLD) == (answer.status_code == requests.codes.bad_request)
    assert "failed" == move["status"]
    assert "do not share" in move["error_message"]
    settled.assert_settled(cloud, guest, "host1")


def test_block_copy_on_shared_storage(shared_cloud, shared_guest):
    """block_migration=true on shared storage would copy a disk onto itself: refused."""
    answer = shared_guest.migrate("host2", block=True, version=clouds.OLD)

    assert requests.codes.bad_request == answer.status_code
    assert "share" in answer.json()["badRequest"]["message"]
    settled.assert_settled(shared_cloud, shared_guest, "host1", shared=True)


def test_destination_fails_to_prepare(cloud, guest):
    """A destination that cannot fetch the image: the guest runs on, and nothing is left there."""
    image = cloud.get(f"/images/{guest.show()['image']['id']}")
    checksum = image.get("os_hash_value") or image["checksum"]
    store = f"{cloud.lab.env()['WHIMBREL_LAB_DIR']}/images"
    cloud.lab.inside("host2", "rm", "-f", f"{clouds.CACHE}/{checksum}.qcow2")
    cloud.lab.inside("host2", "mv", store, f"{store}.aside")
    try:
        with probe.Prober(guest.address) as prober:
            prober.wait_heard(10)
            guest.migrate("host2")
            move = guest.moved()
            probe.alive(guest.address, 10)
            heard = prober.stop()
    finally:
        cloud.lab.inside("host2", "mv", f"{store}.aside", store)

    assert ("failed", "pre_live_migration", "host2") == (
        move["status"],
        move["failed_step"],
        move["failed_host"],
    )
    assert "cannot be read" in move["error_message"]
    assert not heard.restarted
    settled.assert_settled(cloud, guest, "host1")


def test_refused_at_once(cloud, guest):
    """Unknown host, its own host: 400 in every version, and no migration is written."""
    for version in (clouds.OLD, clouds.NEW):
        for host in ("host9", "host1"):
            answer = guest.migrate(host, version=version)

            assert requests.codes.bad_request == answer.status_code
            assert host in answer.json()["badRequest"]["message"]
    assert [] == guest.moves()
    settled.assert_settled(cloud, guest, "host1")


def test_destination_down(cloud, guest):
    """A destination whose compute is down is refused at once, with how long it is silent."""
    cloud.lab.run("kill", "host2", "compute")
    try:
        _wait_down(cloud, "host2")
        answer = guest.migrate("host2")
    finally:
        cloud.lab.run("start", "host2", "compute")
        _wait_up(cloud, "host2")

    assert requests.codes.bad_request == answer.status_code
    assert "is down" in answer.json()["badRequest"]["message"]
    settled.assert_settled(cloud, guest, "host1")


def test_no_room(cloud, guest):
    """With no host left, the refusal says why for each, with numbers where numbers decide."""
    service = _compute(cloud, "host2")
    path = f"/os-services/{service['id']}"
    cloud.ask("PUT", path, {"status": "disabled", "disabled_reason": "new fans"})
    try:
        answer = guest.migrate(None, version=clouds.OLD)
    finally:
        cloud.ask("PUT", path, {"status": "enabled"})
    message = answer.json()["badRequest"]["message"]

    assert requests.codes.bad_request == answer.status_code
    assert "host2" in message
    assert "new fans" in message
    settled.assert_settled(cloud, guest, "host1")


def test_abort_of_nothing(cloud, guest):
    """Aborting a migration that does not exist, or has ended, is refused with a reason."""
    unknown = cloud.ask("DELETE", f"/servers/{guest.uuid}/migrations/99999")
    guest.migrate("host2")
    move = guest.moved()
    ended = cloud.ask("DELETE", f"/servers/{guest.uuid}/migrations/{move['id']}")

    assert requests.codes.conflict == unknown.status_code
    assert requests.codes.conflict == ended.status_code
    assert "abort" in ended.json()["conflictingRequest"]["message"]
    settled.assert_settled(cloud, guest, "host2")


def test_paused_guest_stays_paused(cloud, guest):
    """A paused guest moves and is still paused; its memory goes on where it was stopped."""
    before = probe.alive(guest.address, 10)
    guest.act({"pause": None})
    guest.wait_idle("PAUSED")
    guest.migrate("host2")
    move = guest.moved()
    status = guest.show()["status"]
    guest.act({"unpause": None})
    guest.wait_idle("ACTIVE")
    after = probe.alive(guest.address, 10)

    assert "completed" == move["status"]
    assert "PAUSED" == status
    assert before.boot == after.boot
    assert before.tick <= after.tick
    settled.assert_settled(cloud, guest, "host2")


def test_operations(cloud, guest):
    """Stop, start, soft and hard reboot do what they say to the real guest."""
    boots = [probe.alive(guest.address, 30).boot]
    for body in ({"reboot": {"type": "SOFT"}}, {"reboot": {"type": "HARD"}}):
        assert requests.codes.accepted == guest.act(body).status_code
        guest.wait_idle("ACTIVE")
        boots.append(probe.alive(guest.address, 60).boot)
    guest.act({"os-stop": None})
    guest.wait_idle("SHUTOFF")
    stopped = cloud.running(guest.uuid)
    refused = guest.migrate("host2")
    guest.act({"os-start": None})
    guest.wait_idle("ACTIVE")
    boots.append(probe.alive(guest.address, 60).boot)

    assert 4 == len(set(boots))
    assert [] == stopped
    assert requests.codes.conflict == refused.status_code
    assert "stopped" in refused.json()["conflictingRequest"]["message"]
    settled.assert_settled(cloud, guest, "host1")


def _compute(cloud: clouds.Cloud, host: str) -> dict[str, object]:
    (row,) = cloud.get(f"/os-services?binary=nova-compute&host={host}")["services"]
    return dict(row)


def _wait_down(cloud: clouds.Cloud, host: str) -> None:
    waiting.until(lambda: _compute(cloud, host)["state"] == "down", f"{host} is down", 40)


def _wait_up(cloud: clouds.Cloud, host: str) -> None:
    waiting.until(lambda: _compute(cloud, host)["state"] == "up", f"{host} is up", 40)
