"""What an operator does to a move that goes on, and to the limits of all."""

import pytest

from common import errors
from common import objects
from common.db import moves
from tests import factories

FORCE = {"force_complete": None}


@pytest.fixture
def server(api):
    """A server that is being moved."""
    return api.server(task_state="migrating")


def action(move) -> str:
    return f"/servers/{move.instance_uuid}/migrations/{move.id}/action"


class TestForce:
    def test_running_move_is_made_to_end(self, api, monkeypatch, server):
        """By the conductor, and without a body in the answer."""
        asked = []
        monkeypatch.setattr(
            api.parts.conductor, "force_complete", lambda *values: asked.append(values[1:])
        )
        move = api.move(server, status="running")

        assert api.post(action(move), FORCE, "2.22") is None
        assert [(server.uuid, move.uuid)] == asked

    @pytest.mark.parametrize(
        "status", ["accepted", "queued", "preparing", "running (post-copy)", "completed"]
    )
    def test_only_a_running_move_is_forced(self, api, server, status):
        move = api.move(server, status=status)

        message = api.refuse("POST", action(move), FORCE, 400, "2.22")

        assert f"while it is {status}" in message

    def test_what_the_source_refuses_is_a_bad_request(self, api, monkeypatch, server):
        """The guest stands still already, or nothing is copied yet."""

        def late(*_args: object) -> None:
            raise errors.WrongState("the guest stands still already")

        monkeypatch.setattr(api.parts.conductor, "force_complete", late)
        move = api.move(server, status="running")

        assert "stands still" in api.refuse("POST", action(move), FORCE, 400, "2.22")

    def test_server_that_does_not_move_is_a_conflict(self, api):
        move = api.move(api.server(), status="completed")

        message = api.refuse("POST", action(move), FORCE, 409, "2.22")

        assert "Cannot 'force_complete'" in message

    def test_move_of_another_server_is_not_found(self, api, server):
        move = api.move(api.server(), status="running")

        path = f"/servers/{server.uuid}/migrations/{move.id}/action"
        api.refuse("POST", path, FORCE, 404, "2.22")

    @pytest.mark.parametrize(
        ("body", "word"),
        [
            ({"x": None}, "there are force_complete, whimbrel:policy"),
            ({}, "one key"),
            ({**FORCE, "x": None}, "one key"),
            ({"force_complete": {}}, "force_complete must be null"),
            ({"whimbrel:policy": None}, "whimbrel:policy must be an object"),
        ],
    )
    def test_other_bodies_are_refused(self, api, server, body, word):
        move = api.move(server, status="running")

        assert word in api.refuse("POST", action(move), body, 400, "2.22")


class TestChange:
    @pytest.mark.parametrize("status", ["accepted", "queued"])
    def test_policy_of_a_waiting_move_is_changed(self, api, server, status):
        """The answer has all of it, and the row too; its other fields stay."""
        policy = factories.policy(on_timeout="pause", allow_paused=True)
        move = api.move(server, status=status, policy=policy)
        body = {"whimbrel:policy": {"downtime_ms": 900, "bandwidth": "32"}}

        shown = api.post(action(move), body, "2.22")["policy"]

        assert (900, 32, "pause") == (
            shown["downtime_ms"],
            shown["bandwidth"],
            shown["on_timeout"],
        )
        with api.database.read() as tx:
            after = moves.get(tx, move.uuid).policy
        assert after is not None
        assert (900, 32) == (after.downtime_ms, after.bandwidth)

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"tls": True}, "tls of a migration that goes on cannot be changed"),
            ({"downtime_ms": 5}, "downtime_ms is '5'"),
            ({}, "whimbrel:policy"),
        ],
    )
    def test_what_cannot_be_changed_is_refused(self, api, server, changes, word):
        move = api.move(server, status="queued", policy=factories.policy())

        message = api.refuse("POST", action(move), {"whimbrel:policy": changes}, 400, "2.22")

        assert word in message

    def test_move_that_ended_is_not_changed(self, api, server):
        move = api.move(server, status="failed", policy=factories.policy())
        body = {"whimbrel:policy": {"downtime_ms": 900}}

        assert "it is failed already" in api.refuse("POST", action(move), body, 400, "2.22")


LIMITS = {"max_outbound": 3, "max_inbound": 2, "max_copies_outbound": 2, "max_copies_inbound": 2}


class TestLimits:
    @pytest.fixture
    def options(self):
        return {"conductor.max_outbound": 3}

    def test_limits_are_those_of_the_configuration_until_they_are_set(self, api):
        assert {"limits": LIMITS} == api.get("/whimbrel/limits")

    def test_limits_are_set_one_by_one(self, api):
        """What the body does not name stays."""
        wanted = {"max_inbound": 7, "max_copies_outbound": 1}

        answer = api.ask("PUT", "/whimbrel/limits", {"limits": wanted})

        assert {"limits": {**LIMITS, **wanted}} == answer.json
        assert answer.json == api.get("/whimbrel/limits")

    @pytest.mark.parametrize("value", [0, 101, "7", True, None, 1.5])
    def test_wrong_limit_is_refused_by_name(self, api, value):
        body = {"limits": {"max_outbound": value}}

        message = api.refuse("PUT", "/whimbrel/limits", body, 400)

        assert "limits.max_outbound must be a whole number from 1 to 100" in message

    @pytest.mark.parametrize("body", [{}, {"limits": {}}, {"limits": {"max": 1}}, None])
    def test_body_without_limits_is_refused(self, api, body):
        assert api.refuse("PUT", "/whimbrel/limits", body, 400)


class TestPolicies:
    @pytest.fixture
    def options(self):
        return {
            "libvirt.live_migration_policy": "gentle",
            "libvirt.live_migration_bandwidth": 40,
        }

    def test_presets_are_shown_as_the_configuration_makes_them(self, api):
        """What is configured holds for every preset; which is the default is told."""
        shown = api.get("/whimbrel/policies")

        assert "gentle" == shown["default"]
        assert ["gentle", "balanced", "must-finish", "huge-vm"] == [
            preset["name"] for preset in shown["policies"]
        ]
        assert {40} == {preset["bandwidth"] for preset in shown["policies"]}
        assert "downtime_ms" in shown["changeable"]
        assert "tls" not in shown["changeable"]


class TestResolve:
    def test_answer_says_what_was_seen(self, api, monkeypatch):
        """Of a server that nothing is being done to."""
        server = api.server()
        move = api.move(server, status="error")
        seen = objects.GuestSeen(host="host1", power_state=1, run_token="run")
        found = objects.Resolution(
            migration_uuid=move.uuid, outcome="undone", host="host1", seen=[seen]
        )
        monkeypatch.setattr(api.parts.conductor, "resolve_move", lambda *_values: found)

        answer = api.post(action(move), {"whimbrel:resolve": None}, "2.22")["resolution"]

        assert ("undone", "host1", []) == (answer["outcome"], answer["host"], answer["notes"])
        assert [("host1", 1, False)] == [
            (one["host"], one["power_state"], one["job"]) for one in answer["seen"]
        ]

    def test_what_decides_nothing_is_a_conflict(self, api, monkeypatch):
        """With what each host has."""

        def refuse(*_values: object) -> None:
            raise errors.Unresolved("it runs on both hosts")

        monkeypatch.setattr(api.parts.conductor, "resolve_move", refuse)
        move = api.move(api.server(), status="error")

        assert "both hosts" in api.refuse(
            "POST", action(move), {"whimbrel:resolve": None}, 409, "2.22"
        )
