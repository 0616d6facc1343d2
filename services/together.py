"""All services in one process: the in-memory bus, SQLite and the simulated hypervisor.

It is how demos without root and functional tests run. Every service is the
real one with a configuration of its own; only broker and hypervisor are not.
"""

from __future__ import annotations

import contextlib
from concurrent import futures
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import clock as clocks
from common.config import load
from common.db import engine
from common.db import schema
from rpc import service
from rpc.bus import Bus
from rpc.conductor import Conductor
from services.api import main as api
from services.compute import concurrency
from services.compute import process
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world as worlds
from services.conductor import main as conductor
from services.scheduler import main as scheduler
from services.scheduler import manager as choosing

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Generator
    from collections.abc import Mapping
    from collections.abc import Sequence


CONTROLLER = "controller"


class Together(NamedTuple):
    """What runs, for whoever asks it something or plants a fault in it."""

    endpoint: str  # the API's root, without /v2.1
    world: worlds.World
    database: engine.Database
    conductor: Conductor


@contextlib.contextmanager
def running(
    folder: pathlib.Path,
    hosts: Sequence[str] = ("host1", "host2"),
    options: Mapping[str, object] | None = None,
    *,
    shared_storage: bool = False,
    each: Mapping[str, Mapping[str, object]] | None = None,
) -> Generator[Together]:
    """Run one of each service and a compute per host while the block lasts.

    `folder` takes the database and the images; `options` are those of
    common.config, "group.option" to value, for every service; `each` has more
    of them for the computes of some hosts, by name.
    """
    clock = clocks.SystemClock()
    world = worlds.World(clock, shared_storage=shared_storage)
    common = _options(folder, options or {})
    conf = load.private({**common, "host": CONTROLLER})
    database = engine.Database(conf.database.connection, conf.database.pool, clock=clock)
    schema.upgrade(database)
    with contextlib.ExitStack() as stack:
        stack.callback(database.close)
        bus = Bus(conf)
        stack.callback(bus.close)
        client = bus.client(Conductor)
        started: list[contextlib.AbstractContextManager[object]] = [
            conductor.running(conf, bus, database, clock),
            service.serving(
                conf,
                bus,
                choosing.Manager(conf, database, clock),
                binary=scheduler.BINARY,
                threads=4,
                conductor=client,
            ),
        ]
        for host in hosts:
            cache = {"host": host, "image.cache": str(folder / f"cache-{host}")}
            own = load.private({**common, **cache, **(each or {}).get(host, {})})
            made = driver.Driver(own, world)
            started.append(process.running(own, bus, made, concurrency.plain(), clock))
        stack.enter_context(_beside(started))
        url = stack.enter_context(api.running(conf, bus, database, clock))
        yield Together(url, world, database, client)


@contextlib.contextmanager
def _beside(services: list[contextlib.AbstractContextManager[object]]) -> Generator[None]:
    """Start services one after the other and stop them all at once: each takes a second."""
    for one in services:
        one.__enter__()
    try:
        yield
    finally:
        with futures.ThreadPoolExecutor(len(services)) as pool:
            list(pool.map(lambda one: one.__exit__(None, None, None), services))


def _options(folder: pathlib.Path, options: Mapping[str, object]) -> dict[str, object]:
    store = folder / "images"
    store.mkdir(parents=True, exist_ok=True)
    return {
        "transport_url": "fake://",
        "database.connection": f"sqlite:///{folder / 'whimbrel.db'}",
        "image.store": str(store),
        "compute.driver": "simulated",
        "service.heartbeat": 1,
        "api.port": 0,
        **options,
    }
