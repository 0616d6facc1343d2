"""Cold migration and resize over HTTP, in the ways of Nova."""

import datetime

import pytest

from common import states
from common.db import claims
from common.db import moves
from common.db import servers
from tests import factories

UNKNOWN = "11111111-2222-4333-8444-555555555555"
AT = factories.NOW + datetime.timedelta(hours=1)


@pytest.fixture
def two(api):
    """An API with two hosts that are up, and a larger flavor."""
    api.host("host1")
    api.host("host2")
    api.flavor(id="larger", name="larger", root_gb=2, memory_mb=1024)
    return api


def placed(api, **values):
    """Give a server on host1 that holds its room there."""
    server = api.server(**values)
    with api.database.write() as tx:
        claims.claim(tx, "host1", server.uuid, claims.amounts(server.flavor))
    return server


def act(api, server, body, version: str = "2.1"):
    """Order an action."""
    return api.ask("POST", f"/servers/{server.uuid}/action", body, version)


def task(api, server) -> str | None:
    with api.database.read() as tx:
        return servers.get(tx, server.uuid).task_state


def begun(api, server):
    """Give the move that was begun."""
    with api.database.read() as tx:
        return moves.active(tx, server.uuid)


@pytest.mark.parametrize(
    ("version", "wanted", "host"),
    [
        ("2.1", None, None),
        ("2.1", {}, None),
        ("2.55", {"host": "nowhere"}, None),
        ("2.55", "anything", None),
        ("2.56", None, None),
        ("2.56", {"host": None}, None),
        ("2.56", {"host": "host2"}, "host2"),
        ("2.96", {"host": "host2", "whimbrel:confirm": True}, "host2"),
    ],
)
def test_migrate_is_taken_in_the_form_of_its_microversion(two, version, wanted, host):
    """Below 2.56 the value is not looked at; the task stands before the answer."""
    server = placed(two)

    answer = act(two, server, {"migrate": wanted}, version)

    move = begun(two, server)
    assert (202, "resize_prep") == (answer.status_code, task(two, server))
    assert ("migration", host) == (move.type, move.requested_host)
    assert answer.headers["Location"].endswith(f"/os-migrations/{move.uuid}")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"host": "nowhere"}, "nowhere"),
        ({"host": "host1"}, "on host1 already"),
        ({"host": ""}, "host"),
        ({"host": 1}, "host"),
        ({"hosts": "host2"}, "hosts"),
        ({"whimbrel:confirm": "yes"}, "whimbrel:confirm"),
        ({"whimbrel:bandwidth": -1}, "whimbrel:bandwidth"),
        ("host2", "migrate"),
    ],
)
def test_migrate_that_cannot_be_is_refused_before_anything_is_touched(two, wanted, words):
    server = two.server()
    path = f"/servers/{server.uuid}/action"

    assert words in two.refuse("POST", path, {"migrate": wanted}, 400, "2.56")
    assert (None, None) == (task(two, server), begun(two, server))


@pytest.mark.parametrize("state", ["active", "stopped"])
def test_resize_begins_for_running_and_stopped_servers(two, state):
    server = placed(two, vm_state=state)

    answer = act(two, server, {"resize": {"flavorRef": "larger", "OS-DCF:diskConfig": "AUTO"}})

    move = begun(two, server)
    assert 202 == answer.status_code
    assert ("resize", "1", "larger", state) == (
        move.type,
        move.cold.old_flavor.id,
        move.cold.new_flavor.id,
        move.cold.was,
    )
    assert "RESIZE" == two.get(f"/servers/{server.uuid}")["server"]["status"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"flavorRef": "unknown"}, "unknown"),
        ({"flavorRef": None}, "flavorRef"),
        ({"flavorRef": ""}, "flavorRef"),
        ({}, "flavorRef"),
        (None, "resize"),
        ({"flavorRef": "same"}, "has flavor same already"),
        ({"flavorRef": "larger", "flavour": "x"}, "flavour"),
    ],
)
def test_resize_that_cannot_be_is_refused_before_anything_is_touched(two, wanted, words):
    server = two.server(flavor=two.flavor(id="same", name="same"))
    path = f"/servers/{server.uuid}/action"

    assert words in two.refuse("POST", path, {"resize": wanted}, 400)
    assert (None, None) == (task(two, server), begun(two, server))


@pytest.mark.parametrize(
    ("smaller", "words"),
    [
        ({"root_gb": 1}, "root disk 2 to 1 GiB"),
        ({"root_gb": 2, "ephemeral_gb": 0}, "ephemeral disk 1 to 0 GiB"),
        ({"root_gb": 2, "ephemeral_gb": 1, "swap_mb": 0}, "swap 64 to 0 MiB"),
    ],
)
def test_disk_does_not_shrink(two, smaller, words):
    """The refusal names the disk and both sizes."""
    large = factories.flavor(id="large", root_gb=2, ephemeral_gb=1, swap_mb=64)
    server = two.server(flavor=large)
    two.flavor(id="small", name="small", **{"ephemeral_gb": 1, "swap_mb": 64, **smaller})
    path = f"/servers/{server.uuid}/action"

    assert words in two.refuse("POST", path, {"resize": {"flavorRef": "small"}}, 400)
    assert task(two, server) is None


@pytest.mark.parametrize(
    ("small", "words"),
    [
        ({"root_gb": 4}, "has 4 GiB of disk and image web needs 5"),
        ({"memory_mb": 200}, "has 200 MiB of memory and image web needs 256"),
    ],
)
def test_resize_minds_what_the_image_needs(two, small, words):
    """A flavor of 0 GiB has a disk as large as its image, which does not shrink either."""
    image = factories.image(name="web", min_disk=5, min_ram=256)
    server = two.server(flavor=factories.flavor(root_gb=0, memory_mb=512), image=image)
    two.flavor(id="small", name="small", **{"root_gb": 5, "memory_mb": 512, **small})
    path = f"/servers/{server.uuid}/action"

    assert words in two.refuse("POST", path, {"resize": {"flavorRef": "small"}}, 400)
    assert task(two, server) is None


@pytest.mark.parametrize("body", [{"migrate": None}, {"resize": {"flavorRef": "larger"}}])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vm_state": "paused"}, "vm_state paused"),
        ({"vm_state": "error"}, "vm_state error"),
        ({"vm_state": "resized"}, "vm_state resized"),
        ({"task_state": "migrating"}, "task_state migrating"),
        ({"vm_state": "stopped", "task_state": "powering_on"}, "task_state powering_on"),
    ],
)
def test_wrong_state_is_a_conflict_that_names_the_state(two, body, values, words):
    server = two.server(**values)

    assert words in two.refuse("POST", f"/servers/{server.uuid}/action", body, 409)


@pytest.mark.parametrize("name", ["confirmResize", "revertResize"])
class TestDecision:
    """A finished move is confirmed, with 204, or reverted, with 202."""

    @pytest.fixture
    def resized(self, two):
        """A server that waits for its user."""
        server = two.server(vm_state="resized", host="host2")
        two.move(
            server, type="resize", status="finished", destination="host2",
            cold=factories.cold_move(),
        )  # fmt: skip
        return server

    def test_it_begins(self, two, resized, name):
        wanted = {
            "confirmResize": (204, "resize_confirming", "VERIFY_RESIZE"),
            "revertResize": (202, "resize_reverting", "REVERT_RESIZE"),
        }[name]

        answer = act(two, resized, {name: None})

        status = two.get(f"/servers/{resized.uuid}")["server"]["status"]
        assert wanted == (answer.status_code, task(two, resized), status)
        assert b"" == answer.data

    def test_it_begins_once(self, two, resized, name):
        act(two, resized, {name: None})

        path = f"/servers/{resized.uuid}/action"
        assert "task_state resize_" in two.refuse("POST", path, {name: None}, 409)

    def test_other_servers_have_nothing_to_decide(self, two, name):
        path = f"/servers/{two.server().uuid}/action"

        assert "vm_state active" in two.refuse("POST", path, {name: None}, 409)

    def test_it_has_no_arguments(self, two, resized, name):
        path = f"/servers/{resized.uuid}/action"

        assert name in two.refuse("POST", path, {name: {}}, 400)
        assert task(two, resized) is None

    def test_unknown_server_is_not_found(self, two, name):
        two.refuse("POST", f"/servers/{UNKNOWN}/action", {name: None}, 404)


def test_guest_that_is_not_at_its_destination_is_not_confirmed(two):
    """A conflict that says what was seen there; what its source keeps stays."""
    server = two.server(vm_state="resized", host="host2")
    two.move(
        server, type="resize", status="finished", destination="host2", cold=factories.cold_move()
    )
    two.hosts.power = None

    told = two.refuse("POST", f"/servers/{server.uuid}/action", {"confirmResize": None}, 409)

    assert "host2 has nothing of its guest" in told
    assert ("finished", None) == (begun(two, server).status, task(two, server))


def test_cold_move_is_listed_as_in_nova(two):
    """Its type is `migration`; it is in the list of all moves and not of those that are live."""
    server = placed(two)
    act(two, server, {"migrate": None})

    (listed,) = two.get("/os-migrations", "2.59")["migrations"]

    assert ("migration", "accepted") == (listed["migration_type"], listed["status"])
    assert "links" not in listed
    assert [] == two.get(f"/servers/{server.uuid}/migrations", "2.23")["migrations"]


def test_waiting_copies_tell_their_place_in_the_line(two):
    """From 1; one that is prepared or copied has none."""
    places = []
    for stage, status in [(moves.COPY, "pre-migrating")] * 2 + [
        ("prep_resize", "pre-migrating"),
        (moves.COPY, "migrating"),
    ]:
        move = two.move(
            two.server(), type="resize", status=status, stage=stage, destination="host2"
        )
        shown = two.get(f"/os-migrations/{move.uuid}")["migration"]
        places.append(shown["queue_position"])

    assert [1, 2, None, None] == places


def test_finished_move_tells_when_it_confirms_itself(two):
    cold = factories.cold_move(copied_bytes=7, off_ms=3)
    move = two.move(two.server(), type="resize", status="finished", confirm_at=AT, cold=cold)

    shown = two.get(f"/os-migrations/{move.uuid}")["migration"]

    assert "2026-01-01T01:00:00.000000" == shown["confirm_at"]
    assert (7, 3) == (shown["cold"]["copied_bytes"], shown["cold"]["off_ms"])


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"status": "finished", "confirm_at": AT}, "2026-01-01T01:00:00Z"),
        ({"status": "finished"}, None),
        ({"status": "confirming", "confirm_at": AT}, None),
    ],
)
def test_server_tells_when_it_confirms_itself(two, values, shown):
    """In every microversion, alone and in the list."""
    server = two.server(vm_state="resized", host="host2")
    two.move(server, type="resize", destination="host2", cold=factories.cold_move(), **values)

    alone = two.get(f"/servers/{server.uuid}")["server"]
    (listed,) = two.get("/servers/detail", "2.96")["servers"]

    assert [shown, shown] == [one["whimbrel:confirms_at"] for one in (alone, listed)]


@pytest.mark.parametrize(
    ("status", "answer"), [("pre-migrating", 202), ("finished", 400), ("confirmed", 400)]
)
def test_cold_move_is_aborted_until_its_guest_has_left(two, status, answer):
    """One that waits for its copy is undone at once."""
    server = two.server(task_state="resize_prep")
    move = two.move(
        server, type="resize", status=status, stage=moves.COPY, destination="host2",
        cold=factories.cold_move(),
    )  # fmt: skip

    got = two.ask("DELETE", f"/servers/{server.uuid}/migrations/{move.uuid}", version="2.65")

    assert answer == got.status_code, got.text
    if answer == 202:
        assert "undo_resize" == begun(two, server).stage
    else:
        assert states.Move(status) in got.json["badRequest"]["message"]
