"""A live migration between hosts that share their disks."""

import pytest

from common import context
from common import errors
from common import states
from tests import waiting


@pytest.mark.parametrize("block", [False, None])
def test_shared_disks_stay(shared_stage, block):
    """False and auto both move the memory alone, and the folder is left in its place."""
    server = shared_stage.boot()
    waiting.until(lambda: shared_stage.world.ticks(server.uuid) > 1, "the guest has counted")
    ticks = shared_stage.world.ticks(server.uuid)

    move = shared_stage.ended(shared_stage.migrate(server.uuid, "host2", block_migration=block))

    assert (states.Move.COMPLETED, False) == (move.status, move.data.block_migration)
    assert ticks <= shared_stage.world.ticks(server.uuid)
    assert {f"instances/{server.uuid}"} == shared_stage.world.host("host1").files


def test_shared_disks_refuse_block_migration(shared_stage):
    """A copy onto itself would destroy the disk."""
    server = shared_stage.boot()

    with pytest.raises(errors.StorageMismatch, match=r"share the disks.*false or auto"):
        shared_stage.migrate(server.uuid, "host2", block_migration=True)

    assert "host1" == shared_stage.server(server.uuid).host


@pytest.mark.parametrize(("host", "method"), [("host2", "prepare"), ("host1", "migrate")])
def test_failure_keeps_the_shared_disk(shared_stage, host, method):
    """The undo at the destination never removes what the source uses."""
    server = shared_stage.boot()
    shared_stage.world.plant(host, method, errors.HypervisorError("no"))

    move = shared_stage.ended(shared_stage.migrate(server.uuid, "host2"))

    assert states.Move.FAILED == move.status
    assert {f"instances/{server.uuid}"} == shared_stage.world.host("host1").files


def test_copying_fails_the_dry_run(shared_stage):
    """Nothing is to be copied between hosts that share their disks."""
    server = shared_stage.boot()

    found = shared_stage.conductor.check_migrate(
        context.admin(), server.uuid, "host2", block_migration=True, disk_over_commit=False
    )

    assert ["storage"] == [one.name for one in found if one.verdict == states.Verdict.FAIL]
