"""`whimbrel server explain` and dry runs, against all services in one process."""

from typing import Any

import pytest

from common import errors
from common import images
from services import together
from tests import typed

FULL = errors.NoDiskSpace("1 GiB free, 2 needed")
SILENT = errors.NoAnswer("host2 did not answer within 30 s")


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    disk = folder / "disk.raw"
    disk.write_bytes(b"whimbrel" * 1000)
    images.Directory(str(folder / "images")).add(disk, name="guest")
    with together.running(folder, ("host1", "host2"), {"simulated.rate": 1000.0}) as running:
        yield running


@pytest.fixture(scope="module")
def whimbrel(services) -> typed.Whimbrel:
    run = typed.at(services.endpoint)
    for name, ram in (("tiny", "64"), ("small", "128")):
        run("flavor", "create", name, "--vcpus", "1", "--ram", ram, "--disk", "1")
    return run


@pytest.fixture(scope="module")
def server(whimbrel) -> dict[str, Any]:
    """A server on host1, which every test leaves there."""
    words = ("--flavor", "tiny", "--image", "guest", "--host", "host1", "--wait", "-f", "json")
    made: dict[str, Any] = whimbrel("server", "create", "tern", *words).json
    return made


@pytest.mark.parametrize(
    ("order", "method", "fault"),
    [
        ("migrate", "prepare_cold", FULL),
        ("live-migrate", "prepare", FULL),
        ("live-migrate", "check_destination", SILENT),
    ],
    ids=["cold, preparing", "live, preparing", "live, no answer"],
)
def test_a_named_host_that_refuses_is_explained(services, whimbrel, server, order, method, fault):
    """By the server, by its migration, and in what the migration shows."""
    services.world.plant("host2", method, fault)
    row = {"Host": "host2", "Filter": fault.code, "Reason": fault.message}

    moved = whimbrel("server", order, "tern", "--host", "host2", "--wait")
    explained = whimbrel("server", "explain", "tern", "-f", "json").json
    uuid = whimbrel("migration", "list", "--server", "tern", "-f", "json").json[0]["ID"]
    shown = whimbrel("migration", "show", uuid, "-f", "json").json

    assert 1 == moved.status
    assert [row] == explained
    assert [row] == whimbrel("server", "explain", "tern", uuid, "-f", "json").json
    assert {"host2": [{"filter": fault.code, "reason": fault.message}]} == shown["reasons"]
    assert f"host2: {fault.code}: {fault.message}" in whimbrel("migration", "show", uuid).out


def test_a_build_that_no_host_takes_is_explained(whimbrel, services):
    """Each host with the numbers."""
    whimbrel("flavor", "create", "huge", "--vcpus", "1", "--ram", "99999", "--disk", "1")
    words = ("--flavor", "huge", "--image", "guest", "--wait")

    made = whimbrel("server", "create", "heron", *words)
    explained = whimbrel("server", "explain", "heron", "-f", "json").json

    assert 1 == made.status
    assert [("host1", "RamFilter"), ("host2", "RamFilter")] == [
        (row["Host"], row["Filter"]) for row in explained
    ]
    assert "needs 99999 MB" in explained[0]["Reason"]
    whimbrel("server", "delete", "heron", "--wait")


@pytest.mark.parametrize(
    ("words", "ranked"),
    [
        (("create", "new", "--flavor", "tiny", "--image", "guest"), {"host1", "host2"}),
        (("live-migrate", "tern"), {"host2"}),
        (("migrate", "tern"), {"host2"}),
        (("resize", "tern", "--flavor", "small"), {"host2"}),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_a_dry_run_ranks_and_does_nothing(whimbrel, server, words, ranked):
    before = whimbrel("migration", "list", "-f", "json").json

    found = whimbrel("server", *words, "--dry-run", "-f", "json").json

    assert ranked == found.keys()
    assert not any(points.startswith("refused") for points in found.values())
    assert before == whimbrel("migration", "list", "-f", "json").json
    assert ["tern"] == [row["Name"] for row in whimbrel("server", "list", "-f", "json").json]


def test_a_dry_run_to_the_servers_own_host_says_so(whimbrel, server):
    live = whimbrel("server", "live-migrate", "tern", "--host", "host1", "--dry-run", "-f", "json")
    cold = whimbrel("server", "migrate", "tern", "--host", "host1", "--dry-run")

    assert {"host1": "refused: ignored: it is the server's own host"} == live.json
    assert "is on host1 already" in cold.err
