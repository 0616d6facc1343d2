"""What is looked at before a cold move gets a destination."""

import pytest

from common import context
from common import errors
from common import objects
from common.db import claims
from common.db import flavors
from common.db import moves
from services.conductor import queue
from services.conductor.cold import place
from tests import factories

GIB = 1 << 30
# 0 GiB: as large as the image.
OLD = factories.flavor(id="old", name="old", root_gb=0)


@pytest.fixture
def surveyed(stage):
    """A server whose root disk is 3 GiB, and a scheduler that has host2."""

    def survey(_instance, cold):
        disk = objects.DiskInfo(
            target="vda", path="disk", format="qcow2", virtual_bytes=3 * GIB, allocated_bytes=0
        )
        return cold.replace(disks=[disk])

    def select(spec):
        with stage.deps.database.write() as tx:
            claims.claim(tx, "host2", spec.consumer, claims.amounts(spec.flavor))
        return objects.Selection(host="host2", consumer=spec.consumer, amounts={})

    stage.everybody.answers["host1", "survey_cold_move"] = survey
    stage.everybody.answers["scheduler", "select_destinations"] = select
    return stage.server(flavor=OLD, image=factories.image())


def resize(stage, server, root_gb):
    """Begin a resize to a root disk of this size, and give the move with what refused it."""
    wanted = factories.flavor(id="new", name="new", root_gb=root_gb)
    with stage.deps.database.write() as tx:
        flavors.create(tx, wanted)
    refusal = None
    try:
        stage.manager.migrate_server(
            context.admin(),
            server.uuid,
            None,
            wanted.id,
            auto_confirm=False,
            bandwidth=0,
            wait=True,
            zone=None,
        )
    except errors.Error as error:
        refusal = error
    with stage.deps.database.read() as tx:
        (move,) = moves.find(tx, instance_uuid=server.uuid)
    return move, refusal


def test_disk_that_is_larger_than_its_flavor_says_does_not_shrink(stage, surveyed):
    """What the source has counts; the refusal has both sizes, and no host was asked for."""
    move, refusal = resize(stage, surveyed, 2)

    assert ("failed", "invalid") == (move.status, refusal.code)
    assert "3 to 2 GiB" in refusal.message
    assert [] == stage.everybody.told("select_destinations")
    assert ["host1"] == stage.held(surveyed.uuid)


@pytest.mark.parametrize("root_gb", [0, 3, 4])
def test_disk_that_is_large_enough_goes_on(stage, surveyed, root_gb):
    move, refusal = resize(stage, surveyed, root_gb)

    assert (None, "prep_resize") == (refusal, move.stage)


class TestPlacedTwice:
    """Its lease ran out while it waited for a worker: two attempts stand in the line."""

    @pytest.fixture
    def waiting(self, stage, surveyed):
        """A cold move that nobody has looked a host for yet, taken over once."""
        move = stage.manager.migrate_server(
            context.admin(),
            surveyed.uuid,
            None,
            None,
            auto_confirm=True,
            bandwidth=0,
            wait=False,
            zone=None,
        )
        stage.clock.advance(stage.deps.conf.conductor.lease + 1)
        for host in ("host1", "host2", "host3"):
            stage.host(host)
        queue.tick(stage.deps)
        return move

    def test_one_host_prepares(self, stage, waiting):
        """In whatever order they come to it, the second finds that nothing is left to do."""
        stage.deps.pool.work.reverse()
        assert 2 == len(stage.deps.pool.work)

        stage.work()

        assert [("host2", "prep_resize")] == stage.everybody.told("cold_step")
        assert ["host2"] == stage.held(waiting.instance_uuid)
        with stage.deps.database.read() as tx:
            assert ("pre-migrating", "prep_resize") == (
                (now := moves.get(tx, waiting.uuid)).status,
                now.stage,
            )

    def test_it_is_owned_while_it_waits(self, stage, waiting):
        """However long the line is: it is not taken over again and again."""
        for _ in range(3):
            stage.clock.advance(stage.deps.conf.conductor.lease - 1)
            stage.manager.renew()
            queue.tick(stage.deps)

        assert 2 == len(stage.deps.pool.work)
        assert [waiting.uuid] == stage.deps.checking.moves()
        stage.work()
        assert [] == stage.deps.checking.moves()

    def test_refusal_of_the_late_one_ends_nothing(self, stage, waiting):
        """It was read before the other found a host, and finds none itself."""
        _early, late = stage.deps.pool.work

        def none_left(_spec):
            raise errors.NoValidHost("no host will do")

        def settled_meanwhile(instance, cold):
            stage.everybody.answers["host1", "survey_cold_move"] = survey
            late()
            stage.everybody.answers["scheduler", "select_destinations"] = none_left
            return cold

        survey = stage.everybody.answers["host1", "survey_cold_move"]
        stage.everybody.answers["host1", "survey_cold_move"] = settled_meanwhile
        with stage.deps.database.read() as tx:
            taken = moves.get(tx, waiting.uuid)
        place._quietly(stage.deps, taken)

        assert [("host2", "prep_resize")] == stage.everybody.told("cold_step")
        with stage.deps.database.read() as tx:
            now = moves.get(tx, waiting.uuid)
        assert ("prep_resize", None, "host2") == (now.stage, now.error_code, now.destination)
        assert ["host2"] == stage.held(waiting.instance_uuid)
