"""A dry run ranks every host, and leaves everything as it is."""

import pytest

from common import context
from common import errors
from common import objects
from common import reasons
from tests import factories


def test_a_move_is_ranked_and_not_made(stage):
    server = stage.boot()
    stage.mark("host2", disabled=True)
    before = stage.everything_held()

    best, refused = stage.conductor.rank_move(
        context.admin(),
        server.uuid,
        None,
        block_migration=None,
        disk_over_commit=False,
        zone=None,
    )

    assert ("host3", "host2") == (best.host, refused.host)
    assert best.score == sum(best.scores.values())
    assert refused.score is None
    assert ["ComputeFilter"] == [one["filter"] for one in refused.refusals["host2"]]
    assert before == stage.everything_held()
    assert [] == stage.moves()


def rank(stage, server, host=None):
    return stage.conductor.rank_move(
        context.admin(),
        server.uuid,
        host,
        block_migration=None,
        disk_over_commit=False,
        zone=None,
    )


def test_the_servers_own_host_is_known(stage):
    """Named as a destination it is refused for what it is."""
    server = stage.boot()

    (own,) = rank(stage, server, "host1")
    (unknown,) = rank(stage, server, "host9")

    assert {"host1": reasons.one("ignored", "it is the server's own host")} == own.refusals
    assert "known" == unknown.refusals["host9"][0]["filter"]


def test_a_cold_move_is_ranked_and_not_made(stage):
    """It may be named a host, and leaves the server as it is."""
    server = stage.boot()
    before = stage.everything_held()

    every = stage.conductor.rank_relocation(context.admin(), server.uuid, None, None, zone=None)
    (one,) = stage.conductor.rank_relocation(context.admin(), server.uuid, "host2", None, zone=None)

    assert {"host2", "host3"} == {found.host for found in every}
    assert ("host2", True) == (one.host, one.score is not None)
    assert (before, []) == (stage.everything_held(), stage.moves())
    assert server == stage.server(server.uuid)


def test_a_resize_is_ranked_by_its_new_flavor(stage):
    """A host that has room for the old one only refuses with the numbers of the new one."""
    server = stage.boot()
    stage.boot(8000, requested_host="host2")
    large = factories.flavor(id="large", name="large", memory_mb=9000)
    stage.conductor.create_flavor(context.admin(), large)

    best, refused = stage.conductor.rank_relocation(
        context.admin(), server.uuid, None, "large", zone=None
    )

    assert ("host3", "host2") == (best.host, refused.host)
    assert "needs 9000 MB" in refused.refusals["host2"][0]["reason"]
    stage.conductor.delete_flavor(context.admin(), "large")


def test_what_a_cold_move_refuses_at_once_its_dry_run_refuses(stage):
    server = stage.boot()

    with pytest.raises(errors.HostUnsuitable, match="is on host1 already"):
        stage.conductor.rank_relocation(context.admin(), server.uuid, "host1", None, zone=None)


def test_a_server_is_ranked_and_not_made(stage):
    stage.boot(memory_mb=8000)
    request = objects.NewServer(name="new", flavor=factories.flavor(memory_mb=9000))

    ranked = stage.conductor.rank_new(context.admin(), request)

    assert {"host2", "host3"} == {rank.host for rank in ranked if rank.score is not None}
    assert ["RamFilter"] == [one["filter"] for one in ranked[-1].refusals["host1"]]
    assert 1 == len(stage.servers())
