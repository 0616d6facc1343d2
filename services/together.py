"""All services in one process: the in-memory bus, SQLite and the simulated hypervisor.

It is how demos without root and functional tests run. Every service is the
real one with a configuration of its own; only broker and hypervisor are not.
"""

from __future__ import annotations

import contextlib
import threading
from typing import NamedTuple
from typing import TYPE_CHECKING

import waitress

from common import clock as clocks
from common import images
from common import policy
from common.config import load
from common.db import engine
from common.db import schema
from rpc import service
from rpc.bus import Bus
from rpc.conductor import Conductor
from services.api import app
from services.api import calls
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

    from services.compute.virt.driver import Driver

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
) -> Generator[Together]:
    """Run one of each service and a compute per host while the block lasts.

    `folder` takes the database and the images; `options` are those of
    common.config, "group.option" to value, for every service.
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
        stack.enter_context(conductor.running(conf, bus, database, clock))
        stack.enter_context(
            service.serving(
                conf,
                bus,
                choosing.Manager(conf, database, clock),
                binary=scheduler.BINARY,
                threads=4,
                conductor=client,
            )
        )
        for host in hosts:
            own = load.private(
                {**common, "host": host, "image.cache": str(folder / f"cache-{host}")}
            )
            made: Driver = driver.Driver(own, world)
            stack.enter_context(process.running(own, bus, made, concurrency.plain(), clock))
        parts = calls.Parts(
            conf, database, client, images.Store(conf.image.store), policy.Policy(conf), clock
        )
        port = stack.enter_context(_listening(app.make(parts)))
        yield Together(f"http://127.0.0.1:{port}", world, database, client)


def _options(folder: pathlib.Path, options: Mapping[str, object]) -> dict[str, object]:
    store = folder / "images"
    store.mkdir(parents=True, exist_ok=True)
    return {
        "transport_url": "fake://",
        "database.connection": f"sqlite:///{folder / 'whimbrel.db'}",
        "image.store": str(store),
        "compute.driver": "simulated",
        "service.heartbeat": 1,
        **options,
    }


@contextlib.contextmanager
def _listening(application: app.WSGI) -> Generator[int]:
    """Serve HTTP on a free loopback port, and give its number."""
    server = waitress.create_server(application, host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.close()
        thread.join(timeout=5)
