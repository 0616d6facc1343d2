"""Every way of a cold move on real QEMU, of guests that run and of guests that are off, at once."""

from __future__ import annotations

import configparser
import itertools
import pathlib
import re
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
from typing import Any
from typing import NamedTuple

import pytest

from deploy.lab import probe
from tests import waiting
from tests.integration import cloud as clouds
from tests.integration import labs
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(420)]

# All guests have room on one host, and may all be moved at once.
OPTIONS = (
    *("--set", "compute.cpu_allocation_ratio=32"),
    *("--set", "scheduler.max_io_ops_per_host=32"),
)
NARROW, WIDE = "m1.tiny", "wide"
SIZES = {NARROW: (1, 128), WIDE: (2, 192)}  # vCPUs and MiB
KERNEL = 48  # MiB that a guest's kernel keeps to itself, at most
WRITTEN = 4  # MiB
BOOTS = 4  # at once
PATIENCE = 120
WINDOW = 8  # seconds
CONFIG = pathlib.Path("/var/lib/whimbrel-lab")


class Way(NamedTuple):
    """What is ordered, what is decided afterwards, and where and as what the guest ends."""

    begins: str
    order: str
    target: str
    decision: str
    host: str
    ends: str


WAYS = (
    Way(NARROW, "migrate", "", "", "host2", NARROW),
    Way(NARROW, "migrate", "host2", "confirmResize", "host2", NARROW),
    Way(NARROW, "migrate", "", "revertResize", "host1", NARROW),
    Way(NARROW, "resize", WIDE, "confirmResize", "host2", WIDE),
    Way(NARROW, "resize", WIDE, "revertResize", "host1", NARROW),
    Way(WIDE, "resize", NARROW, "confirmResize", "host2", NARROW),
    Way(WIDE, "resize", NARROW, "revertResize", "host1", WIDE),
)


class Traveller(NamedTuple):
    """A guest with its way, whether it is off meanwhile, and the sum of what it wrote."""

    guest: clouds.Guest
    way: Way
    off: bool
    sum: str


@pytest.fixture(scope="module")
def cloud() -> Iterator[clouds.Cloud]:
    """Run a lab with room for many."""
    with labs.running(labs.Lab("ruff", "198.18.29.0/24"), *OPTIONS) as lab:
        yield clouds.Cloud(lab)


@pytest.fixture(scope="module")
def flavors(cloud: clouds.Cloud) -> dict[str, str]:
    """Make the wide flavor, and give the ids of all by their names."""
    vcpus, ram = SIZES[WIDE]
    wanted = {"name": WIDE, "vcpus": vcpus, "ram": ram, "disk": 1}
    cloud.ask("POST", "/flavors", {"flavor": wanted}).raise_for_status()
    return {one["name"]: str(one["id"]) for one in cloud.get("/flavors")["flavors"]}


def test_every_way_of_running_and_stopped_guests(cloud, flavors):
    """Host, size and power are those that were ordered, and the disk is what the guest wrote."""
    everyone = each(lambda choice: travel(cloud, *choice), itertools.product(WAYS, (False, True)))

    for one in everyone:
        answer = one.guest.act(ordered(one.way, flavors))
        assert answer.ok, answer.text
    for one in everyone:
        decide(one)
    ended = [one.guest.moved(PATIENCE) for one in everyone]
    powers = [power(cloud, one) for one in everyone]
    each(awake, everyone)

    assert [(expected(one.way), None) for one in everyone] == [
        (move["status"], move["error_message"]) for move in ended
    ]
    assert [[] if one.off else [one.way.host] for one in everyone] == powers
    for one in everyone:
        assert one.sum == probe.ask(one.guest.address, f"sum {WRITTEN}", PATIENCE)
        assert_size(one)
        settled.assert_settled(cloud, one.guest, one.way.host)
    each(lambda one: one.guest.delete(), everyone)
    assert [clouds.NOTHING] * 2 == [cloud.allocations(host) for host in clouds.HOSTS]


def test_window_confirms_what_nobody_decides(cloud):
    """A guest that runs and one that is off; their user sees until when there is time."""
    everyone = [travel(cloud, WAYS[1], off) for off in (False, True)]
    configure(cloud, WINDOW)
    try:
        for one in everyone:
            one.guest.act({"migrate": {"host": "host2"}})
        until = [waits(one) for one in everyone]
        ended = [one.guest.moved(PATIENCE) for one in everyone]
    finally:
        configure(cloud, 0)
    each(awake, everyone)

    assert [("confirmed", None)] * 2 == [(move["status"], move["error_message"]) for move in ended]
    assert all(until)
    for one in everyone:
        assert one.sum == probe.ask(one.guest.address, f"sum {WRITTEN}", PATIENCE)
        settled.assert_settled(cloud, one.guest, "host2")
        one.guest.delete()


def each(act: Callable[[Any], Any], every: Any) -> list[Any]:
    """Do it for everyone, a few at a time."""
    with futures.ThreadPoolExecutor(BOOTS) as pool:
        return list(pool.map(act, every))


def travel(cloud: clouds.Cloud, way: Way, off: bool) -> Traveller:  # noqa: FBT001 - one of a product
    """Boot a guest that writes to its disk, and shut it down if it is to be off."""
    guest = cloud.boot(flavor=way.begins)
    probe.ask(guest.address, f"write {WRITTEN}", PATIENCE)
    told = str(probe.ask(guest.address, f"sum {WRITTEN}", PATIENCE))
    if off:
        guest.act({"os-stop": None})
        guest.wait_idle("SHUTOFF")
    return Traveller(guest, way, off, told)


def ordered(way: Way, flavors: dict[str, str]) -> dict[str, Any]:
    """Give the body of the order."""
    if way.order == "resize":
        return {"resize": {"flavorRef": flavors[way.target]}}
    host = {"host": way.target} if way.target else {}
    return {"migrate": {**host, **({} if way.decision else {"whimbrel:confirm": True})}}


def expected(way: Way) -> str:
    """Give how the move ends."""
    return "reverted" if way.decision == "revertResize" else "confirmed"


def decide(one: Traveller) -> None:
    """Wait for the guest at its destination, and order what is decided."""
    if not one.way.decision:
        return
    move = one.guest.moved(PATIENCE, until="finished")
    assert ("finished", None) == (move["status"], move["error_message"])
    one.guest.wait_idle("VERIFY_RESIZE")
    assert "host2" == one.guest.host
    answer = one.guest.act({one.way.decision: None})
    assert answer.ok, answer.text


def waits(one: Traveller) -> str:
    """Wait for the guest at its destination, and give when it confirms itself."""
    one.guest.moved(PATIENCE, until="finished")
    one.guest.wait_idle("VERIFY_RESIZE")
    return str(one.guest.show().get("whimbrel:confirms_at") or "")


def power(cloud: clouds.Cloud, one: Traveller) -> list[str]:
    """Name the hosts on which the guest runs once nothing is done to it."""
    one.guest.wait_idle("SHUTOFF" if one.off else "ACTIVE")
    return cloud.running(one.guest.uuid)


def awake(one: Traveller) -> None:
    """Start a guest that is off, and hear it tick."""
    if one.off:
        one.guest.act({"os-start": None})
        one.guest.wait_idle("ACTIVE")
    probe.alive(one.guest.address, PATIENCE)


def assert_size(one: Traveller) -> None:
    """See that the guest itself counts what its flavor says."""
    told = str(probe.ask(one.guest.address, "hardware", PATIENCE))
    seen = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", told)}
    vcpus, ram = SIZES[one.way.ends]

    assert vcpus == seen["vcpus"]
    assert ram - KERNEL < seen["memory_mib"] <= ram


def configure(cloud: clouds.Cloud, window: int) -> None:
    """Restart the conductor with another window."""
    path = CONFIG / cloud.lab.name / "config" / "controller-conductor.conf"
    options = configparser.ConfigParser(interpolation=None)
    options.read(path)
    options.read_dict({"conductor": {"resize_confirm_window": window}})
    with path.open("w") as file:
        options.write(file)
    cloud.lab.run("kill", "controller", "conductor")
    cloud.lab.run("start", "controller", "conductor")
    waiting.until(lambda: cloud.ask("GET", "/whimbrel/limits").ok, "the conductor is back", 30)
