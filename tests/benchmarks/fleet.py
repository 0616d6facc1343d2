"""Hosts that do nothing but report, and a few guests that move, on a real broker and database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.lab import up
from deploy.scale import run
from tests.benchmarks.figures import Figure

if TYPE_CHECKING:
    from tests.integration import labs

# Few and short beside `make scale`: what is said per host is the same.
HOSTS = 200
SECONDS = 30.0
MOVES = 20


def measure(lab: labs.Lab) -> dict[str, list[Figure]]:
    """Run a small fleet, and give the table."""
    del lab
    order = run.Order(hosts=HOSTS, seconds=SECONDS, moves=MOVES, name="bench-scale")
    found = run.measure(order, up.Clock().say)
    rest = found.quiet
    fleet = sum(size for name, size in rest.memory.items() if name.startswith("fleet"))
    figures = [
        Figure("messages to the broker, per host", "1/s", [found.messages]),
        Figure("longest silence of a host", "s", [found.silence]),
        Figure("heartbeats missed", "", [float(found.missed)]),
        Figure("hosts that were down", "", [float(found.down)]),
        Figure("memory of the fleet, per host", "KiB", [1024 * fleet / found.hosts]),
        *(Figure(f"CPU of {name}", "%", [cpu]) for name, cpu in sorted(rest.cpu.items())),
    ]
    if found.moves is not None and found.moves.seconds:
        figures.append(Figure("one move", "s", found.moves.seconds))
    return {f"{HOSTS} simulated hosts, a report every {found.heartbeat} s": figures}
