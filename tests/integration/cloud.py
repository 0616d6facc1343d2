"""A lab as its user and its operator see it: the HTTP API, libvirt, the guests, the disks."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
from typing import Any
from typing import NamedTuple

import requests

from deploy.lab import probe
from tests import waiting
from tests.integration import labs

HOSTS = ("host1", "host2")
INSTANCES = "/var/lib/whimbrel/instances"
CACHE = "/var/lib/whimbrel/cache"
OLD = "2.30"  # refuses before it answers
NEW = "2.96"  # answers first
TERMINAL = {"completed", "confirmed", "reverted", "failed", "cancelled", "error"}


class Room(NamedTuple):
    """Processors, GiB of disk and MiB of memory."""

    vcpus: int
    gb: int
    mib: int


NOTHING = Room(0, 0, 0)
NAMES = (f"curlew-{number}" for number in itertools.count(1))


class Cloud:
    """One lab with Whimbrel's services."""

    def __init__(self, lab: labs.Lab) -> None:
        """Speak to the lab's API."""
        self.lab = lab
        self._variables = lab.env()

    def ask(
        self, verb: str, path: str, body: object = None, version: str = NEW
    ) -> requests.Response:
        """Send one request to the compute API, and give the answer whatever it is."""
        return requests.request(
            verb,
            f"{self._variables['WHIMBREL_ENDPOINT']}/v2.1{path}",
            json=body,
            headers={"OpenStack-API-Version": f"compute {version}"},
            timeout=120,
        )

    def get(self, path: str) -> dict[str, Any]:
        """Give the body of a GET."""
        answer = self.ask("GET", path)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def boot(
        self,
        name: str | None = None,
        host: str = "host1",
        flavor: str = "m1.tiny",
        image: str | None = None,
    ) -> Guest:
        """Create a server on a host, under a new name if none is given; wait until it ticks."""
        flavors = {one["name"]: one["id"] for one in self.get("/flavors")["flavors"]}
        images = {one["name"]: one["id"] for one in self.get("/images")["images"]}
        body = {
            "name": name or next(NAMES),
            "flavorRef": flavors[flavor],
            "imageRef": images[image or self._variables["WHIMBREL_LAB_IMAGE"]],
            "networks": "auto",
            "host": host,
        }
        answer = self.ask("POST", "/servers", {"server": body})
        assert answer.status_code == requests.codes.accepted, answer.text
        guest = Guest(self, answer.json()["server"]["id"])
        guest.wait_idle("ACTIVE")
        probe.alive(guest.address, 60)
        return guest

    def boot_all(self, count: int) -> list[Guest]:
        """Create several servers on host1 at once and wait until all their guests tick."""
        names = [next(NAMES) for _ in range(count)]
        with futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(self.boot, names))

    @contextlib.contextmanager
    def limits(self, most: int) -> Iterator[None]:
        """Let so many moves leave and enter a host at once while the block lasts."""
        before = self.get("/whimbrel/limits")["limits"]
        self.limit(max_outbound=most, max_inbound=most)
        try:
            yield
        finally:
            self.limit(**before)

    def limit(self, **limits: int) -> None:
        """Set how many moves leave and enter a host at once."""
        answer = self.ask("PUT", "/whimbrel/limits", {"limits": limits})
        assert answer.ok, answer.text

    def running(self, uuid: str) -> list[str]:
        """Name the hosts whose libvirt has the guest active."""
        return [
            host
            for host in HOSTS
            if uuid in self.lab.virsh(host, "list", "--uuid", "--state-running", "--state-paused")
        ]

    def known(self, uuid: str) -> list[str]:
        """Name the hosts whose libvirt knows the guest at all."""
        return [host for host in HOSTS if uuid in self.lab.virsh(host, "list", "--uuid", "--all")]

    def files(self, host: str, uuid: str) -> list[str]:
        """List whatever in the host's instances folder belongs to the server or a move."""
        found = self.lab.inside(host, "ls", "-A", INSTANCES).split()
        return [name for name in found if uuid in name or name.startswith(".whimbrel")]

    def console(self, host: str, uuid: str) -> str:
        """Give what the guest wrote to its console, but for its ticks."""
        path = f"{INSTANCES}/{uuid}/console.log"
        return self.lab.inside(host, "grep", "-av", "^tick ", path, check=False)

    def placed(self, host: str) -> Room:
        """Give the room of the servers that are recorded on a host."""
        rows = self.get("/servers/detail?all_tenants=1")["servers"]
        flavors = [row["flavor"] for row in rows if row["OS-EXT-SRV-ATTR:host"] == host]
        return Room(
            sum(one["vcpus"] for one in flavors),
            sum(disk(one) for one in flavors),
            sum(one["ram"] for one in flavors),
        )

    def allocations(self, host: str) -> Room:
        """Give the room that is promised on a host."""
        row = self.get(f"/whimbrel/hosts/{host}")["host"]
        memory = row["memory_mb_used"] - row["reserved_host_memory_mb"]
        return Room(row["vcpus_used"], row["local_gb_used"], memory)

    def audit(self) -> list[str]:
        """Have all hosts compared with the records, and give what was found, mended or not."""
        answer = self.ask("POST", "/whimbrel/hosts/audit", {})
        assert answer.ok, answer.text
        return [finding["sentence"] for finding in answer.json()["findings"]]


class Guest:
    """One server of a cloud."""

    def __init__(self, cloud: Cloud, uuid: str) -> None:
        """Name the server."""
        self._cloud = cloud
        self.uuid = uuid

    def show(self) -> dict[str, Any]:
        """Give the server as the API shows it."""
        found: dict[str, Any] = self._cloud.get(f"/servers/{self.uuid}")["server"]
        return found

    @property
    def host(self) -> str:
        """Give the recorded host."""
        return str(self.show()["OS-EXT-SRV-ATTR:host"])

    @property
    def address(self) -> str:
        """Give the guest's IPv4 address."""
        (ports,) = self.show()["addresses"].values()
        return str(ports[0]["addr"])

    def act(self, body: dict[str, Any], version: str = NEW) -> requests.Response:
        """Send an action, and give the answer."""
        return self._cloud.ask("POST", f"/servers/{self.uuid}/action", body, version)

    def migrate(
        self,
        host: str | None = None,
        block: object = "auto",
        version: str = NEW,
        policy: dict[str, object] | None = None,
    ) -> requests.Response:
        """Ask for a live migration, and give the answer."""
        wanted: dict[str, object] = {"host": host, "block_migration": block}
        if policy is not None:
            wanted["whimbrel:policy"] = policy
        return self.act({"os-migrateLive": wanted}, version)

    def steer(self, move: dict[str, Any], body: dict[str, Any]) -> requests.Response:
        """Send an action on a migration that goes on, and give the answer."""
        path = f"/servers/{self.uuid}/migrations/{move['id']}/action"
        return self._cloud.ask("POST", path, body)

    def abort(self, move: dict[str, Any]) -> requests.Response:
        """Ask for the end of a migration, and give the answer."""
        return self._cloud.ask("DELETE", f"/servers/{self.uuid}/migrations/{move['id']}")

    def moving(self, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the newest migration copies and has come so far, and give all of it."""

        def look() -> dict[str, Any] | None:
            move = self.move()
            assert move["status"] not in TERMINAL, move["error_message"]
            return move if move["progress"] and reached(move["progress"]) else None

        found = waiting.until(look, "the migration comes so far", 120)
        assert found is not None
        return found

    def move(self) -> dict[str, Any]:
        """Give all of the newest migration, as it is now."""
        path = f"/os-migrations/{self.moves()[0]['uuid']}"
        found: dict[str, Any] = self._cloud.get(path)["migration"]
        return found

    def moves(self) -> list[dict[str, Any]]:
        """Give the server's migrations, newest first."""
        found: list[dict[str, Any]] = self._cloud.get(f"/os-migrations?instance_uuid={self.uuid}")[
            "migrations"
        ]
        return found

    def moved(self, seconds: float = 60, *, until: str = "") -> dict[str, Any]:
        """Wait for the end of the newest migration, or a status, and give all of it."""

        def ended() -> dict[str, Any] | None:
            move = self.move()
            return move if move["status"] in TERMINAL | {until} else None

        found = waiting.until(ended, "the migration ends", seconds)
        assert found is not None
        return found

    def wait_idle(self, status: str) -> None:
        """Wait until nothing is being done to the server and it has the status."""

        def idle() -> bool:
            found = self.show()
            assert status == "ERROR" or found["status"] != "ERROR", found.get("fault")
            return found["OS-EXT-STS:task_state"] is None and found["status"] == status

        waiting.until(idle, f"server {self.uuid} is {status}", 90)

    def delete(self) -> None:
        """Delete the server, once its host is there to be told, and wait until it is gone."""
        path = f"/servers/{self.uuid}"

        def taken() -> bool:
            answer = self._cloud.ask("DELETE", path)
            away = answer.status_code == requests.codes.conflict and "is down" in answer.text
            assert answer.ok or away or answer.status_code == requests.codes.not_found, answer.text
            return not away

        waiting.until(taken, f"the host of server {self.uuid} is back", 60)
        waiting.until(
            lambda: self._cloud.ask("GET", path).status_code == requests.codes.not_found,
            f"server {self.uuid} is gone",
            60,
        )


def disk(flavor: dict[str, Any]) -> int:
    """Give the GiB that a server of a flavor is promised, swap in whole GiB too."""
    return int(flavor["disk"] + flavor["ephemeral"] + -(-flavor["swap"] // 1024))


def decisions(move: dict[str, Any]) -> list[str]:
    """Name what was decided about a migration, in order."""
    return [decision["action"] for decision in move["decisions"]]
