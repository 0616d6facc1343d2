"""A live migration beside plain `virsh migrate` of the same guest between the same hosts.

Both copy the same overlay with the same flags, in turns: ours there, virsh back
and there again, ours back. So ours always finds the guest where its record says.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import threading
import time
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import requests

from deploy.lab import probe
from tests.benchmarks.figures import Figure
from tests.benchmarks.figures import ratio

if TYPE_CHECKING:
    from tests.integration import labs

INSTANCES = "/var/lib/whimbrel/instances"
TURNS = 4  # each is two moves of ours and two of virsh
TERMINAL = {"completed", "failed", "cancelled", "error"}
POLL = 0.02  # seconds
PLAIN = [
    "migrate",
    "--live",
    "--p2p",
    "--persistent",
    "--undefinesource",
    "--copy-storage-inc",
    "--migrate-disks",
    "vda",
]


class Place(NamedTuple):
    """Where a guest comes from and where it goes."""

    source: str
    destination: str


THERE = Place("host1", "host2")
BACK = Place("host2", "host1")


class Bench:
    """One lab with one guest."""

    def __init__(self, lab: labs.Lab) -> None:
        """Start the guest on the first host and wait until it ticks."""
        self._lab = lab
        self._variables = lab.env()
        self._server = self._create()
        self._address = self._ask("GET", f"/servers/{self._server}")["server"]["addresses"]
        (self._address,) = (port["addr"] for ports in self._address.values() for port in ports)
        probe.alive(self._address, 60)

    def ours(self, way: Place) -> dict[str, Any]:
        """Move by Whimbrel; gives the migration's row with `wall`, in seconds, added."""
        body = {"os-migrateLive": {"host": way.destination, "block_migration": "auto"}}
        began = time.perf_counter()
        self._ask("POST", f"/servers/{self._server}/action", body)
        query = f"/os-migrations?instance_uuid={self._server}"
        newest = self._ask("GET", query)["migrations"][0]["uuid"]
        while True:
            move: dict[str, Any] = self._ask("GET", f"/os-migrations/{newest}")["migration"]
            if move["status"] in TERMINAL:
                break
            threading.Event().wait(POLL)
        move["wall"] = time.perf_counter() - began
        if move["status"] != "completed":
            raise RuntimeError(f"the move ended as {move['status']}: {move['error_message']}")
        return move

    def plain(self, way: Place) -> float:
        """Move by virsh, its target disk made before as an operator would; gives seconds."""
        folder = f"{INSTANCES}/{self._server}"
        backing = json.loads(
            self._lab.inside(
                way.source, "qemu-img", "info", "-U", "--output", "json", f"{folder}/disk"
            )
        )
        base, size = backing["backing-filename"], str(backing["virtual-size"])
        self._lab.inside(way.destination, "mkdir", "-p", folder)
        self._lab.inside(
            way.destination,
            *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base),
            *(f"{folder}/disk", size),
        )
        peer = self._uri(way.destination)
        domain = f"whimbrel-{self._server}"
        address = peer.split("//")[1].split("/")[0]
        began = time.perf_counter()
        subprocess.run(
            ["virsh", "-q", "-c", self._uri(way.source), *PLAIN, domain, peer, f"tcp://{address}"],
            check=True,
        )
        took = time.perf_counter() - began
        self._lab.inside(way.source, "rm", "-rf", folder)
        return took

    def _uri(self, host: str) -> str:
        return self._variables[f"WHIMBREL_LAB_URI_{host.upper()}"]

    def _create(self) -> str:
        flavors = self._ask("GET", "/flavors")["flavors"]
        images = self._ask("GET", "/images")["images"]
        wanted = self._variables["WHIMBREL_LAB_IMAGE"]
        body = {
            "server": {
                "name": "bench",
                "flavorRef": next(one["id"] for one in flavors if one["name"] == "m1.tiny"),
                "imageRef": next(one["id"] for one in images if one["name"] == wanted),
                "networks": "auto",
                "host": "host1",
            }
        }
        return str(self._ask("POST", "/servers", body)["server"]["id"])

    def _ask(self, verb: str, path: str, body: object = None) -> dict[str, Any]:
        answer = requests.request(
            verb,
            f"{self._variables['WHIMBREL_ENDPOINT']}/v2.1{path}",
            json=body,
            headers={"OpenStack-API-Version": "compute 2.96"},
            timeout=120,
        )
        if not answer.ok:
            raise RuntimeError(f"{verb} {path}: {answer.text}")
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


def measure(lab: labs.Lab) -> dict[str, list[Figure]]:
    """Move a guest of the lab to and fro, and give the tables."""
    bench = Bench(lab)
    bench.ours(THERE)  # the first move of a process also connects
    bench.ours(BACK)
    moves, plain = [], []
    for _ in range(TURNS):
        moves.append(bench.ours(THERE))
        plain += [bench.plain(BACK), bench.plain(THERE)]
        moves.append(bench.ours(BACK))
    return _tables(moves, plain)


def _tables(moves: list[dict[str, Any]], plain: list[float]) -> dict[str, list[Figure]]:
    total = Figure("accepted to completed", "s", [_total(move) for move in moves])
    virsh = Figure("virsh migrate, wall", "s", plain)
    job = Figure("libvirt's own job", "s", [move["job_ms"] / 1000 for move in moves])
    calls = [_steps(move)["migrate"] / 1000 for move in moves]
    return {
        "Live migration, local disk": [
            total,
            Figure("as the client waits", "s", [move["wall"] for move in moves]),
            virsh,
            ratio("ours / virsh", total, virsh),
            job,
            Figure("overhead over the job", "s", _less(total.values, job.values)),
            Figure("overhead over migrateToURI3", "s", _less(total.values, calls)),
            Figure("libvirt's downtime", "s", [move["downtime_ms"] / 1000 for move in moves]),
        ],
        "Where the time goes, step by step": _by_step(moves),
    }


def _by_step(moves: list[dict[str, Any]]) -> list[Figure]:
    names = list(_steps(moves[0]))
    found = [Figure(name, "ms", [_steps(move)[name] for move in moves]) for name in names]
    between = [1000 * _total(move) - sum(_steps(move).values()) for move in moves]
    return [*found, Figure("between the steps: bus and database", "ms", between)]


def _steps(move: dict[str, Any]) -> dict[str, float]:
    return {
        step["step"]: 1000 * _seconds(step["started_at"], step["finished_at"])
        for step in move["steps"]
    }


def _total(move: dict[str, Any]) -> float:
    return _seconds(move["created_at"], move["finished_at"])


def _seconds(begin: str, end: str) -> float:
    begun, ended = (datetime.datetime.fromisoformat(one) for one in (begin, end))
    return (ended - begun) / datetime.timedelta(seconds=1)


def _less(these: list[float], those: list[float]) -> list[float]:
    return [one - other for one, other in zip(these, those, strict=True)]
