"""A host's guests moved off it, so many at a time, beside a loop of as many `virsh migrate`."""

from __future__ import annotations

import datetime
import time
from concurrent import futures
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from tests.benchmarks import ground as grounds
from tests.benchmarks.figures import Figure
from tests.benchmarks.figures import pairs

if TYPE_CHECKING:
    from tests.integration import cloud as clouds
    from tests.integration import labs

    Tables = dict[str, list[Figure]]
    Guests = list[clouds.Guest]

GUESTS = 8
LIMITS = (1, 2, 4)
DEFAULT = 2  # what the limits are set back to
FIRST = "pre_live_migration"  # the first step behind the queue


class Drained(NamedTuple):
    """One drain of ours: the seconds from the first request to the last end, and the rows."""

    seconds: float
    rows: list[dict[str, Any]]


def measure(
    lab: labs.Lab, guests: int = GUESTS, limits: tuple[int, ...] = LIMITS, turns: int = 1
) -> Tables:
    """Move all guests to and fro under each limit."""
    ground = grounds.Ground(lab)
    tables: Tables = {}
    with ground.guests("bench-drain", guests) as booted:
        _warm(ground, booted)
        for limit in limits:
            _limit(ground, limit)
            tables |= _measure(ground, booted, limit, turns)
        _limit(ground, DEFAULT)
    return tables


def _measure(ground: grounds.Ground, guests: Guests, limit: int, turns: int) -> Tables:
    ours: list[Drained] = []
    plain: list[float] = []
    for _ in range(turns):
        ours.append(_ours(ground, guests, grounds.THERE))
        plain += [_plain(ground, guests, way, limit) for way in (grounds.BACK, grounds.THERE)]
        ours.append(_ours(ground, guests, grounds.BACK))
    whole = Figure("ours, first request to last end", "s", [one.seconds for one in ours])
    virsh = Figure("virsh loop, first start to last end", "s", plain)
    rows = [row for one in ours for row in one.rows]
    waits = [wait for one in ours for wait in idle_slots(one.rows, limit)]
    title = f"{len(guests)} guests off a host, {limit} at a time"
    return {
        title: [
            whole,
            virsh,
            *pairs("ours / virsh", whole, virsh),
            Figure("a free slot waits for its next move", "ms", waits or [0.0]),
        ],
        f"{title}: where the time of one move goes": grounds.by_step(rows),
    }


def _ours(ground: grounds.Ground, guests: Guests, way: grounds.Way) -> Drained:
    began = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    for guest in guests:
        answer = guest.migrate(way.destination)
        if not answer.ok:
            raise RuntimeError(answer.text)
    rows = [grounds.ended(guest) for guest in guests]
    last = max(row["finished_at"] for row in rows)
    return Drained(grounds.seconds(began.isoformat(), last), rows)


def _plain(ground: grounds.Ground, guests: Guests, way: grounds.Way, limit: int) -> float:
    ground.furnish(guests, way)
    began = time.perf_counter()
    with futures.ThreadPoolExecutor(limit) as pool:
        list(pool.map(lambda guest: ground.virsh(guest.uuid, way), guests))
    took = time.perf_counter() - began
    ground.clear(guests, way)
    return took


def idle_slots(rows: list[dict[str, Any]], limit: int) -> list[float]:
    """Give how long each slot that came free stood empty: the n-th end to the n-th later start."""
    starts = sorted(
        step["started_at"] for row in rows for step in row["steps"] if step["step"] == FIRST
    )
    ends = sorted(row["finished_at"] for row in rows)
    return [
        1000 * grounds.seconds(end, start) for end, start in zip(ends, starts[limit:], strict=False)
    ]


def _limit(ground: grounds.Ground, limit: int) -> None:
    body = {"limits": {"max_outbound": limit, "max_inbound": limit}}
    ground.cloud.ask("PUT", "/whimbrel/limits", body).raise_for_status()


def _warm(ground: grounds.Ground, guests: Guests) -> None:
    """Move one each way: the first move of a process also connects."""
    ground.ours(guests[0], grounds.THERE)
    ground.ours(guests[0], grounds.BACK)
