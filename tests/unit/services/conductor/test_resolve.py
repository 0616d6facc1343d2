import pytest

from common import context
from common import errors
from common import objects
from common import states
from common.db import claims
from common.db import moves
from tests import factories

RUNS = {"power_state": states.Power.RUNNING, "run_token": "run"}


@pytest.fixture
def move(stage):
    """A move from host1 to host2 that ended in error, with all that it holds."""
    server = stage.server()
    with stage.deps.database.write() as tx:
        made = moves.create(
            tx,
            factories.migration(
                instance_uuid=server.uuid,
                source="host1",
                destination="host2",
                status=states.Move.ERROR,
            ),
        )
        claims.transfer(tx, "host1", server.uuid, made.uuid)
        claims.claim(tx, "host2", server.uuid, claims.amounts(server.flavor))
    return made


def sees(stage, host, **values):
    stage.everybody.answers[host, "observe_guest"] = objects.GuestSeen(host=host, **values)


def refuses(stage, host, method):
    def refuse(_instance):
        raise errors.NoAnswer(f"{host} did not answer")

    stage.everybody.answers[host, method] = refuse


def resolve(stage, move):
    return stage.manager.resolve_move(context.admin(), move.instance_uuid, move.uuid)


def asked(stage):
    return [(whom, method) for whom, method, _ in stage.everybody.asked]


def test_silent_host_decides_nothing(stage, move):
    """It may have the guest; the way out is told, and nothing is written."""
    sees(stage, "host1", **RUNS)
    refuses(stage, "host2", "observe_guest")

    with pytest.raises(errors.Unresolved, match=r"host2 cannot be asked.*force its service down"):
        resolve(stage, move)

    assert (["host2"], ["host1"]) == (stage.held(move.instance_uuid), stage.held(move.uuid))
    assert [("host1", "observe_guest"), ("host2", "observe_guest")] == asked(stage)


def test_destination_that_was_given_up_is_not_asked(stage, move):
    """An operator said that nothing runs there any more."""
    sees(stage, "host1", **RUNS)
    stage.force_down("host2")

    found = resolve(stage, move)

    assert ("undone", "host1") == (found.outcome, found.host)
    assert [("host1", "observe_guest")] == asked(stage)
    assert (["host1"], []) == (stage.held(move.instance_uuid), stage.held(move.uuid))


def test_source_that_was_given_up_is_cleaned_by_hand(stage, move):
    """The guest is recorded where it runs, and the leftover is told."""
    sees(stage, "host2", **RUNS)
    arrived = objects.Arrival(power_state=states.Power.RUNNING)
    stage.everybody.answers["host2", "post_live_migration_at_destination"] = arrived
    stage.force_down("host1")

    found = resolve(stage, move)

    assert ("completed", "host2") == (found.outcome, found.host)
    assert ["remove what host1 has of it before that host is used again"] == found.notes
    assert "host2" == stage.read(move.instance_uuid).host
    assert (["host2"], []) == (stage.held(move.instance_uuid), stage.held(move.uuid))


def test_server_that_was_changed_meanwhile_is_left_alone(stage, move):
    """What was seen may not be true any more."""
    sees(stage, "host1", **RUNS)
    sees(stage, "host2")

    def undo(_instance, _migration):
        stage.manager.operate(context.admin(), move.instance_uuid, "delete")

    stage.everybody.answers["host2", "rollback_live_migration_at_destination"] = undo

    with pytest.raises(errors.Unresolved, match="task_state deleting"):
        resolve(stage, move)

    assert ["host1"] == stage.held(move.uuid)
