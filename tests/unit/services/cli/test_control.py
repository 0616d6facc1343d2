import argparse

import pytest

from services.cli import policies

UUID = "11111111-2222-4333-8444-555555555555"
MOVE = "99999999-2222-4333-8444-555555555555"
PATH = f"/servers/{UUID}/migrations"
WHOLE = {"uuid": MOVE, "instance_uuid": UUID}


@pytest.fixture
def tern(api, server):
    """A server that is being moved."""
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", PATH, {"migrations": [{"id": 7, "uuid": MOVE}]})
    api.answer("DELETE", f"{PATH}/{MOVE}", None, status=202)
    api.answer("POST", f"{PATH}/{MOVE}/action", None, status=202)
    return server


@pytest.mark.parametrize("word", [MOVE, "7", "tern", UUID])
def test_move_is_named_by_itself_or_by_its_server(tern, api, whimbrel, word):
    """A uuid may be of either; the migration's own comes first."""
    if word in {MOVE, "7"}:
        api.answer("GET", f"/os-migrations/{word}", {"migration": WHOLE})
    api.answer("GET", f"/servers/{UUID}", {"server": tern})

    assert 0 == whimbrel("migration", "abort", word).status
    assert [f"{PATH}/{MOVE}"] == [asked.path for asked in api.of("DELETE")]


def test_server_that_does_not_move_cannot_be_stopped(api, whimbrel, server):
    """Nothing is asked of a migration that ended long ago."""
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", PATH, {"migrations": []})
    ended = {"uuid": MOVE, "migration_type": "resize", "status": "confirmed"}
    api.answer("GET", "/os-migrations", {"migrations": [ended]})

    typed = whimbrel("migration", "abort", "tern")

    assert 1 == typed.status
    assert "tern is not being moved" in typed.err
    assert [] == api.of("DELETE")


def test_cold_move_is_aborted_by_the_name_of_its_server(api, whimbrel, server):
    """Nova's list of what goes on has live moves only."""
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", PATH, {"migrations": []})
    going_on = {"uuid": MOVE, "migration_type": "resize", "status": "migrating"}
    api.answer("GET", "/os-migrations", {"migrations": [going_on]})
    api.answer("DELETE", f"{PATH}/{MOVE}", None, status=202)

    assert 0 == whimbrel("migration", "abort", "tern").status
    assert [f"{PATH}/{MOVE}"] == [asked.path for asked in api.of("DELETE")]


def test_force_complete_is_novas_action(tern, api, whimbrel):
    assert 0 == whimbrel("migration", "force-complete", "tern").status
    assert [{"force_complete": None}] == [asked.body for asked in api.of("POST")]


def test_refusal_is_told(api, whimbrel):
    """With the API's own reason, and an exit status."""
    api.answer("GET", f"/os-migrations/{MOVE}", {"migration": WHOLE})
    api.refuse("POST", f"{PATH}/{MOVE}/action", 400, "the guest stands still already")

    typed = whimbrel("migration", "force-complete", MOVE)

    assert 1 == typed.status
    assert "error: the guest stands still already" in typed.err


class TestSet:
    @pytest.fixture
    def changed(self, tern, api, whimbrel):
        """Run `migration set` and give what it asked of the API and printed."""
        policy = {"name": "gentle", "downtime_ms": 900, "ladder": [100, 200]}

        def run(*words: str):
            path = f"{PATH}/{MOVE}/action"
            api._answers[("POST", path)] = [(202, {"policy": policy})]
            typed = whimbrel("migration", "set", "tern", *words, "-f", "json")
            return typed, [asked.body for asked in api.of("POST")]

        return run

    def test_fields_have_options_of_their_own_or_set(self, changed):
        typed, asked = changed(
            "--downtime",
            "900",
            "--bandwidth",
            "32",
            "--set",
            "on_timeout=pause",
            "--set",
            "ladder=1,2",
        )

        wanted = {
            "downtime_ms": "900",
            "bandwidth": "32",
            "on_timeout": "pause",
            "ladder": "1,2",
        }
        assert [{"whimbrel:policy": wanted}] == asked
        assert {"name": "gentle", "downtime_ms": 900, "ladder": "100,200"} == typed.json

    def test_nothing_to_change_is_an_error(self, changed):
        typed, asked = changed()

        assert (1, []) == (typed.status, asked)
        assert "say what to change" in typed.err


@pytest.mark.parametrize("word", ["downtime_ms", "=3", ""])
def test_field_without_name_or_value_is_refused(word):
    with pytest.raises(argparse.ArgumentTypeError, match="FIELD=VALUE"):
        policies.field(word)


def test_value_may_have_any_character():
    assert ("a", "b=c") == policies.field("a=b=c")


LIMITS = {"max_outbound": 2, "max_inbound": 4, "max_copies_outbound": 1, "max_copies_inbound": 3}
SHOWN = {"outbound": 2, "inbound": 4, "copies_outbound": 1, "copies_inbound": 3}


class TestLimits:
    def test_limits_are_shown(self, api, whimbrel):
        api.answer("GET", "/whimbrel/limits", {"limits": LIMITS})

        assert SHOWN == whimbrel("limits", "show", "-f", "json").json

    def test_only_what_is_given_is_set(self, api, whimbrel):
        api.answer("PUT", "/whimbrel/limits", {"limits": {**LIMITS, "max_inbound": 9}})

        typed = whimbrel("limits", "set", "--inbound", "9", "--copies-outbound", "1", "-f", "json")

        assert {**SHOWN, "inbound": 9} == typed.json
        wanted = {"max_inbound": 9, "max_copies_outbound": 1}
        assert [{"limits": wanted}] == [asked.body for asked in api.of("PUT")]

    def test_nothing_to_set_is_an_error(self, api, whimbrel):
        assert 1 == whimbrel("limits", "set").status
        assert [] == api.of("PUT")


def test_policies_are_a_table_of_fields_and_presets(api, whimbrel):
    """And the default is told beside it."""
    presets = [
        {"name": "gentle", "downtime_ms": 500, "ladder": [100, 150], "tls": False},
        {"name": "huge-vm", "downtime_ms": 5000, "ladder": [300], "tls": True},
    ]
    body = {"policies": presets, "default": "gentle", "changeable": ["downtime_ms"]}
    api.answer("GET", "/whimbrel/policies", body)

    typed = whimbrel("migration", "policies", "-f", "json")

    assert [
        {"Field": "downtime_ms", "gentle": 500, "huge-vm": 5000},
        {"Field": "ladder", "gentle": "100,150", "huge-vm": "300"},
        {"Field": "tls", "gentle": False, "huge-vm": True},
    ] == typed.json
    assert "the default is gentle" in typed.err


RESOLVED = {
    "resolution": {
        "migration_uuid": MOVE,
        "outcome": "undone",
        "host": "host1",
        "seen": [
            {"host": "host1", "power_state": 1, "asked": True},
            {"host": "host2", "power_state": None, "asked": True},
            {"host": "host3", "power_state": None, "asked": False},
        ],
        "notes": ["unpause it"],
    }
}


class TestResolve:
    @pytest.mark.parametrize("words", [(), (MOVE,)])
    def test_newest_in_error_is_resolved_unless_one_is_named(self, server, api, whimbrel, words):
        api.answer("GET", "/servers/detail", {"servers": [server]})
        api.answer("GET", PATH, {"migrations": []})
        api.answer("GET", "/os-migrations", {"migrations": [{"uuid": MOVE}]})
        api.answer("POST", f"{PATH}/{MOVE}/action", RESOLVED, status=202)

        typed = whimbrel("migration", "resolve", "tern", *words, "-f", "json")

        assert {
            "migration": MOVE,
            "outcome": "undone",
            "host": "host1",
            "seen": [
                "host1: running",
                "host2: nothing of it",
                "host3: not asked, it is forced down",
            ],
            "to_do": ["unpause it"],
        } == typed.json
        assert [{"whimbrel:resolve": None}] == [asked.body for asked in api.of("POST")]

    def test_one_that_goes_on_comes_first(self, server, api, whimbrel):
        """While it does nothing else of the server can be resolved."""
        api.answer("GET", "/servers/detail", {"servers": [server]})
        api.answer("GET", PATH, {"migrations": [{"uuid": MOVE}]})
        api.answer("POST", f"{PATH}/{MOVE}/action", RESOLVED, status=202)

        assert 0 == whimbrel("migration", "resolve", "tern").status

    def test_without_one_in_error_nothing_is_asked(self, server, api, whimbrel):
        api.answer("GET", "/servers/detail", {"servers": [server]})
        api.answer("GET", PATH, {"migrations": []})
        api.answer("GET", "/os-migrations", {"migrations": []})

        typed = whimbrel("migration", "resolve", "tern")

        assert 1 == typed.status
        assert "no migration of tern goes on or ended in error" in typed.err
