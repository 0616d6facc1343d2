"""Server groups under random use: no interleaving of creates and moves breaks a policy."""

import contextlib
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st

from common import errors
from common import ids
from common import objects
from common import states
from common.db import claims
from common.db import engine
from common.db import groups
from common.db import hosts
from common.db import moves
from common.db import schema
from common.db import servers
from tests import factories

HOSTS = ("host1", "host2", "host3")
ONE = {claims.VCPU: 1, claims.MEMORY_MB: 1, claims.DISK_GB: 1}
MEMBERS = 4
POLICIES: tuple[tuple[states.Affinity, dict[str, int]], ...] = (
    (states.Affinity.APART, {}),
    (states.Affinity.APART, {groups.MOST: 2}),
    (states.Affinity.TOGETHER, {}),
)


class Deed(NamedTuple):
    """One thing that one thread does to one member."""

    verb: str
    member: int
    host: str


DEEDS = st.builds(
    Deed,
    st.sampled_from(["build", "begin", "begin", "arrive", "fail", "leave"]),
    st.integers(0, MEMBERS - 1),
    st.sampled_from(HOSTS),
)


def build(database: engine.Database, server: objects.Instance, host: str) -> None:
    """Claim a host for a server that has none, and settle it there, as scheduler and conductor."""
    if server.host is not None:
        return
    with database.write() as tx:
        claim(tx, server.uuid, host)
    with database.write() as tx:
        held = claims.held(tx, server.uuid)
        servers.change(tx, server.uuid, expect={"host": None}, host=next(iter(held), None))


def begin(database: engine.Database, server: objects.Instance, host: str) -> None:
    """Begin a move: it takes the source's room, and the destination is claimed after that."""
    if server.host in {None, host} or server.task_state is not None:
        return
    idle = {"task_state": None, "host": server.host}
    move = factories.migration(instance_uuid=server.uuid, source=server.host, destination=host)
    with database.write() as tx:
        servers.change(tx, server.uuid, expect=idle, task_state="migrating")
        moves.create(tx, move)
        claims.transfer(tx, str(server.host), server.uuid, move.uuid)
    try:
        with database.write() as tx:
            claim(tx, server.uuid, host)
    except errors.NoRoom:
        fail(database, server, host)


def arrive(database: engine.Database, server: objects.Instance, _host: str) -> None:
    """End a move at its destination, if that is claimed."""
    with database.write() as tx:
        for move in going(tx, server):
            if move.destination in claims.held(tx, server.uuid):
                claims.release(tx, move.uuid)
                end(tx, move, states.Move.COMPLETED, host=move.destination)


def fail(database: engine.Database, server: objects.Instance, _host: str) -> None:
    """End a move at its source."""
    with database.write() as tx:
        for move in going(tx, server):
            claims.release(tx, server.uuid, move.destination)
            claims.transfer(tx, move.source, move.uuid, server.uuid)
            end(tx, move, states.Move.FAILED)


def leave(database: engine.Database, server: objects.Instance, _host: str) -> None:
    """Take a server that stays off its host; it can be built again."""
    if server.task_state is not None or server.host is None:
        return
    with database.write() as tx:
        idle = {"task_state": None, "host": server.host}
        servers.change(tx, server.uuid, expect=idle, host=None)
        claims.release(tx, server.uuid)


VERBS: dict[str, Callable[[engine.Database, objects.Instance, str], None]] = {
    "build": build,
    "begin": begin,
    "arrive": arrive,
    "fail": fail,
    "leave": leave,
}


def claim(tx: engine.Tx, server: str, host: str) -> None:
    """Claim as the scheduler does, with the group's guard."""
    claims.claim(tx, host, server, ONE, [lambda tx, host: groups.guard(tx, server, host)])


def going(tx: engine.Tx, server: objects.Instance) -> list[objects.Migration]:
    """Give the move of a server that goes on, if one does."""
    return moves.find(tx, instance_uuid=server.uuid, status=states.Move.ACCEPTED)


def end(tx: engine.Tx, move: objects.Migration, status: states.Move, **values: object) -> None:
    """Write that a move is over, for its server too; only the first to say so is heard."""
    moves.change(tx, move.uuid, expected={states.Move.ACCEPTED}, generation=0, status=status)
    servers.change(
        tx, move.instance_uuid, expect={"task_state": "migrating"}, task_state=None, **values
    )


class Members(stateful.RuleBasedStateMachine):
    """Deeds of several threads on the members of one group, through two pools."""

    def __init__(self, first: engine.Database, second: engine.Database) -> None:
        """Begin with members that have no host."""
        super().__init__()
        self.pools = (first, second)

    @stateful.initialize(policy=st.sampled_from(POLICIES))
    def found(self, policy: tuple[states.Affinity, dict[str, int]]) -> None:
        """Make the group."""
        self.policy, self.limits = policy
        self.members: list[str] = []
        with self.pools[0].write() as tx:
            made = factories.server_group(policy=self.policy, rules=self.limits)
            self.group = groups.create(tx, made).uuid
            for _ in range(MEMBERS):
                member = servers.create(tx, factories.instance(uuid=ids.new()))
                groups.join(tx, self.group, member.uuid)
                self.members.append(member.uuid)

    @stateful.rule(deeds=st.lists(DEEDS, min_size=1, max_size=6))
    def several(self, deeds: list[Deed]) -> None:
        """Deeds at once may go either way."""
        with futures.ThreadPoolExecutor(len(deeds)) as threads:
            pools = [self.pools[number % 2] for number in range(len(deeds))]
            list(threads.map(self.do, pools, deeds))

    @stateful.invariant()
    def the_policy_holds(self) -> None:
        """Counting each member wherever it is or may still be."""
        places = self.places()
        if self.policy == states.Affinity.TOGETHER:
            alone = [at for at in places.values() if at]
            assert len(alone) <= 1 or len(set().union(*alone)) == 1
            return
        for host in HOSTS:
            there = sum(host in at for at in places.values())
            assert there <= self.limits.get(groups.MOST, 1)

    def do(self, database: engine.Database, deed: Deed) -> None:
        """Do it; a refusal, or another that was first, leaves everything as it was."""
        with database.read() as tx:
            server = servers.get(tx, self.members[deed.member])
        with contextlib.suppress(errors.Conflict):
            VERBS[deed.verb](database, server, deed.host)

    def places(self) -> dict[str, set[str]]:
        """Read where each member is, by its row, its claims and those of its moves."""
        found: dict[str, set[str]] = {}
        with self.pools[1].read() as tx:
            for server in servers.find(tx, uuid=self.members):
                found[server.uuid] = {*claims.held(tx, server.uuid)} | {server.host or ""} - {""}
            for move in moves.find(tx, instance_uuid=self.members, status=states.Move.ACCEPTED):
                found[move.instance_uuid] |= claims.held(tx, move.uuid).keys()
        return found

    def teardown(self) -> None:
        """Give all room back."""
        with self.pools[0].write() as tx:
            for uuid in getattr(self, "members", []):
                for consumer in [uuid, *(move.uuid for move in moves.find(tx, instance_uuid=uuid))]:
                    claims.release(tx, consumer)


@pytest.fixture
def pools(any_database):
    """Two pools on one database with three large hosts."""
    schema.upgrade(first := engine.Database(any_database, timeout=30))
    second = engine.Database(any_database, timeout=30)
    with first.write() as tx:
        for host in HOSTS:
            hosts.report(tx, factories.node(host, vcpus=64, memory_mb=4096, local_gb=64))
    yield first, second
    first.close()
    second.close()


@pytest.mark.slow
def test_no_interleaving_breaks_a_policy(pools):
    """Creates, moves, their failures and deletes of members, several at once."""
    stateful.run_state_machine_as_test(
        lambda: Members(*pools),  # type: ignore[arg-type]  # called like a class
        settings=settings(
            max_examples=10,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
