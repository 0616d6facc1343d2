"""A cluster as rows: hosts with servers, claims, aggregates and disks, each a little other."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import ids
from common import objects
from common import states
from common.db import claims
from common.db import hosts
from common.db import tables

if TYPE_CHECKING:
    from common import clock as clocks
    from common.db import engine

# What a host has in all; ten servers in the mean take about half of its memory.
ROOM = {claims.VCPU: 64, claims.MEMORY_MB: 262144, claims.DISK_GB: 4000}
MOST = 21  # servers of a host, from none to one less
RACK = 40  # hosts of one
GOLD = 100  # of so many hosts one is
OUTGROWN = 50  # of so many hosts the disks of one may outgrow it
FLAVORS = tuple(
    objects.Flavor(id=str(size), name=f"m1.{size}", vcpus=size, memory_mb=6144 * size, root_gb=40)
    for size in (1, 2, 4)
)
# Rows in one statement.
AT_ONCE = 1000

Row = dict[str, Any]


class Host(NamedTuple):
    """One host and the flavors of its servers."""

    number: int
    servers: tuple[objects.Flavor, ...]

    @property
    def name(self) -> str:
        """Give its name."""
        return f"host{self.number:05}"

    @property
    def used(self) -> dict[str, int]:
        """Give what its servers hold."""
        amounts = [claims.amounts(flavor) for flavor in self.servers]
        return {kind: sum(each[kind] for each in amounts) for kind in ROOM}


def fill(database: engine.Database, count: int, clock: clocks.Clock) -> None:
    """Write so many hosts with all that belongs to them."""
    facts = objects.HostFacts(
        architecture="x86_64",
        hypervisor_type="QEMU",
        hypervisor_version=7002000,
        cpu="<cpu>" + "<feature policy='require' name='avx512'/>" * 60 + "</cpu>",
    )
    made = [_host(number) for number in range(count)]
    for table, rows in (
        (tables.COMPUTE_NODES, [_node(host, facts) for host in made]),
        (tables.SERVICES, [_service(host, clock) for host in made]),
        (tables.INVENTORY, [row for host in made for row in _inventory(host)]),
        (tables.AGGREGATES, [_aggregate(number, clock) for number in range(count // RACK + 2)]),
        (tables.AGGREGATE_HOSTS, [row for host in made for row in _member(host)]),
    ):
        _write(database, table, rows)
    for host in made:
        servers = [_server(host, flavor, clock) for flavor in host.servers]
        _write(database, tables.SERVERS, servers)
        held = [row for server in servers for row in _claim(server)]
        _write(database, tables.ALLOCATIONS, held)
    with database.write() as tx:
        tx.run(sa.text("ANALYZE"))


def _write(database: engine.Database, table: sa.Table, rows: list[Row]) -> None:
    with database.write() as tx:
        for start in range(0, len(rows), AT_ONCE):
            tx.run(sa.insert(table), rows[start : start + AT_ONCE])


def _host(number: int) -> Host:
    servers = number * 7919 % MOST
    return Host(number, tuple(FLAVORS[(number + at) % len(FLAVORS)] for at in range(servers)))


def _node(host: Host, facts: objects.HostFacts) -> Row:
    free = ROOM[claims.DISK_GB] - host.used[claims.DISK_GB]
    return {
        "uuid": ids.new(),
        "host": host.name,
        "facts": facts,
        "address": "",
        "availability_zone": "nova",
        "running_vms": len(host.servers),
        "disk_available_least": -5 if host.number % OUTGROWN == 1 else free,
        "storage": ids.new(),
    }


def _service(host: Host, clock: clocks.Clock) -> Row:
    return {
        "uuid": ids.new(),
        "host": host.name,
        "binary": hosts.BINARY,
        "topic": "compute",
        "zone": "nova",
        "disabled": False,
        "forced_down": False,
        "report_count": 1,
        "last_seen": clock.now(),
    }


def _inventory(host: Host) -> list[Row]:
    return [
        {
            "host": host.name,
            "class": kind,
            "total": total,
            "reserved": 0,
            "ratio": 4.0 if kind == claims.VCPU else 1.0,
            "used": host.used[kind],
        }
        for kind, total in ROOM.items()
    ]


def _aggregate(number: int, clock: clocks.Clock) -> Row:
    """Give a rack, or first of all the better hosts."""
    name, told = (f"rack{number}", {"rack": str(number)}) if number else ("gold", {"tier": "gold"})
    return {
        "id": number + 1,
        "uuid": ids.new(),
        "name": name,
        "metadata": told,
        "created_at": clock.now(),
    }


def _member(host: Host) -> list[Row]:
    numbers = [host.number // RACK + 2, *([1] if host.number % GOLD == 0 else [])]
    return [{"aggregate_id": number, "host": host.name} for number in numbers]


def _server(host: Host, flavor: objects.Flavor, clock: clocks.Clock) -> Row:
    return {
        "uuid": ids.new(),
        "name": "vm",
        "hostname": "vm",
        "project_id": "bench",
        "user_id": "bench",
        "host": host.name,
        "availability_zone": "nova",
        "pinned_zone": "nova",
        "vm_state": states.Vm.ACTIVE,
        "power_state": int(states.Power.RUNNING),
        "generation": 1,
        "run_token": ids.new(),
        "flavor": flavor,
        "flavor_id": flavor.id,
        "flavor_name": flavor.name,
        "metadata": {},
        "progress": 0,
        "created_at": clock.now(),
        "launched_at": clock.now(),
    }


def _claim(server: Row) -> list[Row]:
    return [
        {"consumer": server["uuid"], "host": server["host"], "class": kind, "amount": amount}
        for kind, amount in claims.amounts(server["flavor"]).items()
    ]
