"""Guests on the fleet: created and moved by the HTTP API, several requests at once."""

import datetime
import statistics
from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
from typing import Any
from typing import NamedTuple

import requests

from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.lab import waiting

Row = dict[str, Any]
Say = Callable[[str], None]

VERSION = {"OpenStack-API-Version": "compute 2.96"}
FLAVOR = {"name": "scale", "vcpus": 1, "ram": 512, "disk": 1}
USERS = 8
WORDS = 2.0
# Seconds for one build or move, and for all that need no more.
EACH = 1.0
BEGIN = 60.0
TERMINAL = frozenset({"completed", "failed", "cancelled", "error"})


class Took(NamedTuple):
    """How long things took, in seconds, and what became of those that failed."""

    seconds: list[float]
    failures: list[str]
    wall: float

    @property
    def middle(self) -> float:
        """The median."""
        return statistics.median(self.seconds) if self.seconds else 0.0

    @property
    def slow(self) -> float:
        """What nineteen of twenty were quicker than."""
        if len(self.seconds) < 2:  # noqa: PLR2004 - quantiles need two
            return self.middle
        return statistics.quantiles(self.seconds, n=20, method="inclusive")[-1]


class Client:
    """Requests to one API."""

    def __init__(self, endpoint: str, say: Say) -> None:
        self._root = f"{endpoint}/v2.1"
        self._say = say

    def ask(self, verb: str, path: str, body: Row | None = None) -> Row:
        """One request; BadAnswer with its text when it is refused."""
        answer = requests.request(verb, self._root + path, json=body, headers=VERSION, timeout=120)
        if not answer.ok:
            raise errors.BadAnswer(f"{verb} {path}: {answer.status_code} {answer.text[:400]}")
        found: Row = answer.json() if answer.content else {}
        return found

    def register(
        self, aggregates: dict[str, dict[str, str]], members: dict[str, list[str]]
    ) -> None:
        """Make the flavor, and the aggregates with their hosts."""
        self.ask("POST", "/flavors", {"flavor": FLAVOR})
        for name, metadata in aggregates.items():
            made = self.ask("POST", "/os-aggregates", {"aggregate": {"name": name}})["aggregate"]
            act = f"/os-aggregates/{made['id']}/action"
            if metadata:
                self.ask("POST", act, {"set_metadata": {"metadata": metadata}})
            for host in members.get(name, []):
                self.ask("POST", act, {"add_host": {"host": host}})

    def create(self, count: int) -> tuple[list[str], Took]:
        """Create guests and wait until each runs or has failed; gives those that run."""
        flavor = self._id("flavors", FLAVOR["name"])
        image = self._id("images", plans.IMAGE)

        asked: dict[str, datetime.datetime] = {}

        def one(number: int) -> None:
            began = _now()
            server = {
                "name": f"guest-{number}",
                "flavorRef": flavor,
                "imageRef": image,
                "networks": "none",
            }
            asked[self.ask("POST", "/servers", {"server": server})["server"]["id"]] = began

        began = _now()
        self._at_once("guests are asked for", one, range(count))
        rows = self._settled("/servers/detail", "servers", "status", {"ACTIVE", "ERROR"}, count)
        up = [row for row in rows if row["status"] == "ACTIVE"]
        took = [
            (_time(row["OS-SRV-USG:launched_at"]) - asked[row["id"]]).total_seconds() for row in up
        ]
        failures = [_fault(row) for row in rows if row not in up]
        made = [row["id"] for row in up]
        return made, Took(took, failures, _since(began))

    def move(self, servers: list[str]) -> Took:
        """Migrate these guests to hosts of the scheduler's choice, and wait for every end."""

        def one(server: str) -> None:
            wish = {"host": None, "block_migration": "auto"}
            self.ask("POST", f"/servers/{server}/action", {"os-migrateLive": wish})

        began = _now()
        self._at_once("moves are asked for", one, servers)
        rows = self._settled("/os-migrations", "migrations", "status", TERMINAL, len(servers))
        moved = [row for row in rows if row["status"] == "completed"]
        took = [
            (_time(row["updated_at"]) - _time(row["created_at"])).total_seconds() for row in moved
        ]
        failures = [self._reason(row) for row in rows if row not in moved]
        return Took(took, failures, _since(began))

    def _at_once(self, what: str, act: Callable[[Any], Any], over: Iterable[Any]) -> None:
        todo = list(over)
        with futures.ThreadPoolExecutor(USERS) as pool:
            waits = [pool.submit(act, each) for each in todo]
            try:
                told = _now()
                for done, wait in enumerate(futures.as_completed(waits), 1):
                    wait.result()
                    if _since(told) > WORDS:
                        self._say(f"{done} of {len(todo)} {what}")
                        told = _now()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _settled(
        self, path: str, key: str, field: str, ends: Iterable[str], count: int
    ) -> list[Row]:
        """Wait until all rows have one of the ends, telling how many have."""
        ends = set(ends)
        found: list[Row] = []

        def done() -> bool:
            found[:] = self._all(path, key)
            over = sum(row[field] in ends for row in found)
            self._say(f"{over} of {count} {key} are done")
            return over >= count

        waiting.until(done, BEGIN + EACH * count, f"{count} {key}", pause=WORDS)
        return found

    def _all(self, path: str, key: str) -> list[Row]:
        """Every row, page by page."""
        rows: list[Row] = []
        marker = ""
        while True:
            page = self.ask("GET", f"{path}?limit=500{marker}")[key]
            rows += page
            if not page:
                return rows
            marker = f"&marker={page[-1].get('uuid', page[-1]['id'])}"

    def _reason(self, row: Row) -> str:
        shown = self.ask("GET", f"/os-migrations/{row['uuid']}")["migration"]
        return f"{shown['status']}: {shown['error_message']}"

    def _id(self, kind: str, name: object) -> str:
        rows = self.ask("GET", f"/{kind}")[kind]
        return next(str(row["id"]) for row in rows if row["name"] == name)


def _fault(row: Row) -> str:
    return str(row.get("fault", {}).get("message", row["status"]))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _since(began: datetime.datetime) -> float:
    return (_now() - began).total_seconds()


def _time(words: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(words).replace(tzinfo=datetime.UTC)
