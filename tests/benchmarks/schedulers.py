"""Choosing hosts by scheduler processes over RabbitMQ: alone and many at once, one process and two.

What a conductor gets of it, with PostgreSQL, broker, schedulers and whoever
asks on one machine.
"""

from __future__ import annotations

import time
from concurrent import futures
from typing import TYPE_CHECKING

from common import clock as clocks
from common import context as contexts
from common import ids
from common import objects
from common.config import load
from common.db import claims
from common.db import engine
from deploy.lab import up
from deploy.scale import cluster as clusters
from deploy.scale import postgres
from deploy.scale import run
from rpc import bus as buses
from rpc import scheduler
from tests.benchmarks import rows
from tests.benchmarks import scheduling
from tests.benchmarks.figures import Figure

if TYPE_CHECKING:
    from tests.integration import labs

HOSTS = 1000
PROCESSES = (1, 2)
SETTINGS = ("service.down_after=3600", "DEFAULT.debug=false")


def measure(lab: labs.Lab) -> dict[str, list[Figure]]:
    """Time requests to one scheduler process, and to two that share a queue."""
    del lab
    figures = [figure for count in PROCESSES for figure in _measured(count)]
    return {f"Scheduling over RabbitMQ and PostgreSQL, {HOSTS} hosts, claim included": figures}


def _measured(count: int) -> list[Figure]:
    # No fleet: the hosts are rows, so that nothing but scheduling is measured.
    wish = clusters.Wish(
        run.THOUSAND, 0, parts=0, name="bench-sched", settings=SETTINGS, schedulers=count
    )
    with clusters.running(wish, up.Clock().say) as cluster:
        database = engine.Database(
            postgres.url(cluster.plan.root), pool=scheduling.BESIDE, clock=clocks.SystemClock()
        )
        rows.fill(database, HOSTS, clocks.SystemClock())
        bus = buses.Bus(load.private({"transport_url": cluster.plan.transport_url}))
        found = _asked(bus.client(scheduler.Scheduler), database, f"{count} scheduler(s)")
        bus.close()
        database.close()
    return found


def _asked(client: scheduler.Scheduler, database: engine.Database, whom: str) -> list[Figure]:
    alone = [_once(client) for _ in range(scheduling.REQUESTS + 5)][5:]
    with futures.ThreadPoolExecutor(scheduling.BESIDE) as pool:
        list(pool.map(lambda _: _once(client), range(scheduling.BESIDE * 2)))
        began = time.perf_counter()
        beside = list(pool.map(lambda _: _once(client), range(scheduling.BESIDE * 8)))
        took = time.perf_counter() - began
    with database.read() as tx:
        assert claims.usage(tx)
    return [
        Figure(f"{whom}, one at a time", "ms", alone),
        Figure(f"{whom}, {scheduling.BESIDE} at once", "ms", beside),
        Figure(f"{whom}, {scheduling.BESIDE} at once", "claims/s", [len(beside) / took]),
    ]


def _once(client: scheduler.Scheduler) -> float:
    server = ids.new()
    spec = objects.RequestSpec(
        instance_uuid=server,
        consumer=server,
        flavor=scheduling.FLAVOR,
        availability_zone="nova",
        alternates=3,
    )
    began = time.perf_counter()
    client.select_destinations(contexts.admin(), spec)
    return 1000 * (time.perf_counter() - began)
