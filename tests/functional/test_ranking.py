"""A dry run ranks every host, and leaves everything as it is."""

from common import context
from common import objects
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


def test_a_server_is_ranked_and_not_made(stage):
    stage.boot(memory_mb=8000)
    request = objects.NewServer(name="new", flavor=factories.flavor(memory_mb=9000))

    ranked = stage.conductor.rank_new(context.admin(), request)

    assert {"host2", "host3"} == {rank.host for rank in ranked if rank.score is not None}
    assert ["RamFilter"] == [one["filter"] for one in ranked[-1].refusals["host1"]]
    assert 1 == len(stage.servers())
