"""The two ways to move a lab's guests: by Whimbrel, and by virsh on the same terms.

They take turns: ours there, virsh back and there again, ours back. So Whimbrel
always finds a guest where its record says, and noise of the machine hits both.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import re
import subprocess
import threading
import time
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from deploy.lab import probe
from tests.benchmarks.figures import Figure
from tests.integration import cloud as clouds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from tests.integration import labs

PATIENCE = 120  # seconds for one move
POLL = 0.25  # seconds between two looks at a move; its row says when it ended
DOWNTIME = re.compile(r"Total downtime:\s+(\d+)")

# What our moves always ask of libvirt: services/compute/virt/libvirt/terms.py.
ALWAYS = (
    *("--live", "--p2p", "--persistent", "--undefinesource", "--abort-on-error"),
    *("--copy-storage-inc", "--migrate-disks", "vda"),
)
# The default policy, `balanced`: its flags, and the first downtime that it allows.
BALANCED = (
    *("--auto-converge", "--auto-converge-initial", "20", "--auto-converge-increment", "10"),
    "--postcopy",
)
FIRST_DOWNTIME = 100  # ms


class Way(NamedTuple):
    """Where guests come from and where they go."""

    source: str
    destination: str


THERE = Way("host1", "host2")
BACK = Way("host2", "host1")


class Terms(NamedTuple):
    """How a guest is moved: in the words of a request, and in those of virsh."""

    policy: dict[str, object]
    words: tuple[str, ...]


PLAIN = Terms({}, BALANCED)


class Moved(NamedTuple):
    """What one move took, by whom ever: seconds, milliseconds by libvirt and by the guest."""

    seconds: float
    downtime: float
    silence: float


class Ours(NamedTuple):
    """One of our moves: what it took, and its row."""

    moved: Moved
    row: dict[str, Any]


class Ground:
    """A lab with guests to move."""

    def __init__(self, lab: labs.Lab) -> None:
        """Speak to a lab that runs."""
        self.cloud = clouds.Cloud(lab)
        self._lab = lab
        self._variables = lab.env()

    @contextlib.contextmanager
    def guests(self, name: str, count: int = 1) -> Iterator[list[clouds.Guest]]:
        """Have guests that tick on the first host, while the block lasts."""
        booted: list[clouds.Guest] = []
        try:
            booted.extend(self.cloud.boot(f"{name}-{number}") for number in range(count))
            yield booted
        finally:
            for guest in booted:
                guest.delete()

    def ours(self, guest: clouds.Guest, way: Way, terms: Terms = PLAIN) -> Ours:
        """Move one guest by Whimbrel."""
        with probe.Prober(guest.address) as prober:
            answer = guest.migrate(way.destination, policy=terms.policy or None)
            if not answer.ok:
                raise RuntimeError(answer.text)
            row = ended(guest)
        silence = prober.report().longest_gap_ms
        return Ours(Moved(total(row), row["downtime_ms"] or 0.0, silence), row)

    def plain(self, guest: clouds.Guest, way: Way, terms: Terms = PLAIN) -> Moved:
        """Move one guest by virsh."""
        self.furnish([guest], way)
        with probe.Prober(guest.address) as prober:
            seconds = self.virsh(guest.uuid, way, terms)
        told = self._lab.virsh(way.destination, "domjobinfo", "--completed", domain(guest.uuid))
        self.clear([guest], way)
        found = DOWNTIME.search(told)
        return Moved(seconds, float(found[1]) if found else 0.0, prober.report().longest_gap_ms)

    def virsh(self, uuid: str, way: Way, terms: Terms = PLAIN) -> float:
        """Run virsh alone, its target disk made before; gives seconds."""
        source, peer = self._uri(way.source), self._uri(way.destination)
        address = peer.split("//")[1].split("/")[0]
        name = domain(uuid)
        allowed = ["virsh", "-q", "-c", source, "migrate-setmaxdowntime", name]
        subprocess.run([*allowed, str(FIRST_DOWNTIME)], check=True)
        words = [*ALWAYS, *terms.words, name, peer, f"tcp://{address}"]
        began = time.perf_counter()
        subprocess.run(["virsh", "-q", "-c", source, "migrate", *words], check=True)
        return time.perf_counter() - began

    def furnish(self, guests: Sequence[clouds.Guest], way: Way) -> None:
        """Make the target disks that virsh wants, as an operator would; the guests are alike."""
        disk = f"{clouds.INSTANCES}/{guests[0].uuid}/disk"
        told = self._lab.inside(way.source, "qemu-img", "info", "-U", "--output", "json", disk)
        base = json.loads(told)
        backing, size = base["backing-filename"], base["virtual-size"]
        script = " && ".join(
            f"mkdir -p {folder} && qemu-img create -q -f qcow2 -F qcow2 -b {backing}"
            f" {folder}/disk {size}"
            for folder in folders(guests)
        )
        self._lab.inside(way.destination, "sh", "-c", script)

    def clear(self, guests: Sequence[clouds.Guest], way: Way) -> None:
        """Remove what virsh leaves at the source."""
        self._lab.inside(way.source, "rm", "-rf", *folders(guests))

    def _uri(self, host: str) -> str:
        return self._variables[f"WHIMBREL_LAB_URI_{host.upper()}"]


class Turns(NamedTuple):
    """What was measured in turns: the same number of ours and of virsh's."""

    ours: list[Ours]
    plain: list[Moved]


def in_turns(ground: Ground, guest: clouds.Guest, terms: Terms, turns: int) -> Turns:
    """Move a guest to and fro; each turn is two moves of ours and two of virsh."""
    found = Turns([], [])
    for _ in range(turns):
        found.ours.append(ground.ours(guest, THERE, terms))
        found.plain.extend(ground.plain(guest, way, terms) for way in (BACK, THERE))
        found.ours.append(ground.ours(guest, BACK, terms))
    return found


def ended(guest: clouds.Guest, well: str = "completed") -> dict[str, Any]:
    """Wait for the end of the guest's newest move, which must be a good one."""
    row = _settled(guest)
    if row["status"] != well:
        raise RuntimeError(f"the move ended as {row['status']}: {row['error_message']}")
    return row


def _settled(guest: clouds.Guest) -> dict[str, Any]:
    """Look now and then: the machine is to move the guest, not to answer us."""
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        row = guest.move()
        if row["status"] in clouds.TERMINAL:
            return row
        pause.wait(POLL)
    raise RuntimeError(f"the move of {guest.uuid} has not ended within {PATIENCE} s")


def domain(uuid: str) -> str:
    """Give the name by which libvirt knows a server."""
    return f"whimbrel-{uuid}"


def folders(guests: Sequence[clouds.Guest]) -> list[str]:
    """Give the folders of the guests' disks."""
    return [f"{clouds.INSTANCES}/{guest.uuid}" for guest in guests]


def by_step(rows: list[dict[str, Any]]) -> list[Figure]:
    """Give the time of each step of the journal, and what is left between them."""
    names = list(dict.fromkeys(itertools.chain.from_iterable(steps(row) for row in rows)))
    found = [Figure(name, "ms", [steps(row).get(name, 0.0) for row in rows]) for name in names]
    between = [1000 * total(row) - sum(steps(row).values()) for row in rows]
    return [*found, Figure("between the steps: bus, database, queue", "ms", between)]


def steps(row: dict[str, Any]) -> dict[str, float]:
    """Give the milliseconds of a move's steps, its decisions left out."""
    return {
        step["step"]: 1000 * seconds(step["started_at"], step["finished_at"])
        for step in row["steps"]
        if not step["step"].startswith("decide_")
    }


def total(row: dict[str, Any]) -> float:
    """Give the seconds from accepted to completed."""
    return seconds(row["created_at"], row["finished_at"])


def seconds(begin: str, end: str) -> float:
    """Give the time between two stamps."""
    begun, ended_at = (datetime.datetime.fromisoformat(one) for one in (begin, end))
    return (ended_at - begun) / datetime.timedelta(seconds=1)
