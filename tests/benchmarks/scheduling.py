"""Scheduling with its claim over many hosts: one request at a time, and many at once."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures

from common import clock as clocks
from common import context as contexts
from common import errors
from common import ids
from common import objects
from common.config import load
from common.db import claims
from common.db import engine
from common.db import schema
from services.scheduler.manager import Manager
from tests import databases
from tests.benchmarks import rows
from tests.benchmarks.figures import Figure

COUNTS = (100, 1000, 10000)
REQUESTS = 60
BESIDE = 32
# Of so many hosts a request that none or few can take is measured, too.
RARELY = 1000
FLAVOR = objects.Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=128, root_gb=1)
# Fits no host: each has its reasons.
HUGE = FLAVOR.replace(memory_mb=1 << 20)
# Fits one host in a hundred, and only the filters can tell which.
RARE = FLAVOR.replace(extra_specs={"aggregate_instance_extra_specs:tier": "gold"})

Tables = dict[str, list[Figure]]


def measure(counts: Sequence[int] = COUNTS, requests: int = REQUESTS) -> Tables:
    """Time requests on SQLite and on a PostgreSQL server of its own."""
    found: Tables = {}
    for name, made in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        figures: list[Figure] = []
        for count in counts:
            with made() as url:
                figures += _measure(count, url, requests)
        found[f"Scheduling on {name}, claim included"] = figures
    return found


def _measure(count: int, url: str, requests: int) -> list[Figure]:
    clock = clocks.SystemClock()
    database = engine.Database(url, pool=BESIDE + 1, timeout=60, clock=clock)
    schema.upgrade(database)
    rows.fill(database, count, clock)
    manager = Manager(load.private({"service.down_after": 3600}), database, clock)
    for _ in range(5):
        _once(manager, database)
    name = f"{count} hosts"
    figures = [*_alone(manager, database, name, requests), *_beside(manager, database, name)]
    if count <= RARELY:
        for what, flavor in (
            (f"{name}, one in a hundred fits", RARE),
            (f"{name}, none fits", HUGE),
        ):
            took = [_once(manager, database, flavor) for _ in range(requests)]
            figures.append(Figure(what, "ms", took))
    database.close()
    return figures


def _alone(manager: Manager, database: engine.Database, name: str, requests: int) -> list[Figure]:
    """Measure one request after the other; CPU is the scheduler's, without PostgreSQL's."""
    began, used = time.perf_counter(), time.process_time()
    took = [_once(manager, database) for _ in range(requests)]
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    return [
        Figure(f"{name}, one at a time", "ms", took),
        Figure(f"{name}, one at a time", "claims/s", [len(took) / seconds]),
        Figure(f"{name}, CPU of a claim and its end", "ms", [1000 * cpu / len(took)]),
    ]


def _beside(manager: Manager, database: engine.Database, name: str) -> list[Figure]:
    """Measure many requests at once."""
    with futures.ThreadPoolExecutor(BESIDE) as pool:
        line = threading.Barrier(BESIDE)
        began = time.perf_counter()
        took = list(pool.map(lambda _: _in_line(line, manager, database), range(BESIDE * 4)))
        seconds = time.perf_counter() - began
    return [
        Figure(f"{name}, {BESIDE} at once", "ms", took),
        Figure(f"{name}, {BESIDE} at once", "claims/s", [len(took) / seconds]),
    ]


def _in_line(line: threading.Barrier, manager: Manager, database: engine.Database) -> float:
    line.wait()
    return _once(manager, database)


def _once(manager: Manager, database: engine.Database, flavor: objects.Flavor = FLAVOR) -> float:
    server = ids.new()
    spec = objects.RequestSpec(
        instance_uuid=server, consumer=server, flavor=flavor, availability_zone="nova", alternates=3
    )
    began = time.perf_counter()
    with contextlib.suppress(errors.NoValidHost):
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
