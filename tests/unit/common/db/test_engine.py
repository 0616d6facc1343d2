import datetime
import logging
import threading

import pytest
import sqlalchemy as sa

from common import errors
from common.db import engine
from common.db import flavors
from common.db import networks
from common.db import schema
from common.db import servers
from tests import factories
from tests import races


def test_a_failed_transaction_writes_nothing(database):
    def write_twice() -> None:
        with database.write() as tx:
            flavors.create(tx, factories.flavor())
            flavors.create(tx, factories.flavor())

    with pytest.raises(errors.Exists):
        write_twice()

    with database.read() as tx:
        assert [] == flavors.all(tx)


def test_memory_is_one_database_for_all_threads():
    """A database in memory serves threads in turn, and all see the same rows."""
    database = engine.Database("sqlite://")
    schema.upgrade(database)

    def write(number: int) -> None:
        with database.write() as tx:
            flavors.create(tx, factories.flavor(id=str(number), name=f"f{number}"))

    races.race(write, times=8)

    with database.read() as tx:
        assert 8 == len(flavors.all(tx))


def test_readers_do_not_wait_for_a_writer(database):
    with database.write() as tx:
        flavors.create(tx, factories.flavor())

        with database.read() as other:
            assert [] == flavors.all(other)


def test_times_come_back_aware_and_exact(database):
    there = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=there)
    with database.write() as tx:
        made = servers.create(tx, factories.instance(created_at=moment))

    assert moment == made.created_at
    assert datetime.timedelta(0) == made.created_at.utcoffset()


def test_an_unreachable_database_is_an_error_of_ours(tmp_path):
    database = engine.Database(f"postgresql://nobody:secret@/none?host={tmp_path}", timeout=1)

    with pytest.raises(errors.DatabaseDown) as caught, database.read() as tx:
        tx.run(sa.select(sa.literal(1)))

    assert "secret" not in str(caught.value)


def test_a_full_pool_is_refused_in_bounded_time(any_database):
    database = engine.Database(any_database, pool=1, timeout=1)

    with database.read(), pytest.raises(errors.DatabaseDown, match="pool"), database.read():
        pass

    database.close()


def test_a_lost_connection_is_an_error_of_ours_once(postgres):
    """Who loses the server in the middle is refused; the next one gets a fresh connection."""
    database, other = (engine.Database(postgres) for _ in range(2))
    schema.upgrade(database)
    mine = sa.text("SELECT pg_backend_pid() AS pid")

    def lose() -> None:
        with database.write() as tx:
            pid = tx.rows(mine)[0]["pid"]
            with other.write() as killer:
                killer.run(sa.text(f"SELECT pg_terminate_backend({pid})"))
            tx.run(mine)

    with pytest.raises(errors.DatabaseDown):
        lose()
    with database.read() as tx:
        assert [] == flavors.all(tx)
    database.close()
    other.close()


def test_a_busy_file_is_refused_in_bounded_time(sqlite):
    holder, other = (engine.Database(sqlite, timeout=1) for _ in range(2))

    with holder.write(), pytest.raises(errors.DatabaseDown, match="locked"), other.write():
        pass


def test_threads_that_wait_too_long_are_refused(sqlite):
    database = engine.Database(sqlite, timeout=1)

    with database.write(), pytest.raises(errors.DatabaseDown, match="busy"), database.write():
        pass


def test_waiting_ends_when_the_database_answers(tmp_path, caplog, monkeypatch):
    """A service started before its database says that it waits, then goes on."""
    monkeypatch.setattr(engine, "AGAIN", 0.05)
    place = tmp_path / "later"
    database = engine.Database(f"sqlite:///{place}/whimbrel.db")
    waiting = threading.Thread(target=database.wait, args=(logging.getLogger("test"),))
    waiting.start()
    while not caplog.records:
        waiting.join(0.02)
    place.mkdir()

    waiting.join(10)

    assert not waiting.is_alive()
    assert "waiting for the database" in caplog.text


def test_a_row_in_use_cannot_go(database):
    """What the tables themselves forbid is a conflict, not a crash."""
    with database.write() as tx:
        network = networks.create(tx, factories.network())
        networks.allocate(tx, network.id, "vm")

    with pytest.raises(errors.Conflict), database.write() as tx:
        tx.run(sa.text("DELETE FROM networks"))
