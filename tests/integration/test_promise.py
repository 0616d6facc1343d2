"""What operators have seen go wrong, run by real processes: a host that promises more than it has.

RabbitMQ, PostgreSQL, an API, two conductors, two schedulers and a fleet of
simulated hosts; users ask by HTTP, several at once, and somebody looks at the
database all the time.
"""

from __future__ import annotations

import collections
import pathlib
import random
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any
from typing import Self

import pytest
import sqlalchemy as sa

from common import clock
from common import objects
from common import states
from common.db import claims
from common.db import engine
from common.db import hosts
from common.db import moves
from common.db import servers
from common.db import tables
from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.scale import cluster as clusters
from deploy.scale import guests
from deploy.scale import postgres
from tests import waiting

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(240)]

TOPOLOGY = pathlib.Path(__file__).with_name("promise.yaml")
HOSTS = 18
NAME = "promise-test"
GB = 1024
MOST = 280 * GB
USERS = 8
TURNS = 7
BOUND = 120.0
DOWN_AFTER = 60
SETTINGS = (
    f"service.down_after={DOWN_AFTER}",
    "DEFAULT.debug=false",
    "conductor.max_inbound=20",
    "conductor.max_outbound=20",
)
FLAVORS = {"wide": (1, 40 * GB), "third": (1, 25 * GB), "slim": (1, 5 * GB)}


class Cloud:
    """The cluster as its users see it, and its database."""

    def __init__(self, cluster: clusters.Cluster) -> None:
        """Make the flavors."""
        self._api = guests.Client(cluster.endpoint, lambda _words: None)
        url = postgres.url(cluster.plan.root)
        self.database = engine.Database(url, clock=clock.SystemClock())
        for name, (cores, memory) in FLAVORS.items():
            flavor = {"id": name, "name": name, "vcpus": cores, "ram": memory, "disk": 1}
            self._api.ask("POST", "/flavors", {"flavor": flavor})
        images = self._api.ask("GET", "/images")["images"]
        self._image = next(row["id"] for row in images if row["name"] == plans.IMAGE)

    def create(self, flavor: str, zone: str, host: str | None = None) -> str:
        """Ask for a server, and give its uuid."""
        wanted = {
            "name": "vm",
            "flavorRef": flavor,
            "imageRef": self._image,
            "networks": "none",
            "availability_zone": zone,
        }
        named = wanted if host is None else {**wanted, "host": host}
        return str(self._api.ask("POST", "/servers", {"server": named})["server"]["id"])

    def boot(self, count: int, flavor: str, zone: str, host: str) -> list[str]:
        """Give servers that run on the host."""
        with futures.ThreadPoolExecutor(USERS) as pool:
            made = list(pool.map(lambda _: self.create(flavor, zone, host), range(count)))
        for uuid in made:
            server = self.idle(uuid)
            assert (states.Vm.ACTIVE, host) == (server.vm_state, server.host), server.fault_message
        return made

    def act(self, server: str, **action: object) -> None:
        """Ask for something of a server."""
        self._api.ask("POST", f"/servers/{server}/action", dict(action))

    def delete(self, server: str) -> None:
        """Ask for its end."""
        self._api.ask("DELETE", f"/servers/{server}")

    def server(self, uuid: str) -> objects.Instance:
        """Give a server, deleted ones too."""
        with self.database.read() as tx:
            return servers.get(tx, uuid, deleted=True)

    def moves(self, uuid: str) -> list[objects.Migration]:
        """Give a server's moves, newest first."""
        with self.database.read() as tx:
            return moves.find(tx, instance_uuid=uuid)

    def idle(self, uuid: str) -> objects.Instance:
        """Wait until nothing is being done to a server, and give it."""

        def quiet() -> bool:
            over = all(move.status in states.TERMINAL for move in self.moves(uuid))
            return over and self.server(uuid).task_state is None

        waiting.until(quiet, f"server {uuid} is idle", BOUND)
        return self.server(uuid)

    def clear(self) -> None:
        """Delete every server."""
        for server in self._living():
            self.idle(server.uuid)
            self.delete(server.uuid)
        waiting.until(lambda: not self._living(), "every server is deleted", BOUND)

    def check(self) -> None:
        """Hold the invariants: nobody is lost, nothing is promised that is not placed."""
        placed: dict[tuple[str, str], dict[str, int]] = {}
        for server in self._living():
            if server.vm_state == states.Vm.ERROR:
                assert "no_valid_host" == server.fault_code, server.fault_message
                continue
            assert states.Vm.ACTIVE == server.vm_state
            placed[server.uuid, str(server.host)] = claims.amounts(server.flavor)
        assert placed == self._held()
        expected = sorted(placed)
        waiting.until(lambda: expected == self._running(), "each guest runs on its host", 30)

    def over(self) -> list[str]:
        """Name what has promised more than it has."""
        with self.database.read() as tx:
            found = claims.inventory(tx)
            summed = claims.usage(tx)
        return [
            f"{host}: {kind} {amount}"
            for host, kinds in found.items()
            for kind, amount in kinds.items()
            if amount.free < 0 or summed.get(host, {}).get(kind, 0) != amount.used
        ]

    def _living(self) -> list[objects.Instance]:
        with self.database.read() as tx:
            return servers.find(tx)

    def _held(self) -> dict[tuple[str, str], dict[str, int]]:
        found: dict[tuple[str, str], dict[str, int]] = collections.defaultdict(dict)
        with self.database.read() as tx:
            for row in tx.rows(sa.select(tables.ALLOCATIONS)):
                found[row["consumer"], row["host"]][row["class"]] = row["amount"]
        return dict(found)

    def _running(self) -> list[tuple[str, str]]:
        """Give (guest, host) of everything that the hosts see running."""
        with self.database.read() as tx:
            nodes = hosts.all(tx, now=clock.SystemClock().now(), down_after=DOWN_AFTER)
        return sorted(
            (guest.uuid, node.host)
            for node in nodes
            if node.usage is not None
            for guest in node.usage.guests
        )


class Watch:
    """Looks for as long as the block lasts: what is promised of the big host, and who has too much.

    The sums beside the inventory and the claims are read in one statement each,
    so what is compared at every instant is the claims alone.
    """

    def __init__(self, database: engine.Database) -> None:
        self.most = 0
        self.looks = 0
        self.over: set[str] = set()
        self._database = database
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        with self._database.read() as tx:
            room = claims.inventory(tx)
        while not self._stop.wait(0.005):
            with self._database.read() as tx:
                promised = claims.usage(tx)
            self.looks += 1
            self.most = max(self.most, promised.get("big", {}).get(claims.MEMORY_MB, 0))
            self.over |= {
                f"{host}: {amount} of {kind} promised, {room[host][kind].capacity} are there"
                for host, kinds in promised.items()
                for kind, amount in kinds.items()
                if amount > room[host][kind].capacity
            }


@pytest.fixture(scope="module")
def running() -> Iterator[Cloud]:
    """Everything up, for all tests here."""
    wish = clusters.Wish(TOPOLOGY, HOSTS, name=NAME, settings=SETTINGS, conductors=2, schedulers=2)
    with clusters.running(wish, lambda _words: None) as cluster:
        cloud = Cloud(cluster)
        yield cloud
        cloud.database.close()


@pytest.fixture
def cloud(running) -> Iterator[Cloud]:
    """Give the cluster without servers; what must hold is looked at afterwards."""
    yield running
    try:
        running.check()
    finally:
        running.clear()
    assert [] == running.over()
    with running.database.read() as tx:
        assert {} == claims.usage(tx)


class User:
    """Asks for one thing after the other, of servers that are this user's own."""

    def __init__(self, cloud: Cloud, number: int, owned: list[str]) -> None:
        self.done: collections.Counter[str] = collections.Counter()
        self.refused: list[str] = []
        self._cloud = cloud
        self._chance = random.Random(number)
        self._owned = owned

    def work(self) -> None:
        """Take every turn: move an own server or make another, to any host or to the big one."""
        for _ in range(TURNS):
            wish = self._chance.choice(["create", "live", "live", "cold", "cold"])
            host = self._chance.choice(["big", None])
            try:
                uuid = self._begin(wish, host)
            except errors.BadAnswer as refusal:
                self.refused.append(str(refusal))
                continue
            self._end(wish, uuid)

    def _begin(self, wish: str, host: str | None) -> str:
        if wish == "create":
            return self._cloud.create(self._chance.choice(["wide", "third"]), "wide", host)
        uuid = self._chance.choice(self._owned)
        self._cloud.act(uuid, **_MOVES[wish](host))
        return uuid

    def _end(self, wish: str, uuid: str) -> None:
        server = self._cloud.idle(uuid)
        if wish == "create":
            self.done[f"create {server.vm_state}"] += 1
            self._cloud.delete(uuid) if server.host is None else self._owned.append(uuid)
            return
        move = self._cloud.moves(uuid)[0]
        self.done[f"{wish} {move.status}"] += 1
        if move.status == states.Move.FAILED:
            assert "no_valid_host" == move.error_code, move.error_message
            assert move.reasons


_MOVES: dict[str, Any] = {
    "live": lambda host: {"os-migrateLive": {"host": host, "block_migration": "auto"}},
    "cold": lambda host: {"migrate": {"host": host, "whimbrel:confirm": True}},
}


def test_no_mix_of_requests_passes_what_a_host_has(cloud):
    """300 GB, of which 20 are reserved: named or not, live or cold or new, 280 is the end."""
    there = [
        uuid for number in range(1, 5) for uuid in cloud.boot(4, "wide", "wide", f"side{number}")
    ]
    users = [User(cloud, number, there[number::USERS]) for number in range(USERS)]

    with Watch(cloud.database) as watch, futures.ThreadPoolExecutor(USERS) as pool:
        for job in [pool.submit(user.work) for user in users]:
            job.result()

    done = sum((user.done for user in users), collections.Counter())
    told = dict(done), watch.looks, watch.most, [said for user in users for said in user.refused]
    assert watch.most <= MOST, told
    assert set() == watch.over, told
    # The host was nearly full, and both kinds of moves, and servers, got there.
    assert watch.most >= MOST - 40 * GB, told
    assert done["live completed"], told
    assert done["cold confirmed"], told
    assert done["create active"], told


def test_ten_guests_migrated_at_once_find_ten_hosts(cloud):
    """Free memory falls while free processors rise: all are placed, none is in error."""
    guests = cloud.boot(10, "slim", "slope", "foot")

    with Watch(cloud.database) as watch:
        at_once(cloud, guests)
        moved = [cloud.idle(uuid) for uuid in guests]

    assert {states.Vm.ACTIVE} == {server.vm_state for server in moved}
    assert all(str(server.host).startswith("slope-") for server in moved)
    assert {"confirmed"} == {cloud.moves(uuid)[0].status for uuid in guests}
    assert set() == watch.over


def test_room_for_one_takes_one(cloud):
    """The others stay where they were, as they were, and say which host refused them and why."""
    guests = cloud.boot(10, "slim", "narrow", "crowd")

    with Watch(cloud.database) as watch:
        at_once(cloud, guests)
        after = [cloud.idle(uuid) for uuid in guests]

    stayed = [server for server in after if server.host == "crowd"]
    assert ["crowd"] * 9 + ["single"] == sorted(str(server.host) for server in after)
    assert {states.Vm.ACTIVE} == {server.vm_state for server in after}
    for server in stayed:
        move = cloud.moves(server.uuid)[0]
        assert ("failed", "no_valid_host") == (move.status, server.fault_code)
        assert "1 vCPUs, 0 free of 1" in str(move.reasons["single"])
        assert move.reasons == server.fault_reasons
    assert set() == watch.over


def at_once(cloud: Cloud, guests: list[str]) -> None:
    """Cold-migrate them, all at the same time, to hosts of the scheduler's choice."""
    line = threading.Barrier(len(guests))

    def one(uuid: str) -> None:
        line.wait()
        cloud.act(uuid, migrate={"host": None, "whimbrel:confirm": True})

    with futures.ThreadPoolExecutor(len(guests)) as pool:
        list(pool.map(one, guests))
