"""Hosts as the scheduler looks at them."""

import datetime

import pytest

from common.db import candidates
from common.db import hosts
from common.db import rooms
from tests import factories

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def fleet(database):
    """Two hosts, and a clock that can be set."""
    with database.write() as tx:
        for name in ("host1", "host2"):
            hosts.report(tx, factories.node(name))
    return database


def read(database, *, since: datetime.datetime) -> dict[str, hosts.Room]:
    with database.read() as tx:
        found = rooms.read(tx, tx.now(), 30, failed_since=since)
    return {room.name: room for room in found}


def failures(database, since: datetime.datetime) -> dict[str, int]:
    return {name: room.failures for name, room in read(database, since=since).items()}


def test_failures_count_as_long_as_they_are_remembered(fleet):
    with fleet.write() as tx:
        now = tx.now()
        candidates.count_failure(tx, "host1", now - HOUR)
        candidates.count_failure(tx, "host1", now - HOUR)

    assert {"host1": 2, "host2": 0} == failures(fleet, now - HOUR)
    assert {"host1": 0, "host2": 0} == failures(fleet, now + HOUR)


def test_a_new_failure_does_not_bring_forgotten_ones_back(fleet):
    with fleet.write() as tx:
        now = tx.now()
        candidates.count_failure(tx, "host1", now - HOUR)
        candidates.count_failure(tx, "host1", now + HOUR)

    assert {"host1": 1, "host2": 0} == failures(fleet, now - HOUR)


def test_what_went_well_forgets_every_failure(fleet):
    with fleet.write() as tx:
        now = tx.now()
        candidates.count_failure(tx, "host1", now - HOUR)
        candidates.forget_failures(tx, "host1")

    assert {"host1": 0, "host2": 0} == failures(fleet, now - HOUR)
