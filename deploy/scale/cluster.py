"""What a scale run measures: RabbitMQ, PostgreSQL, one or more of each service, and the fleet.

All are processes of this machine, on its loopback, started as in a lab and
ended as one: `deploy/lab/lab down --name scale` takes away what a killed run left.
"""

import contextlib
import os
import resource
import secrets
import shutil
import signal
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.lab import api
from deploy.lab import broker
from deploy.lab import down
from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.lab import processes
from deploy.lab import programs
from deploy.lab import registry
from deploy.lab import services
from deploy.lab import waiting
from deploy.lab.plan import CONTROLLER
from deploy.scale import postgres
from deploy.scale import watch

Say = Callable[[str], None]

FLEET = "whimbrel-fleet"
# No network is made; a plan wants one all the same.
LOOPBACK = "127.0.0.0/8"
IMAGE_BYTES = 1 << 20
READY = 60.0
# Connections on which the hosts of one process send; each keeps one more to listen.
SENDERS = 100
# Seconds for one host to start, and for all that need no more.
START_EACH = 0.5
START = 120.0
END = 30.0
# Nobody misses the end of these two: all that they have is thrown away.
THROWN_AWAY = ("rabbitmq", "postgres")
# Seconds between two words about hosts that start.
WORDS = 2.0
NEEDED = ("whimbrel-api", "whimbrel-conductor", "whimbrel-scheduler", FLEET, services.MANAGE)


@dataclass(frozen=True)
class Local(plans.Plan):
    """A lab without hosts and networks of its own: everything listens on the loopback."""

    @property
    def controller_address(self) -> str:
        """Where the fleet reaches the broker."""
        return broker.LOOPBACK


@dataclass(frozen=True)
class Wish:
    """What is to run."""

    topology: Path
    hosts: int
    parts: int = 1
    name: str = "scale"
    settings: tuple[str, ...] = ()
    conductors: int = 1
    schedulers: int = 1


class Cluster:
    """What runs."""

    def __init__(self, wish: Wish, plan: Local, say: Say) -> None:
        self.wish = wish
        self.plan = plan
        self.say = say

    @property
    def endpoint(self) -> str:
        """The API's root, without its version."""
        return self.plan.endpoint

    def processes(self) -> dict[str, int]:
        """The process id of everything that was started, by name."""
        found = {}
        for path in sorted((self.plan.root / "run").glob("*.json")):
            host, _, service = path.stem.rpartition("-")
            record = processes.recall(self.plan.root, host, service)
            if record is not None:
                found[service if host == CONTROLLER else host] = record.pid
        return found

    def start(self) -> None:
        """Bring everything up, and see every host up."""
        root = self.plan.root
        broker.prepare(self.plan)
        postgres.prepare(root)
        services.write_configs(self.plan)
        self.launch(CONTROLLER, "postgres", postgres.command(root))
        services.start(self.plan, CONTROLLER, "rabbitmq")
        waiting.until(lambda: postgres.answers(root), READY, f"PostgreSQL (see {root / 'logs'})")
        services.wait_ready(self.plan, CONTROLLER, "rabbitmq")
        self.say("RabbitMQ and PostgreSQL are there")
        self.manage("db", "upgrade")
        self.image()
        for service in ("conductor", "scheduler", "api"):
            services.start(self.plan, CONTROLLER, service)
        self.more("conductor", self.wish.conductors)
        self.more("scheduler", self.wish.schedulers)
        services.wait_ready(self.plan, CONTROLLER, "api")
        waiting.until(self.all_up, READY, "every conductor and scheduler up")
        self.say("conductors, schedulers and API are up")
        self.fleet()

    def more(self, service: str, count: int) -> None:
        """Start all of a service but the first, each with a name of its own."""
        for number in range(2, count + 1):
            name = f"{service}{number}"
            path = self.plan.root / "config" / f"{name}.conf"
            path.touch(mode=0o600)
            path.write_text(services.render(services.options(self.plan, name, service)))
            argv = [services.program(services.PROGRAMS[service]), "--config-file", str(path)]
            self.launch(name, service, argv)

    def all_up(self) -> bool:
        """Whether every conductor and scheduler has reported."""
        if api.down(self.endpoint, []):
            return False
        rows = api.call(self.endpoint, "GET", "/v2.1/os-services")["services"]
        up = [row for row in rows if row["state"] == "up" and row["binary"] in api.SERVICES[:2]]
        return len(up) == self.wish.conductors + self.wish.schedulers

    def fleet(self) -> None:
        """Start the fleet's processes, and return when every host has reported."""
        wish = self.wish
        for part in range(1, wish.parts + 1):
            path = self.plan.root / "config" / f"fleet{part}.conf"
            path.touch(mode=0o600)
            path.write_text(services.render(fleet_options(self.plan, wish, part)))
            argv = [services.program(FLEET), "--config-file", str(path)]
            self.launch(f"fleet{part}", "fleet", argv)
        with contextlib.closing(postgres.connect(self.plan.root)) as database:
            self.await_hosts(lambda: watch.silence(database).hosts)

    def await_hosts(self, reported: Callable[[], int]) -> None:
        """Tell now and then how many hosts have reported, until all have; TooLate otherwise."""
        wanted = self.wish.hosts
        limit = START + START_EACH * wanted
        told = [-1]

        def word() -> bool:
            self.check_fleet()
            found = reported()
            if found == wanted:
                return True
            if found != told[0]:
                self.say(f"{found} of {wanted} hosts have reported")
            told[0] = found
            return False

        waiting.until(word, limit, f"{wanted} hosts up", pause=WORDS)
        self.say(f"all {wanted} hosts have reported")

    def check_fleet(self) -> None:
        """Raise ProgramFailed if a process of the fleet has died."""
        for part in range(1, self.wish.parts + 1):
            services.check_alive(self.plan, f"fleet{part}", "fleet")

    def launch(self, host: str, service: str, argv: list[str]) -> None:
        """Start a process of ours that the lab does not know."""
        processes.start(self.plan.root, host, service, argv, dict(os.environ))

    def manage(self, *words: str) -> None:
        """Run one command of whimbrel-manage."""
        config = services.config_path(self.plan, CONTROLLER, "api")
        programs.call(services.program(services.MANAGE), "--config-file", str(config), *words)

    def image(self) -> None:
        """Register a small image: a simulated guest's disk needs no content."""
        path = self.plan.root / "image.raw"
        path.write_bytes(os.urandom(IMAGE_BYTES))
        self.manage("image", "add", "--name", plans.IMAGE, "--file", str(path))

    def end(self) -> None:
        """Tell the fleet to end, then the services; what is left after a while is taken away."""
        names = [path.stem.rpartition("-") for path in (self.plan.root / "run").glob("*.json")]
        places = [(host, service) for host, _, service in names if service not in THROWN_AWAY]
        # A host that ends makes an end of what it is telling the conductor.
        self._end([place for place in places if place[1] == "fleet"])
        self._end([place for place in places if place[1] != "fleet"])

    def _end(self, places: list[tuple[str, str]]) -> None:
        if not places:
            return
        records = [processes.recall(self.plan.root, *place) for place in places]
        self.say(f"{', '.join(sorted({service for _, service in places}))}: told to end")
        for record in records:
            if record is not None:
                processes.send(record, signal.SIGTERM)
        with contextlib.suppress(errors.TooLate):
            waiting.until(
                lambda: all(processes.state(record) != "running" for record in records),
                END,
                "their end",
            )


@contextlib.contextmanager
def running(wish: Wish, say: Say) -> Iterator[Cluster]:
    """Everything up while the block lasts; no process is left, however it ends."""
    check()
    with registry.locked(wish.name):
        planned = Local(
            wish.name,
            LOOPBACK,
            0,
            plans.Ports(0, 0, 0, 0),
            secrets.token_hex(8),
            settings=wish.settings,
        )
        remove(planned)
        shutil.rmtree(planned.root / down.KEPT, ignore_errors=True)
        plan = registry.reserve(planned)
        cluster = Cluster(wish, Local(**{**vars(plan), "database": postgres.url(plan.root)}), say)
        try:
            cluster.start()
            yield cluster
            cluster.end()
        finally:
            remove(plan)
            say(f"everything is taken away; the logs stay in {plan.root / down.KEPT}")


def check() -> None:
    """Raise NotRoot or Missing unless a run can begin; let it open as many files as may be."""
    programs.check()
    postgres.programs()
    for name in NEEDED:
        services.program(name)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def remove(plan: plans.Plan) -> None:
    """Leave no process and no file of a run but its logs."""
    processes.end_all(plan.root, set())
    down.discard(plan.root)


def fleet_options(plan: Local, wish: Wish, part: int) -> dict[str, dict[str, str]]:
    """The settings of one process of the fleet."""
    shared = plan.root / "fleet"
    shared.mkdir(exist_ok=True)
    sections = services.options(plan, f"fleet{part}", "fleet")
    sections["image"] = {**sections["image"], "cache": str(plan.root / "cache")}
    sections["fleet"] = {
        "topology": str(wish.topology.resolve()),
        "hosts": str(wish.hosts),
        "parts": str(wish.parts),
        "part": str(part),
        "folder": str(shared),
    }
    sections["oslo_messaging_rabbit"] = {"rpc_conn_pool_size": str(SENDERS)}
    return sections
