from concurrent import futures
from typing import cast

import pytest

from common import clock
from common import context
from common import errors
from common import states
from common.config import load
from common.db import claims
from common.db import hosts
from common.db import journal
from common.db import servers
from common.db import services
from rpc.scheduler import Scheduler
from services.conductor import lost
from services.conductor.checking import Checking
from services.conductor.deps import Deps
from tests import factories
from tests.factories import NOW

LEASE = 60


class Computes:
    """Stands for the bus: writes down which host is told what."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.away: errors.Error | None = None
        self._host = ""

    def client(self, kind, server):
        self._host = server
        return self

    def build_server(self, context, instance):
        self._tell("build", instance)

    def operate(self, context, instance, operation):
        self._tell(operation, instance)

    def _tell(self, operation, instance):
        if self.away:
            raise self.away
        self.told.append((self._host, operation, instance.generation))


@pytest.fixture
def held():
    return clock.HeldClock(NOW)


@pytest.fixture
def computes():
    return Computes()


@pytest.fixture
def deps(database, held, computes):
    database._clock = held
    conf = load.private({"conductor.lease": LEASE})
    scheduler = cast("Scheduler", None)  # nothing is chosen here
    with futures.ThreadPoolExecutor(1) as pool:
        yield Deps(conf, database, computes, scheduler, held, pool, "1", Checking())


@pytest.fixture
def begin(database):
    """Write a server that is in the middle of something."""

    def write(task, host="host1", **values):
        asked = context.admin()
        server = factories.instance(task_state=task, host=host, generation=4, **values)
        with database.write() as tx:
            servers.create(tx, server)
            hosts.report(tx, factories.node("host1"))
            claims.claim(tx, "host1", server.uuid, claims.amounts(server.flavor))
            journal.start(tx, factories.action(server.uuid, request_id=asked.request_id))
        return server.uuid

    return write


@pytest.mark.parametrize(
    ("task", "told"),
    [(states.Task.SPAWNING, "build")]
    + [(row.during, name) for name, row in states.OPERATIONS.items()],
)
def test_lost_message_is_sent_again(deps, held, computes, begin, task, told):
    """Once per lease, as it was: with its generation."""
    begin(task, vm_state=states.Vm.ACTIVE)

    lost.tick(deps)
    assert [] == computes.told
    for _ in range(2):
        held.advance(LEASE + 1)
        lost.tick(deps)
        lost.tick(deps)

    assert [("host1", told, 4)] * 2 == computes.told


def test_moves_are_looked_after_elsewhere(deps, held, computes, begin):
    begin(states.Task.MIGRATING, vm_state=states.Vm.ACTIVE)
    held.advance(LEASE + 1)

    lost.tick(deps)

    assert [] == computes.told


def test_host_that_is_away_is_told_later(deps, held, computes, begin):
    """The server goes on waiting, and others are looked after."""
    begin(states.Task.POWERING_OFF, vm_state=states.Vm.ACTIVE)
    held.advance(LEASE + 1)
    computes.away = errors.BusDown("no broker")
    lost.tick(deps)
    computes.away = None
    held.advance(LEASE + 1)

    lost.tick(deps)

    assert [("host1", "stop", 4)] == computes.told


def test_host_that_is_given_up_need_not_delete(deps, held, computes, begin, database):
    """Nobody is told, and the server is gone."""
    begin(states.Task.DELETING, vm_state=states.Vm.ACTIVE)
    with database.write() as tx:
        services.report(tx, factories.service("host1"), NOW)
        service = services.find(tx, "host1", hosts.BINARY, NOW, 30)
        services.change(tx, service.uuid, now=NOW, down_after=30, forced_down=True)
    held.advance(LEASE + 1)

    lost.tick(deps)

    assert [] == computes.told
    with database.read() as tx:
        assert [] == servers.find(tx)


def test_server_without_host_and_conductor_is_in_error(deps, held, computes, begin, database):
    """It says why, holds nothing, and its action has ended."""
    uuid = begin(states.Task.SPAWNING, host=None)
    held.advance(LEASE + 1)

    lost.tick(deps)

    with database.read() as tx:
        server = servers.get(tx, uuid)
        (action,) = journal.actions(tx, uuid)
        assert {} == claims.held(tx, uuid)
    assert (states.Vm.ERROR, None, "no_answer") == (
        server.vm_state,
        server.task_state,
        server.fault_code,
    )
    assert action.finished_at is not None
    assert [] == computes.told
