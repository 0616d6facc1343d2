import pytest

from common import checks
from common import context
from common import errors
from common import objects
from common import states
from common.db import claims
from common.db import moves
from services.conductor import lost
from services.conductor import queue
from tests import factories


@pytest.fixture
def checked(stage):
    """Have every check succeed, and the scheduler claim the first host that may be."""
    held = []

    def select(spec):
        host = next(
            name for name in ("host2", "host3") if name not in {*spec.ignore_hosts, *spec.tried}
        )
        with stage.deps.database.write() as tx:
            claims.claim(tx, host, spec.consumer, claims.amounts(spec.flavor))
        held.append(host)
        return objects.Selection(host=host, consumer=spec.consumer, amounts={})

    answers = stage.everybody.answers
    answers["scheduler", "select_destinations"] = select
    for host in ("host1", "host2", "host3"):
        for role in ("destination", "source"):
            answers[host, f"check_can_live_migrate_{role}"] = lambda _instance, data, *_policy: data
    return held


def migrate(stage, server, *, wait=False):
    return stage.manager.live_migrate(
        context.admin(),
        server.uuid,
        None,
        block_migration=None,
        disk_over_commit=False,
        policy={},
        wait=wait,
    )


def read(stage, move):
    with stage.deps.database.read() as tx:
        return moves.get(tx, move.uuid)


def test_move_that_waits_for_its_checks_is_not_given_up(stage, checked):
    """A long line is no reason to fail it: its conductor is there."""
    move = migrate(stage, stage.server())

    for _ in range(3):
        stage.clock.advance(stage.deps.conf.conductor.lease - 1)
        stage.manager.renew()
        queue.tick(stage.deps)
    assert "accepted" == read(stage, move).status
    for name in ("host1", "host2", "host3"):
        stage.host(name)
    (launch,) = stage.deps.pool.work
    launch()

    assert "preparing" == read(stage, move).status


def test_move_of_a_conductor_that_died_is_given_up(stage, checked):
    server = stage.server()
    move = migrate(stage, server)
    stage.clock.advance(stage.deps.conf.conductor.lease + 1)

    queue.tick(stage.deps)

    assert "failed" == read(stage, move).status
    assert ["host1"] == stage.held(server.uuid)
    assert [] == stage.held(move.uuid)


def test_move_whose_conductor_comes_back_in_time_is_not_given_up(stage, checked, monkeypatch):
    """It renews between the look at what has expired and the write."""
    move = migrate(stage, stage.server())
    stage.clock.advance(stage.deps.conf.conductor.lease + 1)
    with stage.deps.database.read() as tx:
        found = moves.expired(tx, stage.clock.now())
    stage.manager.renew()
    monkeypatch.setattr(moves, "expired", lambda *_arguments: found)
    queue.tick(stage.deps)

    assert "accepted" == read(stage, move).status


def test_two_conductors_of_one_host_are_two_owners(stage, checked):
    """What one of them checks the other does not renew, and takes over when it is silent."""
    move = migrate(stage, stage.server())
    other = stage.deps._replace(process="2")

    with (
        pytest.raises(errors.StaleWrite, match="owned by conductor1/1, not conductor1/2"),
        stage.deps.database.write() as tx,
    ):
        moves.renew(tx, move.uuid, other.owner, stage.clock.now())
    stage.clock.advance(stage.deps.conf.conductor.lease + 1)
    queue.tick(other)
    (launch,) = stage.deps.pool.work
    launch()

    after = read(stage, move)
    assert ("failed", 1, "conductor1/2") == (after.status, after.generation, after.owner)
    assert ["host1"] == stage.held(move.instance_uuid)


def test_start_is_told_again_once_for_each_lease(stage, checked):
    """Two conductors look after the queue: the message was lost, and one of them says it again."""
    move = migrate(stage, stage.server(), wait=True)
    assert 1 == len(stage.everybody.told("live_migration"))
    stage.clock.advance(stage.deps.conf.conductor.lease + 1)

    queue.tick(stage.deps)
    queue.tick(stage.deps._replace(process="2"))

    first, (host, written) = stage.everybody.told("live_migration")
    assert ("host1", "pre_live_migration") == (host, written[-1].step)
    assert "host1" == first[0]
    assert (0, "conductor1/1") == (read(stage, move).generation, read(stage, move).owner)


def test_aborted_move_is_renewed_no_more(stage, checked):
    """And does not keep the others from it."""
    aborted, kept = migrate(stage, stage.server()), migrate(stage, stage.server())
    stage.manager.abort_migration(context.admin(), aborted.instance_uuid, aborted.uuid)
    stage.clock.advance(10)

    stage.manager.renew()

    assert read(stage, kept).lease_until > kept.lease_until
    assert read(stage, aborted).lease_until == aborted.lease_until


def silent(*_arguments: object):
    raise errors.NoAnswer("compute on host1 did not answer")


def test_silent_source_is_asked_once(stage, checked):
    """Another destination does not make it answer, and each question costs a minute."""
    stage.everybody.answers["host1", "check_can_live_migrate_source"] = silent
    server = stage.server()

    with pytest.raises(errors.HostUnsuitable, match=r"source cannot be asked.*host1"):
        migrate(stage, server, wait=True)

    assert ["host2"] == checked
    assert ["host1"] == stage.held(server.uuid)


def test_silent_destination_leads_to_the_next(stage, checked):
    stage.everybody.answers["host2", "check_can_live_migrate_destination"] = silent

    move = migrate(stage, stage.server(), wait=True)

    assert "host3" == read(stage, move).destination


CLEANUP = "check_can_live_migrate_destination_cleanup"


def test_test_file_of_a_silent_destination_is_removed(stage, checked):
    """It may be making it still: the name is known before the question."""
    asked: list[str] = []

    def hear(_instance: object, data: objects.LibvirtLiveMigrateData) -> None:
        asked.append(str(data.test_file))
        silent()

    stage.everybody.answers["host2", "check_can_live_migrate_destination"] = hear
    migrate(stage, stage.server(), wait=True)

    ((whom, told),) = stage.everybody.told(CLEANUP)
    assert ("host2", asked) == (whom, [told.test_file])
    assert checks.owns("host2", told.test_file)


def test_test_file_of_a_move_that_starts_goes_with_its_preparation(stage, checked):
    """The destination removes it when it gets ready: no message of its own."""
    migrate(stage, stage.server(), wait=True)

    assert [] == stage.everybody.told(CLEANUP)


def test_test_file_of_a_move_that_waits_goes_now(stage, checked):
    """It holds a port open, and the line may be long."""
    stage.manager.set_limits(context.admin(), {"max_outbound": 1, "max_inbound": 1})
    migrate(stage, stage.server(), wait=True)

    move = migrate(stage, stage.server(), wait=True)

    assert "queued" == read(stage, move).status
    assert ["host2"] == [whom for whom, _ in stage.everybody.told(CLEANUP)]


def test_test_file_goes_when_the_source_refuses(stage, checked):
    """Nothing is left where the move will never go."""
    stage.everybody.answers["host1", "check_can_live_migrate_source"] = silent

    with pytest.raises(errors.HostUnsuitable):
        migrate(stage, stage.server(), wait=True)

    assert ["host2"] == [whom for whom, _ in stage.everybody.told(CLEANUP)]


def test_lost_clean_up_of_the_test_file_stops_nothing(stage, checked):
    """The move waits its turn all the same."""
    stage.manager.set_limits(context.admin(), {"max_outbound": 1, "max_inbound": 1})
    migrate(stage, stage.server(), wait=True)
    stage.everybody.answers["host2", CLEANUP] = silent

    move = migrate(stage, stage.server(), wait=True)

    assert ("queued", "host2") == (read(stage, move).status, read(stage, move).destination)
    assert 1 == len(stage.everybody.told(CLEANUP))


def test_move_that_cannot_be_looked_after_keeps_no_other_waiting(stage, checked):
    """The oldest has lost its claim: putting it back fails each time."""
    odd, other = migrate(stage, stage.server()), migrate(stage, stage.server())
    with stage.deps.database.write() as tx:
        claims.release(tx, odd.uuid)
        claims.release(tx, other.instance_uuid)
        moves.change(tx, odd.uuid, expected={"accepted"}, source="host9")
    stage.clock.advance(stage.deps.conf.conductor.lease + 1)

    queue.tick(stage.deps)

    assert "failed" == read(stage, other).status


def test_queued_move_is_accepted_though_the_queue_is_in_trouble(stage, checked, monkeypatch):
    """It waits there, and the next tick starts it."""

    def trouble(*_arguments: object, **_more: object):
        raise errors.DatabaseDown("gone")

    with monkeypatch.context() as patch:
        patch.setattr(moves, "admit", trouble)
        move = migrate(stage, stage.server(), wait=True)
    assert "queued" == read(stage, move).status
    queue.tick(stage.deps)

    assert "preparing" == read(stage, move).status


def test_server_that_waits_for_its_host_is_not_given_up(stage, checked):
    """A long line is no reason to fail it: its conductor is there."""
    made = stage.manager.create_server(
        context.admin(), objects.NewServer(name="vm", flavor=factories.flavor())
    )

    for _ in range(3):
        stage.clock.advance(stage.deps.conf.conductor.lease - 1)
        stage.manager.renew()
        lost.tick(stage.deps)
    assert "building" == stage.read(made.uuid).vm_state
    (place,) = stage.deps.pool.work
    place()

    assert "host2" == stage.read(made.uuid).host


def test_move_that_was_aborted_takes_no_claim_of_the_next(stage, checked):
    """Its checks end after the server moves again, to the same host."""
    server = stage.server()
    first = migrate(stage, server)
    answers = stage.everybody.answers

    def meanwhile(_instance, data):
        answers["host2", "check_can_live_migrate_destination"] = lambda _instance, data: data
        stage.manager.abort_migration(context.admin(), server.uuid, first.uuid)
        migrate(stage, server, wait=True)
        return data

    answers["host2", "check_can_live_migrate_destination"] = meanwhile
    (launch,) = stage.deps.pool.work
    launch()

    assert "cancelled" == read(stage, first).status
    assert ["host2"] == stage.held(server.uuid)


def test_abort_keeps_why_other_hosts_have_refused(stage, checked):
    """Whoever tries again wants to know."""
    server = stage.server()
    move = migrate(stage, server)
    refused = {"host3": [{"filter": "RamFilter", "reason": "3 MB free"}]}
    with stage.deps.database.write() as tx:
        moves.change(tx, move.uuid, expected={move.status}, reasons=refused)

    stage.manager.abort_migration(context.admin(), server.uuid, move.uuid)

    with stage.deps.database.read() as tx:
        now = moves.get(tx, move.uuid)
    assert ("cancelled", refused) == (now.status, now.reasons)


def test_claim_of_an_aborted_move_does_not_stay_under_the_next(stage, checked):
    """It came while the next one was looking for a host already, and that went elsewhere."""
    server = stage.server()
    asked = stage.everybody.answers
    claim = asked["scheduler", "select_destinations"]

    def late(spec):
        asked["scheduler", "select_destinations"] = elsewhere
        (move,) = going(stage, server)
        stage.manager.abort_migration(context.admin(), server.uuid, move.uuid)
        migrate(stage, server)
        return claim(spec)

    def elsewhere(spec):
        return claim(spec.replace(ignore_hosts=["host1", "host2"]))

    asked["scheduler", "select_destinations"] = late
    with pytest.raises(errors.StaleWrite):
        migrate(stage, server, wait=True)
    assert ["host2"] == stage.held(server.uuid)

    stage.work()

    assert ["host2", "host3"] == checked
    assert ["host3"] == stage.held(server.uuid)


def going(stage, server):
    with stage.deps.database.read() as tx:
        found = moves.find(tx, instance_uuid=server.uuid)
    return [move for move in found if move.status not in states.TERMINAL]
