"""Any mix of creates and moves, named or not, at once: no host promises more than it has.

What is done is done by the conductor and the scheduler themselves; only the hosts
are played here: each does what it is told at once, refuses it, or fails half-way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent import futures
from typing import Any
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st

from common import clock as clocks
from common import context as contexts
from common import errors
from common import objects
from common import states
from common.config import load
from common.context import Context
from common.db import claims
from common.db import engine
from common.db import findings
from common.db import flavors
from common.db import hosts
from common.db import leftovers
from common.db import needs
from common.db import services
from common.db import tables
from services.conductor.checking import Checking
from services.conductor.deps import Deps
from services.conductor.manager import Manager
from services.scheduler import manager as choosing
from tests import factories

GB = 1024
# 300 GB, of which 20 are kept.
MOST = {"big": 280 * GB, "middle": 120 * GB, "small": 100 * GB}
SERVERS = 7
FLAVORS = tuple(
    factories.flavor(id=f"{memory}", name=f"{memory}", memory_mb=memory * GB, root_gb=1)
    for memory in (10, 40, 70, 100)
)
NO_DISK = errors.NoDiskSpace("no room for disks")
BROKEN = errors.HypervisorError("it broke")
REFUSALS = (
    errors.NoValidHost,
    errors.CheckFailed,
    errors.Conflict,
    errors.NotFound,
    errors.Invalid,
    errors.MoveAborted,
)


class Deed(NamedTuple):
    """What one request does, and how the hosts take it."""

    verb: str
    server: int
    host: str | None  # that is named, if one is
    size: int
    refusing: frozenset[str]  # these take nothing new
    breaks: bool  # what has begun fails half-way
    waits: bool  # to be confirmed


VERBS = ["live", "live", "live", "cold", "resize", "resize", "confirm", "revert"]
DEEDS = st.builds(
    Deed,
    st.sampled_from([*VERBS, "delete"]),
    st.integers(0, SERVERS - 1),
    st.sampled_from([*MOST, None, None, None]),
    st.integers(0, len(FLAVORS) - 1),
    st.sampled_from([frozenset(), frozenset(), frozenset({"big"}), frozenset({"small", "middle"})]),
    st.booleans(),
    st.booleans(),
)


class Now(futures.Executor):
    """Does what is put off to the background at once; who puts it off hears nothing of it."""

    def submit(self, act: Any, /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        done: futures.Future[Any] = futures.Future()
        try:
            done.set_result(act(*args, **kwargs))
        except errors.Error as refusal:
            done.set_exception(refusal)
        return done


class Host:
    """One host as the conductor tells it what to do: all that it needs for a move or a server."""

    def __init__(self, conductor: Conductor, name: str) -> None:
        self._conductor = conductor
        self._name = name
        self._refusal = NO_DISK if name in conductor.deed.refusing else None

    def build_server(self, context: Context, instance: objects.Instance) -> None:
        self._ended(context, instance, "build", self._refusal, states.Power.RUNNING)

    def operate(self, context: Context, instance: objects.Instance, operation: str) -> None:
        power = states.OPERATIONS[operation].power
        self._ended(context, instance, operation, None, power)

    def check_can_live_migrate_destination(
        self,
        _context: Context,
        _instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
    ) -> objects.LibvirtLiveMigrateData:
        if self._refusal is not None:
            raise self._refusal
        return data

    def check_can_live_migrate_source(
        self,
        _context: Context,
        _instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        _policy: objects.MigrationPolicy,
    ) -> objects.LibvirtLiveMigrateData:
        return data

    def check_can_live_migrate_destination_cleanup(self, *_said: object) -> None:
        """Have nothing to clean."""

    def live_migration(
        self, context: Context, _instance: objects.Instance, migration: objects.Migration
    ) -> None:
        error = BROKEN if self._conductor.deed.breaks else None
        last = states.Move.FAILED if error else states.Move.COMPLETED
        ways = ((states.Move.PREPARING, states.Move.RUNNING), (states.Move.RUNNING, last))
        for before, after in ways:
            told = objects.MoveReport(
                migration_uuid=migration.uuid,
                generation=migration.generation,
                host=self._name,
                expected=[before],
                status=after,
                power_state=int(states.Power.RUNNING),
            )
            if error is not None and after == last:
                told = told.replace(error_code=error.code, error_message=error.message)
            self._conductor.manager.move_report(context, told)

    def observe_guest(self, _context: Context, instance: objects.Instance) -> objects.GuestSeen:
        """Have every guest run that anybody asks for."""
        return objects.GuestSeen(
            host=self._name,
            power_state=int(states.Power.RUNNING),
            run_token=instance.run_token,
        )

    def survey_cold_move(
        self, _context: Context, _instance: objects.Instance, cold: objects.ColdMove
    ) -> objects.ColdMove:
        disk = objects.DiskInfo(
            target="vda", path="disk", format="qcow2", virtual_bytes=1, allocated_bytes=1
        )
        return cold.replace(disks=[disk], source_facts=factories.facts())

    def cold_step(
        self,
        context: Context,
        _instance: objects.Instance,
        migration: objects.Migration,
        step: str,
    ) -> None:
        deed = self._conductor.deed
        error = {"prep_resize": self._refusal, "resize_instance": BROKEN if deed.breaks else None}
        failed = error.get(step)
        told = objects.StepReport(
            migration_uuid=migration.uuid,
            generation=migration.generation,
            step=step,
            host=self._name,
            started_at=factories.NOW,
            finished_at=factories.NOW,
            error_code=failed.code if failed else None,
            error_message=failed.message if failed else None,
            power_state=int(states.Power.RUNNING),
        )
        self._conductor.manager.step_ended(context, told)

    def _ended(
        self,
        context: Context,
        instance: objects.Instance,
        operation: str,
        error: errors.Error | None,
        power: states.Power,
    ) -> None:
        self._conductor.manager.operation_ended(
            context,
            instance.uuid,
            self._name,
            operation,
            generation=instance.generation,
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            power_state=int(power),
        )


class Conductor:
    """A conductor for one deed, with a scheduler beside it, and hosts that take it as it says."""

    def __init__(self, cluster: Cluster, deed: Deed) -> None:
        self.deed = deed
        self.manager = Manager(
            Deps(
                cluster.conf,
                cluster.database,
                self,  # type: ignore[arg-type] # it has the one method that is asked for
                cluster.scheduler,
                cluster.clock,
                Now(),
                "1",
                Checking(),
            )
        )

    def client(self, _kind: type, server: str) -> Host:
        """Be the bus."""
        return Host(self, server)


@dataclasses.dataclass
class Cluster:
    """One database, as one of several processes uses it; the servers are everybody's."""

    database: engine.Database
    servers: dict[int, str]

    def __post_init__(self) -> None:
        self.clock = clocks.HeldClock(factories.NOW)
        self.conf = load.private({"host": "conductor", "conductor.max_outbound": 4})
        self.scheduler = choosing.Manager(self.conf, self.database, self.clock)

    def do(self, deed: Deed) -> None:
        """Do it, or create the server if there is none; what is refused is refused."""
        try:
            if not create(self, deed):
                manager = Conductor(self, deed).manager
                ACTS[deed.verb](manager, contexts.admin(), self.servers[deed.server], deed)
        except REFUSALS:
            return


def create(cluster: Cluster, deed: Deed) -> bool:
    """Ask for a server, if there is none of this number; tells whether it did."""
    with cluster.database.read() as tx:
        uuid = cluster.servers.get(deed.server, "")
        query = sa.select(tables.SERVERS.c.vm_state).where(tables.SERVERS.c.uuid == uuid)
        row = tx.row(query)
    if row is not None and row["vm_state"] not in {states.Vm.DELETED, states.Vm.ERROR}:
        return False
    request = objects.NewServer(
        name=f"vm{deed.server}", flavor=FLAVORS[deed.size], requested_host=deed.host
    )
    made = Conductor(cluster, deed).manager.create_server(contexts.admin(), request)
    cluster.servers[deed.server] = made.uuid
    return True


def live(manager: Manager, context: Context, server: str, deed: Deed) -> None:
    manager.live_migrate(
        context,
        server,
        deed.host,
        block_migration=None,
        disk_over_commit=False,
        policy={},
        wait=True,
    )


def cold(manager: Manager, context: Context, server: str, deed: Deed) -> None:
    relocate(manager, context, server, deed, None)


def resized(manager: Manager, context: Context, server: str, deed: Deed) -> None:
    relocate(manager, context, server, deed, FLAVORS[deed.size].id)


def relocate(
    manager: Manager, context: Context, server: str, deed: Deed, flavor: str | None
) -> None:
    manager.migrate_server(
        context,
        server,
        deed.host,
        flavor,
        auto_confirm=not deed.waits,
        bandwidth=0,
        wait=True,
        zone=None,
    )


ACTS: dict[str, Callable[[Manager, Context, str, Deed], None]] = {
    "live": live,
    "cold": cold,
    "resize": resized,
    "confirm": lambda manager, context, server, _deed: manager.confirm_resize(context, server),
    "revert": lambda manager, context, server, _deed: manager.revert_resize(context, server),
    "delete": lambda manager, context, server, _deed: manager.operate(context, server, "delete"),
}


class Promises(stateful.RuleBasedStateMachine):
    """Requests at once, through two processes."""

    def __init__(self, clusters: tuple[Cluster, Cluster]) -> None:
        super().__init__()
        self.clusters = clusters
        clusters[0].servers.clear()
        with clusters[0].database.write() as tx:
            for table in (
                tables.ALLOCATIONS,
                tables.STEPS,
                tables.MIGRATIONS,
                tables.EVENTS,
                tables.ACTIONS,
                tables.SERVERS,
            ):
                tx.run(sa.delete(table))
            tx.run(sa.update(tables.INVENTORY).values(used=0))

    @stateful.rule(deeds=st.lists(DEEDS, min_size=2, max_size=7))
    def several(self, deeds: list[Deed]) -> None:
        """Any outcome will do that keeps the invariants."""
        with futures.ThreadPoolExecutor(len(deeds)) as threads:
            list(threads.map(lambda at: self.clusters[at % 2].do(deeds[at]), range(len(deeds))))

    @stateful.invariant()
    def no_host_promises_more_than_it_has(self) -> None:
        """Memory is the narrow one; the sum beside the inventory is that of the claims."""
        with self.clusters[0].database.read() as tx:
            promised = claims.usage(tx)
            wrong = findings.miscounted(tx)

        assert [] == wrong
        for host, most in MOST.items():
            assert promised.get(host, {}).get(claims.MEMORY_MB, 0) <= most

    @stateful.invariant()
    def what_is_held_is_what_is_needed(self) -> None:
        """By servers where they are, and by moves that have not ended."""
        with self.clusters[0].database.read() as tx:
            assert [] == needs.find(tx)
            assert [] == leftovers.find(tx)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_host_never_promises_more_than_it_has(database):
    """Named or not, created or moved: 280 GB of 300 are the end."""
    url = database.engine.url.render_as_string(hide_password=False)
    servers: dict[int, str] = {}
    clock = clocks.HeldClock(factories.NOW)
    both = tuple(
        Cluster(engine.Database(url, timeout=30, clock=clock), servers) for _process in range(2)
    )
    sizes = {"vcpus": 500, "local_gb": 4000, "reserved_host_memory_mb": 20 * GB}
    with database.write() as tx:
        for flavor in FLAVORS:
            flavors.create(tx, flavor)
        for host, most in MOST.items():
            services.report(tx, factories.service(host), factories.NOW)
            hosts.report(tx, factories.node(host, memory_mb=most + 20 * GB, **sizes))

    stateful.run_state_machine_as_test(
        lambda: Promises(both),  # type: ignore[arg-type]  # called like a class
        settings=settings(
            max_examples=8,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    for one in both:
        one.database.close()
