import pytest

from common import objects
from common.db import claims
from common.db import moves
from common.db import servers
from tests import factories

LIVE = {"host": None, "block_migration": "auto"}


@pytest.fixture
def two(api):
    """An API with two hosts that are up."""
    api.host("host1")
    api.host("host2")
    return api


def act(api, server, body: object, version: str = "2.1", status: int = 202) -> None:
    api.post(f"/servers/{server.uuid}/action", body, version, status)


def task(api, server) -> str | None:
    with api.database.read() as tx:
        return servers.get(tx, server.uuid).task_state


@pytest.mark.parametrize(
    ("state", "body", "during"),
    [
        ("active", {"os-stop": None}, "powering_off"),
        ("stopped", {"os-start": None}, "powering_on"),
        ("active", {"reboot": {"type": "SOFT"}}, "rebooting"),
        ("active", {"reboot": {"type": "HARD"}}, "rebooting_hard"),
        ("active", {"pause": None}, "pausing"),
        ("paused", {"unpause": None}, "unpausing"),
        ("error", {"forceDelete": None}, "deleting"),
    ],
)
def test_task_is_set_before_the_answer(two, state, body, during):
    server = two.server(vm_state=state)

    act(two, server, body)

    assert during == task(two, server)


@pytest.mark.parametrize("body", [{"os-stop": None}, {"unpause": None}])
def test_wrong_state_is_a_conflict_that_names_the_state(two, body):
    server = two.server(vm_state="stopped")

    message = two.refuse("POST", f"/servers/{server.uuid}/action", body, 409)

    assert f"while it is in vm_state stopped; see: whimbrel server show {server.uuid}" in message


def test_busy_server_is_a_conflict_that_names_the_task(two):
    server = two.server(task_state="migrating")

    for body in ({"os-stop": None}, {"os-migrateLive": LIVE}):
        message = two.refuse("POST", f"/servers/{server.uuid}/action", body, 409, "2.30")

        assert "while it is in task_state migrating" in message
        assert f"see: whimbrel migration list --server {server.uuid}" in message


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "one key"),
        ([], "one key"),
        ({"os-stop": None, "os-start": None}, "one key"),
        ({"fly": None}, "fly"),
        ({"reboot": None}, "reboot must be an object"),
        ({"reboot": {}}, "reboot.type is missing"),
        ({"reboot": {"type": "GENTLE"}}, "reboot.type"),
    ],
)
def test_action_that_is_none_is_refused(two, body, word):
    server = two.server()

    assert word in two.refuse("POST", f"/servers/{server.uuid}/action", body, 400)


@pytest.mark.parametrize("name", ["rescue", "shelve", "os-getConsoleOutput"])
def test_action_that_is_not_built_says_so(two, name):
    server = two.server()

    message = two.refuse("POST", f"/servers/{server.uuid}/action", {name: None}, 501)

    assert f"{name} is not built yet" in message


def test_action_on_nothing_is_not_found(two):
    for body in ({"os-stop": None}, {"os-migrateLive": LIVE}, {"migrate": None}):
        two.refuse("POST", "/servers/unknown/action", body, 404, "2.30")


@pytest.mark.parametrize(
    ("version", "body", "block", "over_commit"),
    [
        ("2.1", {"host": None, "block_migration": False, "disk_over_commit": True}, False, True),
        ("2.1", {"host": "host2", "block_migration": "True", "disk_over_commit": "0"}, True, False),
        ("2.25", {"host": "host2", "block_migration": True}, True, False),
        ("2.30", {"host": None, "block_migration": "auto", "force": True}, None, False),
        ("2.96", {"host": "host2", "block_migration": "auto"}, None, False),
    ],
)
def test_live_migration_understands_every_form(two, monkeypatch, version, body, block, over_commit):
    """And waits for the checks below 2.34 only."""
    asked = {}

    def begin(*_args: object, **kwargs: object) -> objects.Migration:
        asked.update(kwargs)
        return factories.migration()

    monkeypatch.setattr(two.parts.conductor, "live_migrate", begin)
    server = two.server()

    act(two, server, {"os-migrateLive": body}, version)

    assert {
        "host": body["host"],
        "block_migration": block,
        "disk_over_commit": over_commit,
        "policy": {},
        "wait": version in {"2.1", "2.25", "2.30"},
        "zone": None,
    } == asked


@pytest.mark.parametrize(
    ("version", "body", "field"),
    [
        ("2.1", {"host": None, "block_migration": False}, "disk_over_commit is missing"),
        ("2.1", {"host": None, "block_migration": "auto", "disk_over_commit": False}, "block_migr"),
        ("2.25", {"host": None}, "os-migrateLive.block_migration is missing"),
        ("2.25", {"block_migration": "auto"}, "os-migrateLive.host is missing"),
        ("2.25", {**LIVE, "disk_over_commit": False}, "os-migrateLive.disk_over_commit"),
        ("2.25", {**LIVE, "force": True}, "os-migrateLive.force"),
        ("2.68", {**LIVE, "force": True}, "os-migrateLive.force"),
        ("2.68", {**LIVE, "block_migration": "maybe"}, "os-migrateLive.block_migration"),
        ("2.68", {**LIVE, "host": 1}, "os-migrateLive.host"),
        ("2.68", None, "os-migrateLive"),
    ],
)
def test_malformed_live_migration_names_the_field(two, version, body, field):
    server = two.server()
    path = f"/servers/{server.uuid}/action"

    message = two.refuse("POST", path, {"os-migrateLive": body}, 400, version)

    assert field in message


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.1", {"host": None, "block_migration": False, "disk_over_commit": True}),
        ("2.25", LIVE),
        ("2.30", {**LIVE, "force": True}),
        ("2.96", LIVE),
    ],
)
def test_every_form_takes_a_policy(two, version, body):
    """Values are written as their own type or as text; the move keeps what came of it."""
    server = two.server()
    with two.database.write() as tx:
        claims.claim(tx, "host1", server.uuid, claims.amounts(server.flavor))
    asked = {"policy": "gentle", "downtime_ms": "700", "ladder": [50, 60], "allow_paused": True}

    two.ask(
        "POST",
        f"/servers/{server.uuid}/action",
        {"os-migrateLive": {**body, "whimbrel:policy": asked}},
        version,
    )

    with two.database.read() as tx:
        (move,) = moves.find(tx, instance_uuid=server.uuid)
    assert move.policy is not None
    assert ("gentle", 700, [50, 60], True) == (
        move.policy.name,
        move.policy.downtime_ms,
        move.policy.ladder,
        move.policy.allow_paused,
    )


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        ({"downtme": 1}, "downtme is no field"),
        ({"downtime_ms": 1}, "downtime_ms is '1'; allowed is a whole number from 10"),
        ({"policy": "rough"}, "allowed are the presets gentle"),
        ({"on_timeout": None}, "whimbrel:policy.on_timeout must be"),
        ({"ladder": [{}]}, "whimbrel:policy.ladder[0] must be"),
        ("gentle", "whimbrel:policy must be an object"),
        ({"on_timeout": "post-copy", "post_copy": "never"}, "does not allow"),
    ],
)
def test_policy_that_is_none_names_the_field(two, policy, word):
    """And nothing is begun."""
    server = two.server()
    body = {"os-migrateLive": {**LIVE, "whimbrel:policy": policy}}

    message = two.refuse("POST", f"/servers/{server.uuid}/action", body, 400, "2.96")

    assert word in message
    assert task(two, server) is None


def test_live_migration_is_accepted_at_once_from_2_34(two):
    server = two.server()
    with two.database.write() as tx:
        claims.claim(tx, "host1", server.uuid, claims.amounts(server.flavor))

    act(two, server, {"os-migrateLive": LIVE}, "2.34")

    assert "migrating" == task(two, server)
    with two.database.read() as tx:
        move = moves.active(tx, server.uuid)

    assert move is not None
    assert "accepted" == move.status


@pytest.mark.parametrize("version", ["2.30", "2.96"])
@pytest.mark.parametrize("host", ["unknown", "host1", "host3"])
def test_impossible_destination_is_refused_at_once_in_every_version(two, clock, version, host):
    """Unknown, the source itself, and down."""
    two.host("host3")
    clock.advance(31)
    two.host("host1")
    two.host("host2")
    server = two.server(host="host1")
    body = {"os-migrateLive": {"host": host, "block_migration": "auto"}}

    message = two.refuse("POST", f"/servers/{server.uuid}/action", body, 400, version)

    assert host in message
    assert task(two, server) is None


@pytest.mark.parametrize("state", ["stopped", "error", "building"])
def test_server_that_does_not_run_cannot_be_moved_live(two, state):
    server = two.server(vm_state=state)
    path = f"/servers/{server.uuid}/action"

    message = two.refuse("POST", path, {"os-migrateLive": LIVE}, 409, "2.96")

    assert f"vm_state {state}" in message
