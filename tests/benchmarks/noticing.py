"""How soon Whimbrel notices that a guest has left.

A listener of our own takes the time of libvirt's event at the source; the journal has the
time at which compute took note of the same. Both are of one machine's clock.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
from typing import TYPE_CHECKING

import libvirt

from tests.benchmarks import ground as grounds
from tests.benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration import cloud as clouds
    from tests.integration import labs

TURNS = 5
WITHIN = 10.0  # seconds in which an event must have come when the move is over
LEFT = (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED)


class Listener:
    """Hears when a guest has left a host."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._heard: dict[str, datetime.datetime] = {}
        self._news = threading.Condition()

    def left(self, uuid: str) -> datetime.datetime:
        """Give when the guest left, or raise RuntimeError when libvirt does not tell."""
        with self._news:
            if not self._news.wait_for(lambda: uuid in self._heard, WITHIN):
                raise RuntimeError(f"libvirt does not tell that {uuid} has left")
            return self._heard.pop(uuid)

    def hear(self, _link: libvirt.virConnect, domain: libvirt.virDomain, *what: int | None) -> None:
        """Take an event of libvirt's; what it tells beyond event and detail is nobody's."""
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        if what[:2] != LEFT:
            return
        with self._news:
            self._heard[domain.UUIDString()] = now
            self._news.notify_all()


def measure(lab: labs.Lab, turns: int = TURNS) -> dict[str, list[Figure]]:
    """Move an idle guest to and fro, and see how long each departure went unnoticed."""
    ground = grounds.Ground(lab)
    with listening(lab) as listener, ground.guests("bench-noticing") as (guest,):
        ways = (grounds.THERE, grounds.BACK) * turns
        late = [_late(ground, guest, way, listener) for way in ways]
    return {
        "Noticing that a guest has left": [
            Figure("libvirt's event to compute's note of it", "ms", late)
        ]
    }


def _late(
    ground: grounds.Ground, guest: clouds.Guest, way: grounds.Way, listener: Listener
) -> float:
    """Give the milliseconds between libvirt's event and the end of the journal's step."""
    row = ground.ours(guest, way).row
    (ended,) = (step["finished_at"] for step in row["steps"] if step["step"] == "migrate")
    noted = datetime.datetime.fromisoformat(ended)
    return (noted - listener.left(guest.uuid)) / datetime.timedelta(milliseconds=1)


@contextlib.contextmanager
def listening(lab: labs.Lab) -> Iterator[Listener]:
    """Hear the events of both hosts while the block lasts."""
    libvirt.virEventRegisterDefaultImpl()
    stop = threading.Event()
    loop = threading.Thread(target=_run, args=(stop,), daemon=True)
    loop.start()
    listener = Listener()
    uris = [lab.env()[f"WHIMBREL_LAB_URI_{host}"] for host in ("HOST1", "HOST2")]
    links = [libvirt.openReadOnly(uri) for uri in uris]
    for link in links:
        link.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, listener.hear, None
        )
    try:
        yield listener
    finally:
        for link in links:
            link.close()
        stop.set()
        loop.join()


def _run(stop: threading.Event) -> None:
    """Run libvirt's loop; a timer wakes it now and then."""
    timer = libvirt.virEventAddTimeout(500, lambda _timer, _opaque: None, None)
    while not stop.is_set():
        libvirt.virEventRunDefaultImpl()
    libvirt.virEventRemoveTimeout(timer)
