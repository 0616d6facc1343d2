import datetime

import pytest

from common import clock
from common import errors
from common import objects
from common import states
from common.db import engine
from common.db import moves
from tests import factories
from tests import races
from tests.factories import NOW

LEASE = NOW + datetime.timedelta(seconds=60)


def queued(tx, source: str = "a", destination: str = "b", **values) -> str:
    """Write a move that waits in line, and give its uuid."""
    made = factories.migration(status="queued", source=source, destination=destination, **values)
    return moves.create(tx, made).uuid


def prepared(tx, source: str = "a", destination: str = "b", **values) -> str:
    """Write a cold move that waits for its copy, and give its uuid."""
    given = {"type": "resize", "status": "pre-migrating", "stage": moves.COPY, **values}
    made = factories.migration(source=source, destination=destination, **given)
    return moves.create(tx, made).uuid


def copies(tx, outbound: int = 1, inbound: int = 1) -> list[str]:
    """Give the moves whose copy may begin."""
    return [move.uuid for move in moves.admit_copies(tx, outbound, inbound)]


def admit(tx, limit: int = 1) -> list[str]:
    """Admit with the same limit for both directions, and give the uuids."""
    return [move.uuid for move in moves.admit(tx, limit, limit, "conductor", LEASE)]


def test_read_back_with_a_number(database):
    made = factories.migration(policy=factories.policy(), block_migration=None)
    with database.write() as tx:
        stored = moves.create(tx, made)

        assert stored == moves.get(tx, made.uuid) == moves.get_by_id(tx, int(stored.id or 0))
    assert made == stored.replace(id=None, created_at=None, updated_at=None)


def test_what_both_hosts_agreed_on_is_kept(database):
    data = objects.LibvirtLiveMigrateData(migration_uuid="m", is_shared=False)
    data.obj_reset_changes()
    with database.write() as tx:
        move = moves.create(tx, factories.migration())

        changed = moves.change(tx, move.uuid, expected={"accepted"}, data=data)

    assert data == changed.data


@pytest.mark.parametrize("find", [moves.get, moves.get_by_id])
def test_an_unknown_move_is_not_found(database, find):
    with pytest.raises(errors.MigrationNotFound, match="17"), database.read() as tx:
        find(tx, 17 if find is moves.get_by_id else "17")


def test_the_move_of_another_server_is_not_found_and_leads_to_the_list():
    move = factories.migration()

    assert move is moves.own(move, move.instance_uuid, "7")
    with pytest.raises(errors.MigrationNotFound, match=r"no migration 7; see: .* --server other$"):
        moves.own(move, "other", "7")


def test_a_status_follows_the_table(database):
    """A change that states.MOVES does not have is refused, whatever the caller expects."""
    with database.write() as tx:
        move = moves.create(tx, factories.migration())

        with pytest.raises(errors.StaleWrite, match="accepted of generation 0"):
            moves.change(tx, move.uuid, expected={"accepted"}, status="running")


def test_an_ended_move_stays_ended(database):
    with database.write() as tx:
        move = moves.create(tx, factories.migration())
        ended = moves.change(tx, move.uuid, expected={"accepted"}, status="failed")

        with pytest.raises(errors.StaleWrite, match="failed"):
            moves.change(tx, move.uuid, expected=set(states.Move), status="queued")
    assert NOW == ended.finished_at


def test_an_older_generation_is_stale(database):
    with database.write() as tx:
        move = moves.create(tx, factories.migration(generation=2))

        with pytest.raises(
            errors.StaleWrite, match="of generation 2, not accepted of generation 1"
        ):
            moves.change(tx, move.uuid, expected={"accepted"}, generation=1, error_message="late")


def test_the_active_move_is_the_one_that_goes_on(database):
    with database.write() as tx:
        moves.create(tx, factories.migration(instance_uuid="vm", status="failed"))
        going = moves.create(tx, factories.migration(instance_uuid="vm"))

        assert going == moves.active(tx, "vm")
        assert moves.active(tx, "other") is None


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["3", "2", "1"]),
        ({"host": "b"}, ["2", "1"]),
        ({"source": "b"}, ["2"]),
        ({"status": ["failed", "error"]}, ["3"]),
        ({"type": "migration"}, ["3"]),
        ({"instance_uuid": "vm1", "limit": 1}, ["1"]),
        ({"limit": 1, "marker": "3"}, ["2"]),
        ({"changes_since": LEASE}, []),
    ],
)
def test_lists_are_narrowed(database, filters, expected):
    with database.write() as tx:
        for values in (
            {"uuid": "1", "source": "a", "destination": "b", "instance_uuid": "vm1"},
            {"uuid": "2", "source": "b", "destination": "c"},
            {"uuid": "3", "source": "c", "status": "failed", "type": "migration"},
        ):
            moves.create(tx, factories.migration(**values))

        assert expected == [move.uuid for move in moves.find(tx, **filters)]


def test_a_wrong_question_is_refused(database):
    with pytest.raises(errors.Invalid, match="colour"), database.read() as tx:
        moves.find(tx, colour="red")


def test_the_oldest_goes_first(database):
    with database.write() as tx:
        first, second = queued(tx), queued(tx)

        assert (1, 2) == (moves.position(tx, first), moves.position(tx, second))
        assert [first] == admit(tx)
        assert (None, 1) == (moves.position(tx, first), moves.position(tx, second))


def test_admitted_moves_are_owned(database):
    with database.write() as tx:
        queued(tx)

        (move,) = moves.admit(tx, 1, 1, "conductor", LEASE)

    assert ("preparing", "conductor", LEASE) == (move.status, move.owner, move.lease_until)


def test_limits_hold_for_source_and_destination(database):
    """Both ends count, and a move that waits does not hold up those between other hosts."""
    with database.write() as tx:
        first = queued(tx, "a", "b")
        queued(tx, "a", "c")
        queued(tx, "d", "b")
        other = queued(tx, "d", "e")

        assert [first, other] == admit(tx)
        assert [] == admit(tx)


def test_an_ended_move_gives_its_slots_back(database):
    with database.write() as tx:
        first, second = queued(tx), queued(tx)
        admit(tx)
        moves.change(tx, first, expected={"preparing"}, status="failed")

        assert [second] == admit(tx)


def test_cold_moves_need_no_slot(database):
    with database.write() as tx:
        moves.create(
            tx, factories.migration(type="resize", status="post-migrating", destination="b")
        )
        waiting = queued(tx, "host1", "b")

        assert [waiting] == admit(tx)


def test_racing_conductors_keep_the_limits(database):
    """Many processes admit at once: no host ever has more than its limit."""
    with database.write() as tx:
        for _ in range(4):
            queued(tx)

    def admit_one(_number: int) -> list[str]:
        with database.write() as tx:
            return admit(tx, limit=2)

    admitted = races.race(admit_one, times=6)

    assert 2 == sum(map(len, admitted))


def known(move: objects.Migration) -> objects.ColdMove:
    """Give what both hosts know of a cold move."""
    assert move.cold is not None
    return move.cold


def test_changes_of_a_held_move_add_up(database):
    """Whoever decides on what it has read overwrites nothing that came in between."""
    cold = factories.cold_move()
    with database.write() as tx:
        uuid = moves.create(tx, factories.migration(type="resize", cold=cold)).uuid

    def add(_number: int) -> None:
        with database.write() as tx:
            read = moves.hold(tx, uuid)
            before = known(read)
            moves.advance(tx, read, cold=before.replace(bandwidth=before.bandwidth + 1))

    races.race(add, times=6)

    with database.read() as tx:
        assert cold.bandwidth + 6 == known(moves.get(tx, uuid)).bandwidth


def test_progress_never_goes_back(database):
    with database.write() as tx:
        uuid = moves.create(tx, factories.migration(status="running")).uuid
        for percent, remaining in ((40, 600), (30, 700)):
            assert moves.progress(
                tx,
                objects.MigrationProgress(
                    migration_uuid=uuid, percent=percent, memory_remaining=remaining
                ),
            )

        found = moves.get(tx, uuid).progress

    assert found is not None
    assert (40, 700) == (found.percent, found.memory_remaining)


@pytest.mark.parametrize(
    "values", [{"status": "completed"}, {"status": "running", "generation": 1}]
)
def test_late_progress_is_ignored(database, values):
    with database.write() as tx:
        uuid = moves.create(tx, factories.migration(**values)).uuid

        assert not moves.progress(tx, objects.MigrationProgress(migration_uuid=uuid, percent=9))
        assert moves.get(tx, uuid).progress is None


def test_only_the_owner_renews(database):
    with database.write() as tx:
        uuid = moves.create(tx, factories.migration(owner="me", lease_until=NOW)).uuid
        moves.renew(tx, uuid, "me", LEASE)

        assert moves.get(tx, uuid).lease_until == LEASE
        with pytest.raises(errors.StaleWrite, match="owned by me, not you"):
            moves.renew(tx, uuid, "you", LEASE)


def test_an_expired_move_is_taken_once(database):
    with database.write() as tx:
        uuid = moves.create(tx, factories.migration(owner="gone", lease_until=NOW)).uuid
        moves.create(tx, factories.migration(owner="alive", lease_until=LEASE))
        moves.create(tx, factories.migration(owner="gone", lease_until=NOW, status="failed"))
        now = NOW + datetime.timedelta(seconds=1)

        assert [uuid] == [move.uuid for move in moves.expired(tx, now)]
        taken = moves.take(tx, uuid, "me", now, LEASE)
        assert ("me", 1) == (taken.owner, taken.generation)
        with pytest.raises(errors.StaleWrite, match="owned by me"):
            moves.take(tx, uuid, "you", now, LEASE)


def test_a_silent_owner_is_waited_for_once(database):
    """Its move stays as it is; whoever looks a moment later sees a lease that holds."""
    with database.write() as tx:
        uuid = moves.create(tx, factories.migration(owner="host1", lease_until=NOW)).uuid
        now = NOW + datetime.timedelta(seconds=1)

        extended = moves.extend(tx, uuid, now, LEASE)

        assert ("host1", 0, LEASE) == (extended.owner, extended.generation, extended.lease_until)
        with pytest.raises(errors.StaleWrite, match="owned by host1"):
            moves.extend(tx, uuid, now, LEASE)


def test_move_that_ends_while_the_line_is_read_keeps_no_other_waiting(postgres_tables):
    """PostgreSQL shows each statement what is committed by then."""
    database = engine.Database(postgres_tables)
    with database.write() as tx:
        aborted, next_one = queued(tx), queued(tx)

    class Meanwhile(engine.Tx):
        def tuples(self, statement, values=None):
            found = super().tuples(statement, values)
            if (aborted, "a", "b") in found:
                with database.write() as other:
                    moves.change(other, aborted, expected={"queued"}, status="cancelled")
            return found

    with database.write() as tx:
        admitted = admit(Meanwhile(tx.connection, clock.SystemClock()))
    database.close()

    assert [next_one] == admitted


class TestCopies:
    """Cold moves wait for their copy in a line of their own."""

    def test_limits_hold_for_source_and_destination(self, database):
        """What is chosen in the same look counts, and who waits holds up nobody else."""
        with database.write() as tx:
            first = prepared(tx, "a", "b")
            prepared(tx, "a", "c")
            prepared(tx, "d", "b")
            other = prepared(tx, "d", "e")

            assert [first, other] == copies(tx)

    def test_running_copies_count(self, database):
        with database.write() as tx:
            prepared(tx, "a", "b", status="migrating")
            waiting = prepared(tx, "a", "c")

            assert [] == copies(tx)
            assert [waiting] == copies(tx, outbound=2)

    def test_undoing_is_no_copy(self, database):
        """Two moves that wait for a dead destination keep none of the source's copies."""
        with database.write() as tx:
            prepared(tx, "a", "b", status="migrating", stage="undo_resize")
            prepared(tx, "a", "b", status="migrating", stage="restore_instance")
            waiting = prepared(tx, "a", "c")

            assert [waiting] == copies(tx)

    def test_live_moves_do_not_count(self, database):
        with database.write() as tx:
            queued(tx, "a", "b")
            admit(tx)
            waiting = prepared(tx, "a", "b")

            assert [waiting] == copies(tx)

    @pytest.mark.parametrize("values", [{"stage": "prep_resize"}, {"status": "finished"}])
    def test_only_what_is_prepared_waits(self, database, values):
        with database.write() as tx:
            prepared(tx, **values)

            assert [] == moves.copies_waiting(tx)

    def test_places_are_counted_from_one(self, database):
        with database.write() as tx:
            first, second = prepared(tx), prepared(tx, "x", "y")

            assert [1, 2] == [moves.position(tx, uuid) for uuid in (first, second)]
