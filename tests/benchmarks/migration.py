"""One guest's live migration beside `virsh migrate` on the same terms: idle, and busy."""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

from deploy.lab import probe
from tests.benchmarks import ground as grounds
from tests.benchmarks.figures import Figure
from tests.benchmarks.figures import ratio

if TYPE_CHECKING:
    from tests.integration import cloud as clouds
    from tests.integration import labs

    Tables = dict[str, list[Figure]]

IDLE_TURNS = 4
BUSY_TURNS = 4  # two moves of each kind in a turn: one that the machine disturbs does not rule


class Busy(NamedTuple):
    """A guest that writes so many MiB a second, and how it is moved; both ways stop alike."""

    title: str
    dirty: int
    turns: int
    terms: grounds.Terms


def capped(bandwidth: int, timeout: int) -> grounds.Terms:
    """Copy so many MiB a second; after so many seconds switch to post-copy."""
    cap, limit = str(bandwidth), str(timeout)
    return grounds.Terms(
        {"policy": "balanced", "bandwidth": bandwidth, "completion_timeout": timeout},
        (
            *grounds.BALANCED,
            *("--bandwidth", cap, "--postcopy-bandwidth", cap),
            *("--timeout", limit, "--timeout-postcopy"),
        ),
    )


BUSY = (
    Busy(
        "a guest that writes 3 MiB/s, copied at 12 MiB/s: converges", 3, BUSY_TURNS, capped(12, 60)
    ),
    Busy(
        "a guest that writes 3 MiB/s, copied at 6 MiB/s: post-copy after 12 s",
        3,
        BUSY_TURNS,
        capped(6, 12),
    ),
)


def measure(lab: labs.Lab, turns: int = IDLE_TURNS) -> Tables:
    """Move an idle guest to and fro."""
    ground = grounds.Ground(lab)
    with ground.guests("bench-idle") as (guest,):
        _warm(ground, guest)
        found = grounds.in_turns(ground, guest, grounds.PLAIN, turns)
    rows = [ours.row for ours in found.ours]
    job = Figure("of ours: libvirt's own job", "s", [row["job_ms"] / 1000 for row in rows])
    return {
        "Live migration of an idle guest, local disk": [*_compared(found), job],
        "Where the time of an idle guest's move goes": grounds.by_step(rows),
    }


def measure_busy(lab: labs.Lab, kinds: tuple[Busy, ...] = BUSY) -> Tables:
    """Move guests that write all the time to and fro."""
    ground = grounds.Ground(lab)
    tables: Tables = {}
    for kind in kinds:
        with ground.guests("bench-busy") as (guest,):
            _warm(ground, guest)
            probe.ask(guest.address, f"dirty {kind.dirty}", 10)
            found = grounds.in_turns(ground, guest, kind.terms, kind.turns)
        tables[f"Live migration of {kind.title}"] = _compared(found)
    return tables


def _warm(ground: grounds.Ground, guest: clouds.Guest) -> None:
    """Move once each way: the first move of a process also connects."""
    ground.ours(guest, grounds.THERE)
    ground.ours(guest, grounds.BACK)


def _compared(found: grounds.Turns) -> list[Figure]:
    """Set total time, libvirt's downtime and the guest's silence side by side."""
    ours = Figure("ours, accepted to completed", "s", [one.moved.seconds for one in found.ours])
    virsh = Figure("virsh migrate, wall", "s", [one.seconds for one in found.plain])
    told = [
        Figure("ours: downtime by libvirt", "ms", [one.moved.downtime for one in found.ours]),
        Figure("virsh: downtime by libvirt", "ms", [one.downtime for one in found.plain]),
    ]
    return [
        ours,
        virsh,
        ratio("ours / virsh", ours, virsh),
        # libvirt tells the destination of none after a post-copy.
        *(figure for figure in told if all(figure.values)),
        Figure("ours: the guest's silence", "ms", [one.moved.silence for one in found.ours]),
        Figure("virsh: the guest's silence", "ms", [one.silence for one in found.plain]),
    ]
