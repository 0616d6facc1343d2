"""All services in this process, and the few verbs that functional tests need of them."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from common import clock
from common import context
from common import objects
from common import states
from common.config import load
from common.context import Context
from common.db import claims
from common.db import hosts
from common.db import journal
from common.db import moves
from common.db import servers
from rpc import bus as buses
from rpc import compute
from services import together
from tests import factories
from tests import waiting

HOSTS = ("host1", "host2", "host3")
# A tick each second, so that what it must repair is repaired within a test.
OPTIONS: Mapping[str, object] = {
    "conductor.tick": 1,
    # The best host is taken; equals are still in an order of chance.
    "scheduler.host_subset_size": 1,
    # What failed in the test before is forgotten.
    "scheduler.failure_weight_multiplier": 0,
    "simulated.rate": 1000.0,
    "compute.progress_interval": 0.2,
}
# At 1000 MiB a second: a move of a tenth of a second, and one that can be caught on its way.
SMALL = 100
LARGE = 4000
# Seconds for another thread to get where it is waited for.
PATIENCE = 10


@contextlib.contextmanager
def running(
    folder: pathlib.Path,
    *,
    shared_storage: bool = False,
    hosts: Sequence[str] = HOSTS,
    each: Mapping[str, Mapping[str, object]] | None = None,
    **options: object,
) -> Iterator[Stage]:
    """Run all services, with every host up, while the block lasts."""
    with together.running(
        folder, hosts, {**OPTIONS, **options}, shared_storage=shared_storage, each=each
    ) as services:
        bus = buses.Bus(load.private({"transport_url": "fake://"}))
        stage = Stage(services, bus, hosts, shared=shared_storage)
        waiting.until(lambda: stage.up() == sorted(hosts), "every host is up")
        yield stage
        bus.close()


class Stage:
    """What plays on simulated hosts; every call is that of a user or of a service."""

    def __init__(
        self,
        services: together.Together,
        bus: buses.Bus,
        hosts: Sequence[str] = HOSTS,
        *,
        shared: bool,
    ) -> None:
        self.hosts = tuple(hosts)
        self.shared = shared
        self.conductor = services.conductor
        self.database = services.database
        self.world = services.world
        self.endpoint = services.endpoint
        self._bus = bus

    def compute(self, host: str) -> compute.Compute:
        """Give the client of a host's compute, to say what the conductor may say twice."""
        return self._bus.client(compute.Compute, server=host)

    def up(self) -> list[str]:
        """Name the hosts that are up."""
        with self.database.read() as tx:
            rows = hosts.all(tx, now=clock.SystemClock().now(), down_after=30)
        return [row.host for row in rows if row.service is not None and row.service.up]

    def service(self, host: str) -> objects.Service:
        """Give the compute service of a host."""
        with self.database.read() as tx:
            row = hosts.get(tx, host, now=clock.SystemClock().now(), down_after=30)
        assert row.service is not None
        return row.service

    def mark(
        self, host: str, *, disabled: bool | None = None, forced_down: bool | None = None
    ) -> None:
        """Say as an operator what a host is."""
        self.conductor.update_service(
            context.admin(),
            self.service(host).uuid,
            disabled=disabled,
            reason=None,
            forced_down=forced_down,
        )

    # ---- servers ----

    def create(self, memory_mb: int = SMALL, **values: object) -> objects.Instance:
        """Ask for a server, by default on host1, and give it as accepted."""
        flavor = factories.flavor(memory_mb=memory_mb, vcpus=1)
        given = {"name": "vm", "flavor": flavor, "requested_host": "host1", **values}
        return self.conductor.create_server(context.admin(), objects.NewServer(**given))

    def boot(self, memory_mb: int = SMALL, **values: object) -> objects.Instance:
        """Give a server that runs."""
        made = self.idle(self.create(memory_mb, **values).uuid)
        assert states.Vm.ACTIVE == made.vm_state, made.fault_message
        return made

    def server(self, uuid: str) -> objects.Instance:
        """Give a server, deleted ones too."""
        with self.database.read() as tx:
            return servers.get(tx, uuid, deleted=True)

    def servers(self) -> list[objects.Instance]:
        """Give every living server."""
        with self.database.read() as tx:
            return servers.find(tx)

    def idle(self, uuid: str) -> objects.Instance:
        """Wait until nothing is being done to the server, and give it."""
        waiting.until(lambda: self.server(uuid).task_state is None, f"server {uuid} is idle")
        return self.server(uuid)

    def operate(
        self, uuid: str, operation: str, request: Context | None = None
    ) -> objects.Instance:
        """Do an operation to its end, and give the server."""
        self.conductor.operate(request or context.admin(), uuid, operation)
        return self.idle(uuid)

    # ---- moves ----

    def migrate(
        self,
        uuid: str,
        host: str | None = None,
        *,
        block_migration: bool | None = None,
        policy: Mapping[str, str] | None = None,
        wait: bool = True,
        zone: str | None = None,
        request: Context | None = None,
    ) -> str:
        """Begin a live migration and give its uuid."""
        begun = self.conductor.live_migrate(
            request or context.admin(),
            uuid,
            host,
            block_migration=block_migration,
            disk_over_commit=False,
            policy=dict(policy or {}),
            wait=wait,
            zone=zone,
        )
        return str(begun.uuid)

    def relocate(
        self,
        uuid: str,
        host: str | None = None,
        flavor: str | None = None,
        *,
        auto_confirm: bool = False,
        wait: bool = True,
        zone: str | None = None,
    ) -> str:
        """Begin a cold migration, or a resize, and give its uuid."""
        begun = self.conductor.migrate_server(
            context.admin(),
            uuid,
            host,
            flavor,
            auto_confirm=auto_confirm,
            bandwidth=0,
            wait=wait,
            zone=zone,
        )
        return str(begun.uuid)

    def move(self, uuid: str) -> objects.Migration:
        """Give a move."""
        with self.database.read() as tx:
            return moves.get(tx, uuid)

    def moves(self) -> list[objects.Migration]:
        """Give every move, oldest first."""
        with self.database.read() as tx:
            return moves.find(tx)[::-1]

    def reached(self, uuid: str, *statuses: str) -> objects.Migration:
        """Wait until a move has one of the statuses, and give it."""
        waiting.until(
            lambda: self.move(uuid).status in {*statuses, *states.TERMINAL},
            f"migration {uuid} is {' or '.join(statuses)}",
        )
        move = self.move(uuid)
        assert move.status in {*statuses, *states.TERMINAL}
        return move

    def ended(self, uuid: str) -> objects.Migration:
        """Wait for a move's end, and give it."""
        return self.reached(uuid, *states.TERMINAL)

    def steps(self, uuid: str) -> list[objects.MigrationStep]:
        """Give a move's journal, without what was decided on the way: that depends on its pace."""
        with self.database.read() as tx:
            return [step for step in journal.steps(tx, uuid) if not decided(step.step)]

    def action(self, server: str, request_id: str) -> objects.InstanceAction:
        """Give what was asked of a server, with its events."""
        with self.database.read() as tx:
            return journal.action(tx, server, request_id)

    def actions(self, server: str) -> list[objects.InstanceAction]:
        """Give everything that was asked of a server."""
        with self.database.read() as tx:
            return journal.actions(tx, server)

    def held(self, consumer: str) -> dict[str, dict[str, int]]:
        """Give what a consumer holds, by host."""
        with self.database.read() as tx:
            return claims.held(tx, consumer)

    # ---- the end of a test ----

    def clear(self) -> None:
        """Take faults and marks back, and delete every server."""
        for host in self.hosts:
            self.world.host(host).faults.clear()
            for held in self.world.host(host).holds.values():
                held.go.set()
            self.mark(host, disabled=False, forced_down=False)
        left = self.servers()
        for server in left:
            self.idle(server.uuid)
            self.conductor.operate(context.admin(), server.uuid, "delete")
        waiting.until(lambda: not self.servers(), f"{len(left)} servers are deleted")
        for host in self.hosts:
            self.world.host(host).files.clear()

    def everything_held(self) -> dict[str, dict[str, int]]:
        """Give what is promised of every host; empty when there is no server."""
        with self.database.read() as tx:
            return claims.usage(tx)


def decided(step: str) -> bool:
    """Tell a decision from a step that every move takes."""
    return step.startswith("decide_")
