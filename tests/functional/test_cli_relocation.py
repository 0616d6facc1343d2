"""The command that migrates and resizes servers which may be off, against all services."""

import pytest

from tests import waiting
from tests.functional import test_cli

# The fixtures of the other commands: the same services, of this module's own.
services = test_cli.services
whimbrel = test_cli.whimbrel
server = test_cli.server


@pytest.fixture
def small(whimbrel):
    """A flavor that is larger than a server's."""
    words = ("--vcpus", "2", "--ram", "128", "--disk", "2")
    whimbrel("flavor", "create", "m1.small", *words)
    yield "m1.small"
    whimbrel("flavor", "delete", "m1.small")


@pytest.fixture
def resized(whimbrel, server, small):
    """A server of this flavor on host2 that waits for its user; gives how it was ordered, too."""
    words = ("--flavor", small, "--host", "host2", "--wait", "-f", "json")
    return server, whimbrel("server", "resize", server["name"], *words)


def shown(whimbrel, server):
    return whimbrel("server", "show", server["id"], "-f", "json").json


@pytest.mark.parametrize("power", ["ACTIVE", "SHUTOFF"])
def test_a_migration_confirms_itself(whimbrel, services, server, power):
    """Running or shut off, it is as it was, elsewhere, and its command waits for that."""
    if power == "SHUTOFF":
        whimbrel("server", "stop", "--wait", server["name"])

    moved = whimbrel("server", "migrate", server["name"], "--wait", "-f", "json")

    assert ("host1", "host2", "confirmed") == (
        moved.json["from"],
        moved.json["to"],
        moved.json["status"],
    )
    assert moved.json["copied_bytes"] > 0
    assert (power, "host2") == test_cli.status(whimbrel, server)
    assert (["host2"] if power == "ACTIVE" else []) == services.world.running(server["id"])


def test_a_migration_that_is_kept_says_how_to_decide(whimbrel, services, server):
    """Its server shows the two ways; a revert that was decided goes back."""
    name = server["name"]
    words = ("--keep", "--host", "host2")
    typed = whimbrel("server", "migrate", name, *words, "-f", "json")
    ways = f"whimbrel server confirm {name} | whimbrel server revert {name}"
    whimbrel("migration", "watch", typed.json["id"])
    waits = waiting.until(
        lambda: shown(whimbrel, server).get("decide"), "the server waits for its user"
    )
    reverted = whimbrel("server", "revert", name, "--yes", "--wait")

    assert f"once it is finished, decide with: {ways}" in typed.err
    assert ["whimbrel server confirm", "whimbrel server revert"] == [
        " ".join(way.split()[:3]) for way in waits
    ]
    assert 0 == reverted.status, reverted.err
    assert ("ACTIVE", "host1") == test_cli.status(whimbrel, server)
    assert ["host1"] == services.world.running(server["id"])


def test_a_resize_waits_and_is_confirmed(whimbrel, services, resized):
    """The server has its new size on the named host; nothing is kept at the old one."""
    server, ordered = resized
    before = shown(whimbrel, server)

    confirmed = whimbrel("server", "confirm", server["name"], "--wait")

    after = shown(whimbrel, server)
    assert "finished" == ordered.json["status"]
    assert f"decide with: whimbrel server confirm {server['name']}" in ordered.err
    assert ("VERIFY_RESIZE", None) == (before["status"], before["confirms_itself_at"])
    assert (0, "") == (confirmed.status, confirmed.out)
    assert ("ACTIVE", "host2", "m1.small", 128) == (
        after["status"],
        after["host"],
        after["flavor"],
        after["memory_mb"],
    )
    assert "decide" not in after
    assert not services.world.host("host1").kept


def test_a_revert_says_what_is_lost_before_anything_is_done(whimbrel, services, resized):
    """A script that does not say yes changes nothing; one that does has the old server back."""
    server, _ordered = resized

    unsure = whimbrel("server", "revert", server["name"])
    between = test_cli.status(whimbrel, server)
    reverted = whimbrel("server", "revert", server["name"], "--yes", "--wait")

    assert 1 == unsure.status
    assert f"everything that {server['name']} has written since it was resized is lost" in (
        unsure.err
    )
    assert "--yes" in unsure.err
    assert ("VERIFY_RESIZE", "host2") == between
    assert 0 == reverted.status, reverted.err
    after = shown(whimbrel, server)
    assert ("ACTIVE", "host1", "m1.tiny") == (after["status"], after["host"], after["flavor"])
    assert ["host1"] == services.world.running(server["id"])


def test_a_smaller_disk_is_refused_at_once(whimbrel, resized):
    """The sentence has both sizes, and the server is as it was."""
    server, _ordered = resized
    whimbrel("server", "confirm", server["name"], "--wait")

    typed = whimbrel("server", "resize", server["name"], "--flavor", "m1.tiny", "--wait")

    assert 1 == typed.status
    assert "root disk 2 to 1 GiB" in typed.err
    assert "HTTP 400" in typed.err
    assert ("ACTIVE", "host2") == test_cli.status(whimbrel, server)


def test_a_dead_guest_is_not_confirmed(whimbrel, services, resized):
    """The command says what was seen of it, and what can be had back."""
    server, _ordered = resized
    guest = services.world.host("host2").guests[server["id"]]
    guest.halt(services.world.clock.monotonic(), type(guest.power).SHUTDOWN)

    typed = whimbrel("server", "confirm", server["name"], "--wait")

    assert 1 == typed.status
    assert "its guest on host2 is shutdown, and should be running" in typed.err
    assert "revert it to have back what host1 keeps" in typed.err
    assert ("VERIFY_RESIZE", "host2") == test_cli.status(whimbrel, server)
