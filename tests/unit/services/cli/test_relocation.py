import io

import pytest

UUID = "11111111-2222-4333-8444-555555555555"
MOVE = "99999999-2222-4333-8444-555555555555"
PATH = f"/servers/{UUID}/action"
WHOLE = f"/os-migrations/{MOVE}"


def move(status, **more):
    """A migration as the API shows it."""
    return {
        "migration": {
            "uuid": MOVE,
            "instance_uuid": UUID,
            "migration_type": "resize",
            "status": status,
            "source_compute": "host1",
            "dest_compute": "host2",
            "progress": None,
            "cold": {"copied_bytes": 10, "off_ms": 700},
            **more,
        }
    }


@pytest.fixture
def tern(api, server):
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("GET", "/flavors/detail", {"flavors": [{"id": "42", "name": "m1.small"}]})
    api.answer("POST", PATH, None, status=202)
    api.headers["POST", PATH] = {"Location": f"{api.url}/v2.1{WHOLE}"}
    api.answer("GET", "/os-migrations", {"migrations": [{"id": 1, "uuid": MOVE}]})
    return server


def ordered(api):
    """Give the bodies that were sent."""
    return [asked.body for asked in api.of("POST")]


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (
            ("migrate", "tern"),
            {"migrate": {"whimbrel:confirm": True, "whimbrel:bandwidth": 0}},
        ),
        (
            ("migrate", "tern", "--host", "host2", "--keep", "--bandwidth", "50"),
            {
                "migrate": {
                    "host": "host2",
                    "whimbrel:confirm": False,
                    "whimbrel:bandwidth": 50,
                }
            },
        ),
        (
            ("migrate", "tern", "--zone", "any"),
            {
                "migrate": {
                    "whimbrel:confirm": True,
                    "whimbrel:bandwidth": 0,
                    "whimbrel:zone": "any",
                }
            },
        ),
        (
            ("resize", "tern", "--flavor", "m1.small"),
            {
                "resize": {
                    "flavorRef": "42",
                    "whimbrel:confirm": False,
                    "whimbrel:bandwidth": 0,
                }
            },
        ),
        (
            ("resize", "tern", "--flavor", "42", "--host", "host2", "--confirm"),
            {
                "resize": {
                    "flavorRef": "42",
                    "whimbrel:host": "host2",
                    "whimbrel:confirm": True,
                    "whimbrel:bandwidth": 0,
                }
            },
        ),
    ],
)
def test_order_says_no_more_than_was_typed(tern, api, whimbrel, words, body):
    """A migration confirms itself, a resize does not, unless it is told otherwise."""
    api.answer("GET", WHOLE, move("accepted"))

    typed = whimbrel("server", *words, "-f", "value", "-c", "id")

    assert [body] == ordered(api)
    assert {"compute 2.96"} == {asked.version for asked in api.of("POST")}
    watch = f"watch it with: whimbrel migration watch {MOVE}\n"
    decide = (
        "once it is finished, decide with: "
        "whimbrel server confirm tern | whimbrel server revert tern\n"
    )
    (order,) = body.values()
    confirms = order["whimbrel:confirm"]
    assert (f"{MOVE}\n", watch if confirms else watch + decide) == typed[1:]


def test_migration_is_watched_until_it_is_confirmed(tern, api, whimbrel):
    """It confirms itself, so `finished` is not its end."""
    statuses = ("accepted", "migrating", "finished", "confirming", "confirmed")
    api.answer("GET", WHOLE, *(move(status) for status in statuses))

    typed = whimbrel("server", "migrate", "tern", "--wait", "-f", "json")

    assert (0, "confirmed", 700) == (typed.status, typed.json["status"], typed.json["off_ms"])
    assert "decide" not in typed.err


@pytest.mark.parametrize(
    "words", [("migrate", "tern", "--keep"), ("resize", "tern", "--flavor", "42")]
)
def test_what_waits_for_its_user_says_how_to_decide(tern, api, whimbrel, words):
    api.answer("GET", WHOLE, move("migrating"), move("finished", confirm_at="2026-01-01T00:00:00"))

    typed = whimbrel("server", *words, "--wait", "-f", "json")

    assert (0, "finished") == (typed.status, typed.json["status"])
    assert "2026-01-01T00:00:00" == typed.json["confirms_itself_at"]
    assert "whimbrel server confirm tern | whimbrel server revert tern" in typed.err


def test_failed_move_is_an_error_with_its_reason(tern, api, whimbrel):
    why = {"error_message": "host2: the disk is full", "failed_step": "resize_instance"}
    api.answer("GET", WHOLE, move("failed", **why))

    typed = whimbrel("server", "migrate", "tern", "--wait")

    assert 1 == typed.status
    assert "tern did not move: failed (resize_instance): host2: the disk is full" in typed.err


@pytest.mark.parametrize(
    ("auto_confirm", "statuses"),
    [(False, ("migrating", "finished")), (True, ("migrating", "finished", "confirmed"))],
)
def test_watching_ends_where_only_the_user_can_go_on(tern, api, whimbrel, auto_confirm, statuses):
    cold = {"cold": {"auto_confirm": auto_confirm}}
    first, *rest = (move(status, **cold) for status in statuses)
    api.answer("GET", WHOLE, first, first, *rest)

    typed = whimbrel("migration", "watch", MOVE)

    assert 0 == typed.status, typed.err
    assert statuses[-1] in typed.out.splitlines()[-1]


def test_unknown_flavor_orders_nothing(tern, api, whimbrel):
    typed = whimbrel("server", "resize", "tern", "--flavor", "m9")

    assert (1, []) == (typed.status, ordered(api))
    assert "no flavor is called 'm9'" in typed.err


@pytest.mark.parametrize(
    ("words", "action", "status"),
    [
        (("confirm", "tern"), "confirmResize", "confirmed"),
        (("revert", "tern", "--yes"), "revertResize", "reverted"),
    ],
)
def test_decision_is_waited_for(tern, api, whimbrel, words, action, status):
    api.answer("GET", WHOLE, move("finished"), move(status))

    typed = whimbrel("server", *words, "--wait")

    assert 0 == typed.status, typed.err
    assert [{action: None}] == ordered(api)


def test_decision_that_failed_is_an_error(tern, api, whimbrel):
    api.answer("GET", WHOLE, move("error", error_message="host1 is gone"))

    typed = whimbrel("server", "confirm", "tern", "--wait")

    assert 1 == typed.status
    assert "tern is not confirmed: error: host1 is gone" in typed.err


def test_revert_without_a_terminal_needs_a_yes(tern, api, whimbrel, monkeypatch):
    """It says what is lost, and does nothing."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    typed = whimbrel("server", "revert", "tern")

    assert (1, []) == (typed.status, ordered(api))
    assert "everything that tern has written since it was resized is lost" in typed.err
    assert "--yes" in typed.err


class Terminal(io.StringIO):
    """A person who has typed an answer."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("answer", "status", "sent"), [("y\n", 0, [{"revertResize": None}]), ("\n", 1, [])]
)
def test_revert_on_a_terminal_asks(tern, api, whimbrel, monkeypatch, answer, status, sent):
    """Everything but yes leaves the server as it is."""
    monkeypatch.setattr("sys.stdin", Terminal(answer))

    typed = whimbrel("server", "revert", "tern")

    assert (status, sent) == (typed.status, ordered(api))
    assert "is lost" in typed.err


class TestShow:
    """A server that waits for its user says until when, and how to decide."""

    @pytest.fixture
    def resized(self, api, server):
        waits = {"status": "VERIFY_RESIZE", "whimbrel:confirms_at": "2026-01-01T00:00:00Z"}
        api.answer("GET", "/servers/detail", {"servers": [{**server, **waits}]})
        api.answer("GET", "/os-migrations", {"migrations": [{"id": 1, "uuid": MOVE}]})

    def test_ways_out_are_named(self, resized, api, whimbrel):
        api.answer("GET", WHOLE, move("finished"))

        shown = whimbrel("server", "show", "tern", "-f", "json").json

        assert "2026-01-01T00:00:00Z" == shown["confirms_itself_at"]
        assert ["whimbrel server confirm tern", "whimbrel server revert tern"] == [
            way.partition(":")[0] for way in shown["decide"]
        ]
        assert "host1" in shown["decide"][1]

    def test_user_who_may_not_see_moves_is_told_the_same(self, resized, api, whimbrel):
        api.refuse("GET", "/os-migrations", 403, "not allowed")

        shown = whimbrel("server", "show", "tern", "-f", "json").json

        assert ("2026-01-01T00:00:00Z", 2) == (shown["confirms_itself_at"], len(shown["decide"]))

    def test_other_servers_have_nothing_to_decide(self, tern, api, whimbrel):
        assert "decide" not in whimbrel("server", "show", "tern", "-f", "json").json
        assert ["/servers/detail"] == [asked.path for asked in api.of("GET")]
