"""Hosts as the scheduler looks at them."""

import datetime

import pytest

from common import states
from common.db import candidates
from common.db import claims
from common.db import hosts
from common.db import rooms
from common.db import servers
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


def counted(database) -> dict[str, tuple[int, int]]:
    """Give {host: (servers, heavy work)}."""
    with database.read() as tx:
        now = tx.now()
    return {name: (room.instances, room.io_ops) for name, room in read(database, since=now).items()}


def guest(database, host: str | None, *held: str, consumer: str | None = None, **values: object):
    """Write a server, and what it, or another for it, holds."""
    with database.write() as tx:
        made = servers.create(tx, factories.instance(host=host, **values))
        for name in held:
            claims.claim(tx, name, consumer or made.uuid, claims.amounts(made.flavor))
    return made


def test_servers_count_where_they_live(fleet):
    """A busy one is work."""
    guest(fleet, "host1", "host1", vm_state=states.Vm.ACTIVE)
    guest(fleet, "host1", "host1", task_state=states.Task.MIGRATING, vm_state=states.Vm.ACTIVE)

    assert {"host1": (2, 1), "host2": (0, 0)} == counted(fleet)


def test_a_server_that_is_built_counts_from_its_claim_on(fleet):
    """Before its row has a host: many at once must not pass each other."""
    guest(fleet, None, "host1", task_state=states.Task.SPAWNING)
    guest(fleet, None, task_state=states.Task.SPAWNING)
    guest(fleet, "host2", "host2", task_state=states.Task.SPAWNING)

    assert {"host1": (1, 1), "host2": (1, 1)} == counted(fleet)


@pytest.mark.parametrize("task", [states.Task.MIGRATING, states.Task.RESIZE_PREP])
def test_a_server_that_moves_counts_at_both_ends(fleet, task):
    guest(fleet, "host1", "host2", task_state=task, vm_state=states.Vm.ACTIVE)

    assert {"host1": (1, 1), "host2": (1, 1)} == counted(fleet)


def test_room_that_is_kept_for_nobody_on_the_way_is_no_server(fleet):
    """A move that ended in error holds room at both, and nothing comes any more."""
    guest(fleet, "host1", "host2", vm_state=states.Vm.ACTIVE)
    guest(fleet, "host1", "host2", consumer="move", task_state=states.Task.MIGRATING)

    assert {"host1": (2, 1), "host2": (0, 0)} == counted(fleet)
