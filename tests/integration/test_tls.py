"""Encrypted moves on real QEMU, through the API: what is heard, and wrong certificates."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
import requests

from deploy.lab import certificates
from deploy.lab import plan as plans
from deploy.lab import probe
from deploy.lab import registry
from tests.integration import cloud as clouds
from tests.integration import labs
from tests.integration import settled
from tests.integration import wire as wires

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

PATIENCE = 60
ELSEWHERE = "198.18.14.99"
SLOW: dict[str, object] = {"bandwidth": 12}  # MiB per second
# What the guest's device writes to its disk, and nobody shall read on the way.
WRITTEN = 0xA5
WORD = bytes([WRITTEN]) * 512
MIB = 1 << 20
QEMU = f"{certificates.PLACE}/"
LIBVIRT = f"{certificates.PKI_PLACE}/"


@pytest.fixture(scope="module")
def cloud() -> Iterator[clouds.Cloud]:
    """Two hosts with certificates and all services."""
    with labs.running(labs.Lab("secret", "198.18.14.0/24"), "--tls") as started:
        yield clouds.Cloud(started)


@pytest.fixture(scope="module")
def plan(cloud) -> plans.Plan:
    """The lab's plan: where its files are."""
    return registry.find(cloud.lab.name)


@pytest.fixture
def guest(cloud) -> Iterator[clouds.Guest]:
    """Run a guest on host1 that has written to its disk."""
    made = cloud.boot()
    write(cloud, made)
    yield made
    made.delete()


@contextlib.contextmanager
def without(cloud: clouds.Cloud, host: str, path: str) -> Iterator[None]:
    """Have a host without a file while the block lasts."""
    cloud.lab.inside(host, "mv", path, f"{path}.aside")
    try:
        yield
    finally:
        cloud.lab.inside(host, "mv", f"{path}.aside", path)


def write(cloud: clouds.Cloud, guest: clouds.Guest) -> None:
    """Have the guest's device write the word to its disk, on host1."""
    device = "/machine/peripheral/virtio-disk0/virtio-backend"
    order = f'qemu-io -d {device} "write -P {WRITTEN} 600M 1M"'
    cloud.lab.virsh("host1", "qemu-monitor-command", f"whimbrel-{guest.uuid}", "--hmp", order)


def credentials(cloud: clouds.Cloud, guest: clouds.Guest) -> str:
    """Name the credentials that the guest's QEMU uses at its source."""
    order = json.dumps({"execute": "query-migrate-parameters"})
    said = cloud.lab.virsh("host1", "qemu-monitor-command", f"whimbrel-{guest.uuid}", order)
    return str(json.loads(said)["return"]["tls-creds"])


def streams(wire: wires.Wire) -> int:
    """Count the ports of incoming guests by which a disk, or memory, has gone."""
    return sum(wire.bytes[port] >= MIB for port in wires.INCOMING)


def test_the_tap_hears_what_goes_in_the_clear(lab):
    """Without TLS the word is heard on the way of the disk: silence elsewhere means something."""
    cloud = clouds.Cloud(lab)
    guest = cloud.boot()
    write(cloud, guest)

    with wires.tapped(registry.find(lab.name).hosts, WORD) as wire:
        guest.migrate("host2", policy=SLOW)
        move = guest.moved(PATIENCE)
    guest.delete()

    assert "completed" == move["status"]
    assert (1, 2) == (len(wire.heard), streams(wire))
    assert wire.heard <= set(wires.INCOMING)
    assert plans.LIBVIRT_PORT in wire.bytes


def test_memory_and_disks_go_encrypted(cloud, plan, guest):
    """Nothing of the disk is heard, and libvirt's daemons talk to each other by TLS alone."""
    before = probe.alive(guest.address, PATIENCE)
    with wires.tapped(plan.hosts, WORD) as wire:
        guest.migrate("host2", policy=SLOW)
        guest.moving(lambda progress: progress["memory_processed"])
        used = credentials(cloud, guest)
        move = guest.moved(PATIENCE)

    assert ("completed", None, True) == (
        move["status"],
        move["error_message"],
        move["policy"]["tls"],
    )
    assert used
    assert (set(), 2) == (wire.heard, streams(wire))
    assert plans.LIBVIRT_TLS_PORT in wire.bytes
    assert plans.LIBVIRT_PORT not in wire.bytes
    settled.assert_settled(cloud, guest, "host2", before)


def test_cold_copies_go_encrypted(cloud, plan, guest):
    """Off, the disk goes over libvirt's own connection, and nobody hears what is on it."""
    with wires.tapped(plan.hosts, WORD) as wire:
        answer = guest.act({"migrate": {"host": "host2"}})
        move = guest.moved(PATIENCE, until="finished")
    guest.act({"confirmResize": None})
    guest.wait_idle("ACTIVE")

    assert requests.codes.accepted == answer.status_code
    assert ("finished", None) == (move["status"], move["error_message"])
    assert set() == wire.heard
    assert {plans.LIBVIRT_TLS_PORT} == wire.bytes.keys()
    assert wire.bytes[plans.LIBVIRT_TLS_PORT] > MIB
    settled.assert_settled(cloud, guest, "host2")


def test_wrong_certificate_stops_the_move(cloud, plan, guest):
    """A destination that shows another host's certificate gets nothing."""
    certificates.issue(plan.root / "tls", plan.host("host2"), ELSEWHERE)
    before = probe.alive(guest.address, PATIENCE)
    try:
        guest.migrate("host2")
        move = guest.moved(PATIENCE)
    finally:
        certificates.issue(plan.root / "tls", plan.host("host2"), plan.host("host2").address)

    assert ("failed", "migrate") == (move["status"], move["failed_step"])
    assert "certificate" in move["error_message"].lower()
    settled.assert_settled(cloud, guest, "host1", before)


@pytest.mark.parametrize(
    ("host", "path", "name"),
    [
        ("host1", f"{QEMU}client-key.pem", "tls"),
        ("host2", f"{QEMU}server-cert.pem", "tls"),
        ("host1", f"{LIBVIRT}libvirt/clientcert.pem", "libvirt-tls-source"),
        ("host2", f"{LIBVIRT}libvirt/private/serverkey.pem", "libvirt-tls"),
    ],
)
def test_missing_file_refuses(cloud, guest, host, path, name):
    """It is named, with the options that allow plain TCP; the guest does not move in the clear."""
    with without(cloud, host, path):
        answer = guest.migrate("host2", version=clouds.OLD)
        checks = cloud.get(f"/servers/{guest.uuid}/whimbrel-check-migrate?host=host2")["checks"]
    said = answer.json()["badRequest"]["message"]

    assert f"{path} is missing" in said
    assert "live_migration_with_native_tls = false" in said
    assert [name] == [row["name"] for row in checks if row["verdict"] == "fail"]
    settled.assert_settled(cloud, guest, "host1")
