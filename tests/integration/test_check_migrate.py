"""The dry run of a live migration on real hosts: what each of them would say, and nothing done."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from deploy.lab import plan
from tests import waiting
from tests.integration import cloud as clouds
from tests.integration import labs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

BALLAST = f"{clouds.INSTANCES}/ballast"
BRIDGE = plan.TENANT_BRIDGE
LISTENING = "16509"
FIRST = "49152:49155"
LAST = "49200:49215"


@pytest.fixture(scope="module")
def cloud() -> Iterator[clouds.Cloud]:
    """A lab of its own, for what is broken here would disturb others."""
    with labs.running(labs.Lab("dry", "198.18.11.0/24"), "--hosts", "2") as lab:
        yield clouds.Cloud(lab)


@pytest.fixture(scope="module")
def guest(cloud) -> Iterator[clouds.Guest]:
    """Run a guest on host1, and see that no check touched it or left anything."""
    made = cloud.boot("dry")
    yield made
    assert {"failed"} >= {move["status"] for move in made.moves()}
    assert ("host1", None) == (made.host, made.show()["OS-EXT-STS:task_state"])
    assert [] == cloud.files("host2", made.uuid)
    assert clouds.NOTHING == cloud.allocations("host2")
    made.delete()


def answers(cloud, guest, **query: object) -> dict[str, dict[str, Any]]:
    """Give what is said of host2, by the check's name."""
    words = "&".join(f"{name}={value}" for name, value in {"host": "host2", **query}.items())
    body = cloud.get(f"/servers/{guest.uuid}/whimbrel-check-migrate?{words}")
    return {row["name"]: row for row in body["checks"]}


def fails(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Give the reasons of those that fail."""
    return {name: row["reason"] for name, row in found.items() if row["verdict"] == "fail"}


@contextlib.contextmanager
def renamed(lab: labs.Lab, host: str, old: str, new: str) -> Iterator[None]:
    """Have a link of a host under another name."""
    for before, after in ((old, new), (new, old)):
        lab.inside(host, "ip", "link", "set", before, "down")
        lab.inside(host, "ip", "link", "set", before, "name", after)
        lab.inside(host, "ip", "link", "set", after, "up")
        if after == new:
            yield


@contextlib.contextmanager
def refused(lab: labs.Lab, host: str, ports: str) -> Iterator[None]:
    """Have a firewall before ports of a host."""
    rule = ["INPUT", "-p", "tcp", "--dport", ports, "-j", "REJECT", "--reject-with", "tcp-reset"]
    lab.inside(host, "iptables", "-I", *rule)
    try:
        yield
    finally:
        lab.inside(host, "iptables", "-D", *rule)


@contextlib.contextmanager
def ballast(cloud: clouds.Cloud, guest: clouds.Guest) -> Iterator[None]:
    """Have a disk on host2 that may outgrow it, from when it has told so until it has told else."""

    def told() -> bool:
        return "DiskLeastFilter" in fails(answers(cloud, guest))

    inside = cloud.lab.inside
    inside("host2", "mkdir", BALLAST)
    try:
        inside("host2", "qemu-img", "create", "-q", "-f", "qcow2", f"{BALLAST}/disk", "60T")
        waiting.until(told, "host2 has told of the disk that may grow", 30)
        yield
    finally:
        inside("host2", "rm", "-r", BALLAST)
        waiting.until(lambda: not told(), "host2 has told of its room", 30)


def test_a_host_that_can_take_the_guest_passes(cloud, guest):
    """Every check was made, and none fails."""
    found = answers(cloud, guest)

    assert {} == fails(found)
    assert {
        "RamFilter",
        "cpu",
        "storage",
        "paths",
        "disk-space",
        "libvirt-port",
        "migration-ports",
    } <= set(found)
    assert {"port 49152", "port 49215"} <= set(
        re.findall(r"port \d+", found["migration-ports"]["reason"])
    )


def test_shared_is_wrong_where_nothing_is_shared(cloud, guest):
    """The test file is not seen, and the reason says what to ask for."""
    found = fails(answers(cloud, guest, block_migration="false"))

    assert {"storage"} == set(found)
    assert "use block_migration true or auto" in found["storage"]


def test_a_missing_bridge_fails(cloud, guest):
    """The guest would arrive without its network; the move itself is refused in these words."""
    with renamed(cloud.lab, "host2", BRIDGE, "br-away"):
        found = fails(answers(cloud, guest))
        answer = guest.migrate("host2", version=clouds.OLD)

    assert {"bridges": f"host2 has no bridge {BRIDGE}"} == found
    assert requests.codes.bad_request == answer.status_code
    assert found["bridges"] in answer.text


def test_no_room_for_the_disk_fails_unless_over_commit_is_allowed(cloud, guest):
    """What thin disks of others may still grow counts, unless the request says otherwise."""
    with ballast(cloud, guest):
        found = fails(answers(cloud, guest))
        lax = answers(cloud, guest, disk_over_commit="true")

    assert {"disk-space", "DiskLeastFilter"} == set(found)
    assert "1024 MiB needed" in found["disk-space"]
    assert {} == fails(lax)


@pytest.mark.parametrize(
    ("ports", "name"),
    [(LISTENING, "libvirt-port"), (FIRST, "migration-ports"), (LAST, "migration-ports")],
)
def test_a_closed_port_fails(cloud, guest, ports, name):
    """Found before the move, and by its number."""
    with refused(cloud.lab, "host2", ports):
        found = fails(answers(cloud, guest))

    assert {name} == set(found)
    assert "Connection refused" in found[name]


def test_nobody_listens_once_the_checks_are_over(cloud, guest):
    """The port that was opened for the moment is closed with the test file."""
    assert {} == fails(answers(cloud, guest))

    waiting.until(
        lambda: not re.search(r":49[12]\d\d\b", cloud.lab.inside("host2", "ss", "-Htln")),
        "host2 listens no more",
    )


def test_a_host_whose_compute_is_down_fails(cloud, guest):
    """It is not asked at all, and the table says since when it is silent."""
    cloud.lab.run("kill", "host2", "compute")
    waiting.until(lambda: "ComputeFilter" in fails(answers(cloud, guest)), "host2 is down", 90)
    found = answers(cloud, guest)
    cloud.lab.run("start", "host2", "compute")
    waiting.until(lambda: fails(answers(cloud, guest)) == {}, "host2 is up", 90)

    assert "its compute service is down, last seen" in found["ComputeFilter"]["reason"]
    assert "storage" not in found
