"""Scheduling with its claim over many hosts: one request at a time, and many at once."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import sqlalchemy as sa

from common import clock as clocks
from common import context as contexts
from common import ids
from common import objects
from common.config import load
from common.db import claims
from common.db import engine
from common.db import hosts
from common.db import schema
from common.db import tables
from services.scheduler.manager import Manager
from tests import databases
from tests.benchmarks.figures import Figure

COUNTS = (100, 1000, 10000)
REQUESTS = 60
BESIDE = 32
FLAVOR = objects.Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=128, root_gb=1)
# What a host has in all; what is promised of it differs from host to host.
ROOM = {claims.VCPU: 64, claims.MEMORY_MB: 262144, claims.DISK_GB: 4000}

Tables = dict[str, list[Figure]]


def measure() -> Tables:
    """Time requests on SQLite and on a PostgreSQL server of its own."""
    found: Tables = {}
    for name, made in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        figures: list[Figure] = []
        for count in COUNTS:
            with made() as url:
                figures += _measure(count, url)
        found[f"Scheduling on {name}, claim included"] = figures
    return found


def _measure(count: int, url: str) -> list[Figure]:
    clock = clocks.SystemClock()
    database = engine.Database(url, pool=BESIDE + 1, timeout=60, clock=clock)
    schema.upgrade(database)
    fill(database, count, clock)
    manager = Manager(load.private({"service.down_after": 3600}), database, clock)
    for _ in range(5):
        _once(manager, database)
    began = time.perf_counter()
    alone = [_once(manager, database) for _ in range(REQUESTS)]
    apart = time.perf_counter() - began
    with futures.ThreadPoolExecutor(BESIDE) as pool:
        line = threading.Barrier(BESIDE)
        began = time.perf_counter()
        beside = list(pool.map(lambda _: _in_line(line, manager, database), range(BESIDE * 4)))
        took = time.perf_counter() - began
    database.close()
    return [
        Figure(f"{count} hosts, one at a time", "ms", alone),
        Figure(f"{count} hosts, one at a time", "claims/s", [len(alone) / apart]),
        Figure(f"{count} hosts, {BESIDE} at once", "ms", beside),
        Figure(f"{count} hosts, {BESIDE} at once", "claims/s", [len(beside) / took]),
    ]


def _in_line(line: threading.Barrier, manager: Manager, database: engine.Database) -> float:
    line.wait()
    return _once(manager, database)


def _once(manager: Manager, database: engine.Database) -> float:
    server = ids.new()
    spec = objects.RequestSpec(
        instance_uuid=server, consumer=server, flavor=FLAVOR, availability_zone="nova", alternates=3
    )
    began = time.perf_counter()
    manager.select_destinations(contexts.admin(), spec)
    took = 1000 * (time.perf_counter() - began)
    with database.write() as tx:
        claims.release(tx, server)
    return took


@contextlib.contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.db"


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    programs = databases.programs()
    if programs is None:
        raise RuntimeError("no PostgreSQL server is installed; run make setup as root")
    with tempfile.TemporaryDirectory(prefix="whimbrel-pg-") as folder:
        home = pathlib.Path(folder)
        shutil.chown(home, "postgres", "postgres")
        with databases.server(programs, home):
            yield f"postgresql+psycopg://postgres@/postgres?host={home}"


def fill(database: engine.Database, count: int, clock: clocks.Clock) -> None:
    """Write hosts that have promised something already, each another amount."""
    facts = objects.HostFacts(
        architecture="x86_64",
        hypervisor_type="QEMU",
        hypervisor_version=7002000,
        cpu="<cpu>" + "<feature policy='require' name='avx512'/>" * 60 + "</cpu>",
    )
    names = [f"host{number:05}" for number in range(count)]
    with database.write() as tx:
        for table, rows in (
            (tables.COMPUTE_NODES, [_node(name, facts) for name in names]),
            (tables.SERVICES, [_service(name, clock) for name in names]),
            (tables.INVENTORY, [row for at, name in enumerate(names) for row in _room(at, name)]),
        ):
            for start in range(0, len(rows), 500):
                tx.run(sa.insert(table).values(rows[start : start + 500]))
    with database.write() as tx:
        tx.run(sa.text("ANALYZE"))


def _node(name: str, facts: objects.HostFacts) -> dict[str, object]:
    return {
        "uuid": ids.new(),
        "host": name,
        "facts": facts,
        "address": "",
        "availability_zone": "nova",
        "running_vms": 0,
    }


def _service(name: str, clock: clocks.Clock) -> dict[str, object]:
    return {
        "uuid": ids.new(),
        "host": name,
        "binary": hosts.BINARY,
        "topic": "compute",
        "zone": "nova",
        "disabled": False,
        "forced_down": False,
        "report_count": 1,
        "last_seen": clock.now(),
    }


def _room(number: int, name: str) -> list[dict[str, object]]:
    return [
        {
            "host": name,
            "class": kind,
            "total": total,
            "reserved": 0,
            "ratio": 1.0,
            "used": number * 7919 % total // 2,
        }
        for kind, total in ROOM.items()
    ]
