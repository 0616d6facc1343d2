"""The API over a real database and a real conductor; hosts only say that their guests run."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest
import werkzeug.test

from common import clock as clocks
from common import context
from common import errors
from common import images
from common import objects
from common import policy
from common import states
from common.config import load
from common.db import engine
from common.db import moves
from common.db import schema
from common.db import servers
from rpc.bus import Bus
from rpc.compute import Compute
from rpc.scheduler import Scheduler
from services.api import app
from services.api import calls
from services.conductor.checking import Checking
from services.conductor.deps import Deps
from services.conductor.manager import Manager
from tests import factories


class Never(futures.Executor):
    """Takes work and leaves it: what the conductor would do in the background."""

    def submit(self, *_args: object, **_kwargs: object) -> futures.Future[Any]:
        return futures.Future()


class Absent(Scheduler):
    """A scheduler that is not there, and is not waited for."""

    def select_destinations(self, *_args: object) -> objects.Selection:
        """Nobody answers."""
        raise errors.NoAnswer("the scheduler did not answer")

    def explain(self, *_args: object) -> list[objects.CheckResult]:
        """Nobody answers."""
        raise errors.NoAnswer("the scheduler did not answer")

    def rank(self, *_args: object) -> list[objects.Rank]:
        """Nobody answers."""
        raise errors.NoAnswer("the scheduler did not answer")


class Hosts(Bus):
    """A bus on which every host has the guest that it is asked for, and does nothing else."""

    power: states.Power | None = states.Power.RUNNING

    def client(self, kind: Any, server: str | None = None) -> Any:
        """Answer for every compute."""
        made = super().client(kind, server)
        if kind is Compute:
            vars(made)["observe_guest"] = lambda *_: objects.GuestSeen(
                host=server, power_state=self.power
            )
        return made


class Api:
    """A client of the API, and what stands behind it."""

    def __init__(self, parts: calls.Parts, database: engine.Database, hosts: Hosts) -> None:
        self.parts = parts
        self.database = database
        self.hosts = hosts
        self.client = werkzeug.test.Client(app.make(parts))

    def ask(
        self, method: str, path: str, json: object = None, version: str = "2.1", **more: Any
    ) -> werkzeug.test.TestResponse:
        """Send a request below /v2.1, in a microversion."""
        headers = {"OpenStack-API-Version": f"compute {version}", **more.pop("headers", {})}
        return self.client.open(f"/v2.1{path}", method=method, json=json, headers=headers, **more)

    def get(self, path: str, version: str = "2.1", status: int = 200) -> Any:
        """Give the body of an answer that has the expected status."""
        response = self.ask("GET", path, version=version)
        assert status == response.status_code, response.text
        return response.json

    def post(self, path: str, body: object, version: str = "2.1", status: int = 202) -> Any:
        """Give the body of the answer to a POST."""
        response = self.ask("POST", path, body, version=version)
        assert status == response.status_code, response.text
        return response.json if response.data else None

    def refuse(
        self, method: str, path: str, body: object, status: int, version: str = "2.1"
    ) -> str:
        """Give the sentence of a refusal with the expected status."""
        response = self.ask(method, path, body, version=version)
        assert status == response.status_code, response.text
        (fault,) = (response.json or {}).values()
        assert status == fault["code"]
        return str(fault["message"])

    def server(self, **values: object) -> objects.Instance:
        """Write a server, by default an active one on host1."""
        given = {
            "vm_state": states.Vm.ACTIVE,
            "power_state": 1,
            "host": "host1",
            "project_id": "whimbrel",
            "created_at": factories.NOW,
            "launched_at": factories.NOW,
            **values,
        }
        state = given.pop("vm_state")
        with self.database.write() as tx:
            made = servers.create(tx, factories.instance(**given))
            return servers.change(tx, made.uuid, vm_state=state)

    def move(self, server: objects.Instance, **values: object) -> objects.Migration:
        """Write a move of a server."""
        given = {"instance_uuid": server.uuid, "created_at": factories.NOW, **values}
        with self.database.write() as tx:
            return moves.create(tx, factories.migration(**given))

    def host(self, name: str = "host1", **values: object) -> None:
        """Have a host report."""
        self.parts.conductor.report(
            context.admin(), factories.service(name, zone="nova"), factories.node(name, **values)
        )

    def flavor(self, **values: object) -> objects.Flavor:
        """Write a flavor."""
        return self.parts.conductor.create_flavor(context.admin(), factories.flavor(**values))

    def network(self, **values: object) -> objects.Network:
        """Write a network."""
        return self.parts.conductor.create_network(context.admin(), factories.network(**values))


@pytest.fixture(scope="session")
def empty(tmp_path_factory) -> pathlib.Path:
    """The file of a database without rows."""
    path: pathlib.Path = tmp_path_factory.mktemp("empty") / "whimbrel.db"
    database = engine.Database(f"sqlite:///{path}")
    schema.upgrade(database)
    database.close()
    return path


@pytest.fixture
def options() -> dict[str, object]:
    """The options of the API that a test overrides."""
    return {}


@pytest.fixture
def clock() -> clocks.HeldClock:
    """A clock that stands still."""
    return clocks.HeldClock()


@pytest.fixture
def api(tmp_path, empty, options, clock) -> Iterator[Api]:
    """An API whose image store has a disk, and a disk with kernel and ramdisk."""
    shutil.copy(empty, tmp_path / "whimbrel.db")
    url = f"sqlite:///{tmp_path}/whimbrel.db"
    store = tmp_path / "images"
    conf = load.private(
        {
            "transport_url": "fake://",
            "database.connection": url,
            "image.store": str(store),
            **options,
        }
    )
    fill(store, tmp_path)
    database = engine.Database(url, clock=clock)
    bus = Hosts(conf)
    conductor = Manager(Deps(conf, database, bus, Absent(), clock, Never(), "1", Checking()))
    parts = calls.Parts(
        conf, database, conductor, images.Store(str(store)), policy.Policy(conf), clock
    )
    yield Api(parts, database, bus)
    bus.close()
    database.close()


def fill(store: pathlib.Path, folder: pathlib.Path) -> None:
    """Add the images `disk`, and `direct` with its kernel."""
    file = folder / "file"
    adding = images.Directory(str(store))
    file.write_bytes(b"kernel")
    kernel = adding.add(file, name="direct-kernel", disk_format="aki")
    file.write_bytes(b"disk")
    adding.add(file, name="disk")
    adding.add(file, name="direct", properties={"kernel_id": kernel.id}, min_ram=256)
