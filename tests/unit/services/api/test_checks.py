import pytest

from common import checks
from common import errors


@pytest.fixture
def asked(api, monkeypatch):
    """What the conductor was asked; it answers that the bridge is missing."""
    found: dict[str, object] = {}

    def answer(_context, server, host, **more):
        found.update(more, server=server, host=host)
        return [
            checks.passed("ram", "host2", "1 MiB of 2 free, 1 needed"),
            checks.failed("bridges", "host2", errors.BridgeMissing("host2 has no bridge br0")),
        ]

    monkeypatch.setattr(api.parts.conductor, "check_migrate", answer)
    return found


def test_answers_are_told_as_they_are(api, asked):
    """A row for each check of each host."""
    server = api.server()

    body = api.get(f"/servers/{server.uuid}/whimbrel-check-migrate")

    assert {
        "host": "host2",
        "name": "bridges",
        "verdict": "fail",
        "reason": "host2 has no bridge br0",
        "code": "bridge_missing",
    } == body["checks"][1]
    assert "pass" == body["checks"][0]["verdict"]


@pytest.mark.parametrize(
    ("query", "host", "block", "over"),
    [
        ("", None, None, False),
        ("?host=host2&block_migration=auto", "host2", None, False),
        ("?block_migration=true&disk_over_commit=True", None, True, True),
        ("?block_migration=0", None, False, False),
    ],
)
def test_the_wish_is_passed_on(api, asked, query, host, block, over):
    """What is not said is auto, and no over-commit."""
    api.get(f"/servers/{api.server().uuid}/whimbrel-check-migrate{query}")

    assert (host, block, over) == (
        asked["host"],
        asked["block_migration"],
        asked["disk_over_commit"],
    )


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("host=", "no name of a host"),
        ("host=a/b", "no name of a host"),
        ("block_migration=maybe", "true, false or auto"),
        ("disk_over_commit=auto", "true or false"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(api, asked, query, word):
    """The parameter is named."""
    path = f"/servers/{api.server().uuid}/whimbrel-check-migrate?{query}"

    assert word in api.refuse("GET", path, None, 400)
    assert {} == asked


def test_an_unknown_server_is_not_found(api, asked):
    """Nobody is asked about it."""
    api.refuse("GET", "/servers/none/whimbrel-check-migrate", None, 404)

    assert {} == asked


def test_policy_is_passed_on(api, asked):
    """A preset, and the fields that differ from it."""
    path = f"/servers/{api.server().uuid}/whimbrel-check-migrate"

    api.get(f"{path}?policy=gentle&policy.tls=true&policy.downtime_ms=300")
    assert {"policy": "gentle", "tls": "true", "downtime_ms": "300"} == asked["policy"]
    api.get(path)
    assert {} == asked["policy"]
