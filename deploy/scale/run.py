"""One scale run: everything up, a while of heartbeats, guests, moves, and what it cost."""

import datetime
import json
import os
import platform
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from deploy.lab import errors
from deploy.scale import cluster as clusters
from deploy.scale import guests
from deploy.scale import postgres
from deploy.scale import vigil as vigils
from deploy.scale import watch
from services.compute.fleet import topology as topologies

Say = Callable[[str], None]

HERE = Path(__file__).parent
THOUSAND = HERE / "thousand.yaml"
FOLDER = Path(".cache/scale")
HEARTBEAT = 10
DOWN_AFTER = 30
WORDS = 10.0
MIB = 1 << 20


@dataclass(frozen=True)
class Order:
    """What is to be run and measured."""

    topology: Path = THOUSAND
    hosts: int = 0  # 0: as many as the topology says
    parts: int = 1
    seconds: float = 60.0
    moves: int = 100
    name: str = "scale"
    settings: tuple[str, ...] = ()
    conductors: int = 1
    schedulers: int = 1


@dataclass
class Span:
    """What went on between two sights."""

    seconds: float
    received: int
    delivered: int
    commits: int
    rows: int
    cpu: dict[str, float]  # name: percent of one core
    memory: dict[str, float]  # name: MiB at the end
    connections: int
    queues: int


@dataclass
class Result:
    """What a run has shown."""

    hosts: int
    parts: int
    heartbeat: int
    starting: float  # seconds until every host had reported
    quiet: Span
    silence: float  # seconds of the most silent host, while at rest
    silence_all: float  # and in the whole run
    down: int  # hosts that were down at once, at most, in the whole run
    looks: int
    reports: int = 0  # heartbeats that were heard in the whole run
    missed: int = 0  # and that were not, though due
    missing: int = 0  # hosts that have missed any
    builds: guests.Took | None = None
    moves: guests.Took | None = None
    busy: Span | None = None
    machine: dict[str, object] = field(default_factory=dict)

    @property
    def messages(self) -> float:
        """Messages per second and host that clients sent to the broker, at rest."""
        return self.quiet.received / self.quiet.seconds / self.hosts


def measure(order: Order, say: Say) -> Result:
    """Run an order; whatever happens, nothing is left running."""
    found = topologies.read(str(order.topology))
    topology = topologies.resized(found, order.hosts or found.size)
    settings = (
        f"service.heartbeat={HEARTBEAT}",
        f"service.down_after={DOWN_AFTER}",
        "DEFAULT.debug=false",
        *order.settings,
    )
    wish = clusters.Wish(
        order.topology,
        topology.size,
        order.parts,
        order.name,
        settings,
        order.conductors,
        order.schedulers,
    )
    say(f"{topology.size} hosts of {topology.name} in {order.parts} process(es)")
    began = time.monotonic()
    with clusters.running(wish, say) as cluster:
        started = time.monotonic() - began
        with vigils.looking(cluster.plan.root, DOWN_AFTER, HEARTBEAT) as vigil:
            result = _rest(cluster, vigil, order, started, say)
            _work(cluster, topology, order, result, say)
            cluster.check_fleet()
        result.silence_all, result.down = vigil.silence, vigil.down
        result.looks, result.reports = vigil.looks, vigil.beats.heard
        result.missed, result.missing = vigil.beats.missed, vigil.beats.hosts
    return result


def _rest(
    cluster: clusters.Cluster, vigil: vigils.Vigil, order: Order, started: float, say: Say
) -> Result:
    """Measure hosts that do nothing but report."""
    # The first heartbeats come at random moments; measure when all have their beat.
    _pass(HEARTBEAT, "until every host has its own beat", say)
    quiet = _span(cluster, lambda: _pass(order.seconds, "of heartbeats to go", say))
    return Result(
        hosts=cluster.wish.hosts,
        parts=order.parts,
        heartbeat=HEARTBEAT,
        starting=started,
        quiet=quiet,
        silence=vigil.silence,
        silence_all=0.0,
        down=0,
        looks=0,
        machine={
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
    )


def _work(
    cluster: clusters.Cluster,
    topology: topologies.Topology,
    order: Order,
    result: Result,
    say: Say,
) -> None:
    """Create as many guests as are to be moved, move them, and measure both."""
    if not order.moves:
        return
    client = guests.Client(cluster.endpoint, say)
    members: dict[str, list[str]] = {}
    for host in topology.members():
        for aggregate in host.aggregates:
            members.setdefault(aggregate, []).append(host.name)
    client.register(topology.aggregates, members)
    say(f"the flavor and {len(topology.aggregates)} aggregates are registered")

    def act() -> None:
        servers, result.builds = client.create(order.moves)
        say(f"{len(servers)} guests run")
        result.moves = client.move(servers)
        say(f"{len(result.moves.seconds)} guests have moved")

    result.busy = _span(cluster, act)


def _span(cluster: clusters.Cluster, act: Callable[[], None]) -> Span:
    pids = cluster.processes()
    with closing(postgres.connect(cluster.plan.root)) as database:
        first = watch.sight(cluster.plan, database, pids)
        act()
        last = watch.sight(cluster.plan, database, pids)
    seconds = last.at - first.at
    return Span(
        seconds=seconds,
        received=last.received - first.received,
        delivered=last.delivered - first.delivered,
        commits=last.commits - first.commits,
        rows=last.rows - first.rows,
        cpu={name: 100 * (last.uses[name].cpu - first.uses[name].cpu) / seconds for name in pids},
        memory={name: last.uses[name].memory / MIB for name in pids},
        connections=last.connections,
        queues=last.queues,
    )


def _pass(seconds: float, what: str, say: Say) -> None:
    """Let time go by, and say how much is left."""
    for left in _left(seconds):
        say(f"{left:.0f} s {what}")


def _left(seconds: float) -> Iterator[float]:
    bell = threading.Event()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        yield left
        bell.wait(min(left, WORDS))


def save(result: Result) -> Path:
    """Keep the figures as JSON under .cache/scale."""
    now = datetime.datetime.now(datetime.UTC)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{now:%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps({"when": now.isoformat(), **asdict(result)}, indent=1) + "\n")
    return path


def check(order: Order) -> None:
    """Raise Unknown if an order cannot be run."""
    fewest = min(order.parts, order.conductors, order.schedulers)
    if fewest < 1 or order.seconds <= 0 or order.moves < 0:
        raise errors.Unknown(
            "a run needs at least one process of each, some seconds, and no less than no move",
            "see: python -m deploy.scale --help",
        )
