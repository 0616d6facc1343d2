"""The command that steers moves, against all services in one process."""

import functools
from typing import Any

import pytest

from tests import waiting
from tests.functional import test_cli

# The fixtures of the other commands: the same services, of this module's own.
services = test_cli.services
whimbrel = test_cli.whimbrel

SLOW = ("--set", "bandwidth=20")


@pytest.fixture
def huge(whimbrel, request):
    """Make servers on host1 that take minutes to move, and delete them at the end."""
    made: list[dict[str, Any]] = []

    def make(flavor: str = "m1.huge"):
        name = f"{request.node.name.replace('_', '-')}-{len(made)}"
        made.append(test_cli.create(whimbrel, name, flavor))
        return made[-1]

    yield make
    for server in made:
        whimbrel("migration", "abort", server["id"])
        waiting.until(functools.partial(idle, whimbrel, server), "the move is over")
        whimbrel("server", "delete", "--wait", server["id"])


def idle(whimbrel, server) -> bool:
    shown = whimbrel("server", "show", server["id"], "-f", "json").json
    return shown["task_state"] is None


def order(whimbrel, server, *words: str) -> str:
    """Begin a move and give its id."""
    moved = whimbrel("server", "live-migrate", server["id"], *words, "-f", "json")
    return str(moved.json["id"])


def show(whimbrel, uuid: str):
    return whimbrel("migration", "show", uuid, "-f", "json").json


def reached(whimbrel, uuid: str, status: str):
    """Wait until the move has this status and was looked at, and give it."""
    seen: dict[str, Any] = {}

    def there() -> bool:
        seen.update(show(whimbrel, uuid))
        return seen["status"] == status and bool(seen["percent"])

    waiting.until(there, f"the move is {status}")
    return seen


def test_policy_of_a_running_move_is_changed_and_holds(whimbrel, huge):
    """A move that would take minutes is over at once when its bandwidth is freed."""
    server = huge()
    uuid = order(whimbrel, server, "--policy", "gentle", *SLOW)
    before = reached(whimbrel, uuid, "running")

    changed = whimbrel(
        "migration", "set", server["name"], "--bandwidth", "0", "--downtime", "800", "-f", "json"
    )

    assert ("gentle", 20) == (before["policy"]["name"], before["policy"]["bandwidth"])
    assert (0, 800) == (changed.json["bandwidth"], changed.json["downtime_ms"])
    assert 0 == whimbrel("migration", "watch", uuid).status
    ended = show(whimbrel, uuid)
    assert 800 == ended["policy"]["downtime_ms"]
    assert {"accepted", "queued", "preparing", "running", "post-migrating", "total"} == (
        ended["phases"].keys()
    )
    assert 0 < ended["phases"]["running"] <= ended["phases"]["total"]


def test_gentle_move_is_forced_by_a_pause(whimbrel, services, huge):
    """The guest stands still until it has arrived, soon: the limit of bandwidth is lifted."""
    server = huge()
    uuid = order(whimbrel, server, "--policy", "gentle", *SLOW)
    reached(whimbrel, uuid, "running")

    forced = whimbrel("migration", "force-complete", server["name"])
    watched = whimbrel("migration", "watch", uuid)

    assert (0, 0) == (forced.status, watched.status), watched.err
    (pause,) = (one for one in show(whimbrel, uuid)["decisions"] if one["action"] == "pause")
    assert pause["reason"].startswith("forced by an operator")
    assert 20 * 1024 * 1024 == pause["inputs"]["rate"]
    assert ["host2"] == services.world.running(server["id"])
    assert ("ACTIVE", "host2") == test_cli.status(whimbrel, server)


def test_post_copy_is_seen_and_cannot_be_aborted(whimbrel, services, huge):
    """A link that breaks is told, and the move goes on when it is back."""
    server = huge()
    uuid = order(whimbrel, server, "--policy", "balanced", *SLOW)
    reached(whimbrel, uuid, "running")

    assert 0 == whimbrel("migration", "force-complete", uuid).status
    reached(whimbrel, uuid, "running (post-copy)")
    aborted = whimbrel("migration", "abort", server["name"])
    services.world.cut.add("host2")
    waiting.until(lambda: show(whimbrel, uuid)["error_message"], "the link is seen broken")
    broken = show(whimbrel, uuid)
    services.world.cut.clear()
    waiting.until(
        lambda: whimbrel("migration", "set", uuid, "--bandwidth", "0").status == 0,
        "it goes on again",
        seconds=30,
    )
    watched = whimbrel("migration", "watch", uuid)

    assert "its guest runs at host2" in aborted.err
    assert "HTTP 400" in aborted.err
    assert "running (post-copy)" == broken["status"]
    assert "the link between host1 and host2 broke in post-copy" in broken["error_message"]
    assert 0 == watched.status, watched.err
    assert ["host2"] == services.world.running(server["id"])


def test_queue_is_seen_shortened_and_widened(whimbrel, huge):
    """One that waits tells its place and is cancelled; a new limit starts the next."""
    servers = [huge("m1.tiny") for _ in range(4)]
    assert 1 == whimbrel("limits", "set", "--outbound", "1", "-f", "json").json["outbound"]
    moves = [order(whimbrel, server, "--set", "bandwidth=1") for server in servers]

    places = [show(whimbrel, uuid)["queue_position"] for uuid in moves]
    assert 0 == whimbrel("migration", "abort", servers[1]["name"]).status
    cancelled = whimbrel("migration", "watch", moves[1])
    after = show(whimbrel, moves[2])
    assert 2 == whimbrel("limits", "set", "--outbound", "2", "-f", "json").json["outbound"]
    running = reached(whimbrel, moves[2], "running")

    assert [None, 1, 2, 3] == places
    assert "cancelled" in cancelled.err
    assert ("queued", 1) == (after["status"], after["queue_position"])
    assert running["queue_position"] is None
    assert ("queued", 1) == (
        show(whimbrel, moves[3])["status"],
        show(whimbrel, moves[3])["queue_position"],
    )


def test_wrong_policy_is_refused_before_anything_begins(whimbrel, huge):
    server = huge()

    for words, why in (
        (("--policy", "rough"), "allowed are the presets"),
        (("--set", "downtme=1"), "downtme is no field"),
    ):
        typed = whimbrel("server", "live-migrate", server["id"], *words)

        assert 1 == typed.status
        assert why in typed.err
    assert ("ACTIVE", "host1") == test_cli.status(whimbrel, server)


def test_presets_are_listed(whimbrel):
    table = whimbrel("migration", "policies", "-f", "json").json

    assert {"Field": "on_timeout", "gentle": "abort", "balanced": "post-copy"}.items() <= next(
        row for row in table if row["Field"] == "on_timeout"
    ).items()
