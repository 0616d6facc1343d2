"""Live migrations by command on real hosts, and what a destination makes ready for a guest."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.lab import probe
from tests import typed
from tests import waiting
from tests.integration import clients
from tests.integration import cloud as clouds
from tests.integration import settled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SLOW: dict[str, object] = {"policy": "balanced", "bandwidth": 2, "completion_timeout": 600}
PATIENCE = 120


@pytest.fixture
def openstack(cloud: clouds.Cloud, tmp_path: Path) -> clients.Openstack:
    """The openstack command, told of the lab."""
    endpoint = cloud.lab.env()["WHIMBREL_ENDPOINT"]
    return clients.Openstack(tmp_path, clients.cloud(endpoint, "none"))


@pytest.fixture
def whimbrel(cloud: clouds.Cloud) -> typed.Whimbrel:
    """Whimbrel's own command, told of the lab."""
    return typed.at(cloud.lab.env()["WHIMBREL_ENDPOINT"])


@contextlib.contextmanager
def unread(cloud: clouds.Cloud, row: dict[str, str]) -> Iterator[threading.Event]:
    """Have who reads an image of the store wait while the block lasts; tells that somebody does."""
    path = Path(cloud.lab.env()["WHIMBREL_LAB_DIR"]) / "images" / row["file"]
    aside = path.with_suffix(".aside")
    reads, go = threading.Event(), threading.Event()

    def give() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("wb") as pipe:
            reads.set()
            go.wait()
            pipe.write(aside.read_bytes())

    path.rename(aside)
    os.mkfifo(path)
    writer = threading.Thread(target=give)
    writer.start()
    try:
        yield reads
    finally:
        go.set()
        # Where nobody reads the writer waits for somebody.
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        writer.join()
        aside.rename(path)


def stored(cloud: clouds.Cloud, image: str) -> dict[str, str]:
    """Give what the store's index says of an image."""
    index = Path(cloud.lab.env()["WHIMBREL_LAB_DIR"]) / "images" / "index.json"
    (found,) = (row for row in json.loads(index.read_text())["images"] if row["id"] == image)
    return dict(found)


def cached(cloud: clouds.Cloud, host: str) -> set[str]:
    """Name the copies of images that a host has."""
    return set(cloud.lab.inside(host, "ls", clouds.CACHE).split())


def test_dry_run_by_command(cloud, guest, whimbrel):
    """Every check of a host that can take the guest passes; its own host cannot."""
    name = guest.show()["name"]

    good = whimbrel("server", "check-migrate", name, "--host", "host2", "-f", "json")
    own = whimbrel("server", "check-migrate", name, "--host", "host1")

    assert {"cpu", "paths", "migration-ports", "tls"} <= {row["Check"] for row in good.json}
    assert 1 == own.status
    assert "not-itself" in own.out + own.err
    assert [] == guest.moves()
    settled.assert_settled(cloud, guest, "host1")


def test_openstack_command_stops_and_pushes_a_move(cloud, guest, openstack, whimbrel):
    """Listed and shown while it runs; aborted the guest stays, forced and freed it arrives."""
    name, before = guest.show()["name"], probe.alive(guest.address, 30)
    guest.migrate("host2", policy=SLOW)
    guest.moving(lambda progress: progress["iteration"] >= 1)
    (listed,) = openstack.ask("server", "migration", "list", "--server", name)
    shown = openstack.ask("server", "migration", "show", name, listed["UUID"])
    openstack.tell("server", "migration", "abort", name, listed["UUID"])
    aborted = guest.moved(PATIENCE)
    settled.assert_settled(cloud, guest, "host1", before)
    guest.migrate("host2", policy=SLOW)
    move = guest.moving(lambda progress: progress["iteration"] >= 1)
    openstack.tell("server", "migration", "force", "complete", name, str(move["id"]))
    freed = whimbrel("migration", "set", move["uuid"], "--bandwidth", "0")
    forced = guest.moved(PATIENCE)

    assert ("running", "host1", "host2") == (
        listed["Status"],
        listed["Source Compute"],
        listed["Dest Compute"],
    )
    assert ("running", "host2") == (shown["Status"], shown["Dest Host"])
    assert 0 == freed.status, freed.err
    assert "cancelled" == aborted["status"]
    assert ("completed", None) == (forced["status"], forced["error_message"])
    settled.assert_settled(cloud, guest, "host2", before)


def test_abort_while_the_destination_makes_ready(cloud, guest):
    """It waits for an image; the guest stays, and what comes too late leaves nothing there."""
    before = probe.alive(guest.address, 30)
    row = stored(cloud, guest.show()["image"]["id"])
    cloud.lab.inside("host2", "rm", "-f", f"{clouds.CACHE}/{row['checksum']}.{row['disk_format']}")
    with unread(cloud, row) as reads:
        guest.migrate("host2")
        assert reads.wait(PATIENCE)
        preparing = guest.move()
        answer = guest.abort(preparing)
        ended = guest.moved(PATIENCE)

    assert "preparing" == preparing["status"]
    assert requests.codes.accepted == answer.status_code, answer.text
    assert "cancelled" == ended["status"]
    settled.assert_settled(cloud, guest, "host1", before, within=PATIENCE)


def test_kernel_and_ramdisk_come_along(cloud, guest):
    """A destination that had no image fetches all three before the guest comes: it boots there."""
    before = probe.alive(guest.address, 30)
    had = cached(cloud, "host1")
    cloud.lab.inside("host2", "sh", "-c", f"rm -rf {clouds.CACHE}/*")
    guest.migrate("host2")
    move = guest.moved(PATIENCE)
    has = cached(cloud, "host2")
    settled.assert_settled(cloud, guest, "host2", before)
    guest.act({"reboot": {"type": "HARD"}})
    guest.wait_idle("ACTIVE")
    waiting.until(
        lambda: probe.alive(guest.address, PATIENCE).boot != before.boot, "it boots", PATIENCE
    )

    assert ("completed", None) == (move["status"], move["error_message"])
    assert 3 == len(has)
    assert has <= had
    settled.assert_settled(cloud, guest, "host2")
