"""The conductor over a real database; what it tells other services is written down."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest

from common import clock as clocks
from common import context
from common import objects
from common import states
from common.config import load
from common.context import Context
from common.db import claims
from common.db import engine
from common.db import hosts
from common.db import servers
from common.db import services
from rpc import compute
from services.conductor.checking import Checking
from services.conductor.deps import Deps
from services.conductor.manager import Manager
from tests import factories

OWNER = "conductor1"


class Later(futures.Executor):
    """Keeps the work until the test does it."""

    def __init__(self) -> None:
        self.work: list[Callable[[], object]] = []

    def submit(self, act: Any, /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        self.work.append(lambda: act(*args, **kwargs))
        return futures.Future()


class Everybody:
    """Bus, scheduler and every compute: notes what each is asked, and answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[tuple[str, str], Any] = {}

    def client(self, kind: Any, server: str | None = None) -> Any:
        return _Half(self, server or kind.TOPIC)

    def ask(self, whom: str, method: str, arguments: tuple[Any, ...]) -> Any:
        self.asked.append((whom, method, arguments))
        answer = self.answers.get((whom, method))
        return answer(*arguments) if callable(answer) else answer

    def told(self, method: str) -> list[tuple[str, Any]]:
        """Give whom this was said to, with the last argument."""
        return [(whom, said[-1]) for whom, name, said in self.asked if name == method]


class _Half(compute.Compute):
    """The calling half of any interface."""

    def __init__(self, everybody: Everybody, whom: str) -> None:
        self._everybody = everybody
        self._whom = whom

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        return lambda _context, *args, **_more: self._everybody.ask(self._whom, name, args)


_Half.__abstractmethods__ = frozenset()


class Stage:
    """A conductor, and the few verbs that its tests need."""

    def __init__(self, deps: Deps, everybody: Everybody, clock: clocks.HeldClock) -> None:
        self.deps = deps
        self.manager = Manager(deps)
        self.everybody = everybody
        self.clock = clock

    def host(self, name: str) -> None:
        """Have a host report now."""
        self.manager.report(context.admin(), factories.service(name), factories.node(name))

    def force_down(self, name: str) -> None:
        """Say as an operator that the host is down."""
        self._mark(name, forced_down=True)

    def lift(self, name: str) -> None:
        """Take that back."""
        self._mark(name, forced_down=False)

    def _mark(self, name: str, *, forced_down: bool) -> None:
        now = self.clock.now()
        with self.deps.database.write() as tx:
            service = services.find(tx, name, hosts.BINARY, now, 30)
            services.change(tx, service.uuid, now=now, down_after=30, forced_down=forced_down)

    def server(self, host: str | None = "host1", **values: object) -> objects.Instance:
        """Write a server, by default an active one that holds room on host1."""
        ran = {"vm_state": states.Vm.ACTIVE, "launched_at": factories.NOW}
        given = {"host": host, "run_token": "run", **ran, **values}
        with self.deps.database.write() as tx:
            made = servers.create(tx, factories.instance(**given))
            if host is not None:
                claims.claim(tx, host, made.uuid, claims.amounts(made.flavor))
        return made

    def read(self, uuid: str) -> objects.Instance:
        """Read a server, also a deleted one."""
        with self.deps.database.read() as tx:
            return servers.get(tx, uuid, deleted=True)

    @property
    def context(self) -> Context:
        """Give the one request that everything here belongs to."""
        return context.admin("req-1")

    def work(self) -> None:
        """Do what was put off to the background."""
        pool = self.deps.pool
        assert isinstance(pool, Later)
        while pool.work:
            pool.work.pop(0)()

    def fail_build(self, server: objects.Instance) -> None:
        """Report as the server's host that it cannot build it."""
        self.manager.operation_ended(
            self.context,
            server.uuid,
            str(server.host),
            "build",
            generation=server.generation,
            error_code="hypervisor_error",
            error_message="no",
            power_state=0,
        )

    def held(self, consumer: str) -> list[str]:
        """Name the hosts where it holds room."""
        with self.deps.database.read() as tx:
            return sorted(claims.held(tx, consumer))


@pytest.fixture
def stage(sqlite_tables) -> Iterator[Stage]:
    """A conductor with three hosts that are up."""
    clock = clocks.HeldClock(factories.NOW)
    conf = load.private({"host": OWNER, "transport_url": "fake://"})
    database = engine.Database(sqlite_tables, clock=clock)
    everybody = Everybody()
    scheduler = everybody.client(type("Scheduler", (), {"TOPIC": "scheduler"}))
    deps = Deps(conf, database, everybody, scheduler, clock, Later(), "1", Checking())  # type: ignore[arg-type] # fakes
    made = Stage(deps, everybody, clock)
    for name in ("host1", "host2", "host3"):
        made.host(name)
    yield made
    database.close()
