"""Scheduling one request over many simulated hosts, its claim included."""

from __future__ import annotations

import tempfile
import time

from common import clock as clocks
from common import context as contexts
from common import ids
from common import objects
from common.config import load
from common.db import claims
from common.db import engine
from common.db import hosts
from common.db import schema
from common.db import services
from services.scheduler.manager import Manager
from tests.benchmarks.figures import Figure

REQUESTS = 30
FLAVOR = objects.Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=128, root_gb=1)


def measure(count: int, url: str | None = None) -> Figure:
    """Time requests over `count` hosts on SQLite, or on the database of the URL."""
    clock = clocks.SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        database = engine.Database(url or f"sqlite:///{folder}/bench.db", clock=clock)
        schema.upgrade(database)
        _fill(database, count, clock)
        manager = Manager(load.private({"service.down_after": 3600}), database, clock)
        values = [_once(manager, database) for _ in range(REQUESTS + 1)]
        database.close()
    return Figure(f"one request over {count} hosts", "ms", values[1:])


def _fill(database: engine.Database, count: int, clock: clocks.Clock) -> None:
    facts = objects.HostFacts(
        architecture="x86_64", hypervisor_type="simulated", hypervisor_version=1
    )
    with database.write() as tx:
        for number in range(count):
            name = f"host{number:04}"
            service = objects.Service(
                uuid=ids.new(), host=name, binary="nova-compute", topic="compute", zone="nova"
            )
            services.report(tx, service, clock.now())
            hosts.report(
                tx,
                objects.ComputeNode(
                    uuid=ids.new(),
                    host=name,
                    facts=facts,
                    vcpus=64,
                    memory_mb=262144,
                    local_gb=4000,
                ),
            )


def _once(manager: Manager, database: engine.Database) -> float:
    server = ids.new()
    spec = objects.RequestSpec(instance_uuid=server, consumer=server, flavor=FLAVOR)
    began = time.perf_counter()
    manager.select_destinations(contexts.admin(), spec)
    took = 1000 * (time.perf_counter() - began)
    with database.write() as tx:
        claims.release(tx, server)
    return took
