"""How many messages a move costs, counted where all of them pass: on the broker.

RabbitMQ's firehose hands over a copy of whatever anybody publishes. A call is
two messages, its answer being one; a message belongs to a move by the request
id that it carries, an answer by the call that it answers.
"""

from __future__ import annotations

import collections
import contextlib
import json
import shlex
import subprocess
import threading
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import kombu

from deploy.lab import broker
from deploy.lab import registry
from tests.benchmarks import ground as grounds
from tests.benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator

    from deploy.lab.plan import Plan
    from tests.integration import cloud as clouds
    from tests.integration import labs

MOVES = 4
FIREHOSE = kombu.Exchange("amq.rabbitmq.trace", "topic", passive=True)
PUBLISHED = "publish.#"
SLOW = 8  # MiB per second
WAIT = 0.2  # seconds
PATIENCE = 10.0  # seconds
BEGINS = "live_migrate"
PROGRESS = "move_progress"
HEARTBEAT = "report"
SHARED = "progress, for all moves of a host at once"
BEATS = "heartbeats of all services meanwhile"


class Message(NamedTuple):
    """One message: what it asks for, or what it answers."""

    method: str
    request: str
    answer: bool


class Tap:
    """What was published while it was open."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.heard: list[Message] = []
        self.open = threading.Event()
        self.closing = threading.Event()
        self._calls: dict[str, Message] = {}

    def hear(self, body: Any) -> None:
        """Take one message down; what is not oslo.messaging's is left out."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = json.loads(json.loads(body)["oslo.message"])
            self.heard.append(self._read(found))

    def _read(self, found: dict[str, Any]) -> Message:
        if "method" not in found:
            return self._calls[found["_msg_id"]]._replace(answer=True)
        asked = Message(found["method"], found["_context_request_id"], answer=False)
        if "_msg_id" in found:
            self._calls[found["_msg_id"]] = asked
        return asked


def measure(lab: labs.Lab, moves: int = MOVES) -> dict[str, list[Figure]]:
    """Count the messages of each of some moves, one after the other, and of other kinds of moves.

    Only what belongs to a move's own request is its: not that of who steers it.
    """
    ground = grounds.Ground(lab)
    plan = registry.find(lab.name)
    with ground.guests("bench-messages", 2) as (guest, other):
        with tapped(plan) as tap:
            for number in range(moves):
                ground.ours(guest, grounds.BACK if number % 2 else grounds.THERE)
        if guest.host != other.host:
            ground.ours(guest, grounds.BACK)
        with tapped(plan) as line:
            waited = _queued(ground, guest, other)
        with tapped(plan) as late:
            switched = _switched(other)
    return {
        "Messages of one live migration, on the broker": figures(tap.heard, moves),
        "Messages of one that waits in the queue": only(line.heard, waited),
        "Messages of one that switches to post-copy": only(late.heard, switched),
    }


def only(heard: list[Message], request: str) -> list[Figure]:
    """Give the messages of this request alone, and nothing of what belongs to none."""
    found = figures([one for one in heard if one.request == request], 1)
    return [one for one in found if one.name not in {SHARED, BEATS}]


def _queued(ground: grounds.Ground, first: clouds.Guest, second: clouds.Guest) -> str:
    """Move two guests of a host, one at a time; gives the request of the one that waits."""
    with ground.cloud.limits(1):
        running = _begun(first)
        second.migrate(running["destination"])
        first.steer(running, {"whimbrel:policy": {"bandwidth": 0}})
        rows = [grounds.ended(guest) for guest in (first, second)]
    return str(rows[1]["request_id"])


def _switched(guest: clouds.Guest) -> str:
    """Move a guest by post-copy; gives the request."""
    guest.steer(_begun(guest), {"force_complete": None})
    return str(grounds.ended(guest)["request_id"])


def _begun(guest: clouds.Guest) -> dict[str, Any]:
    """Move a guest away slowly, and wait until its memory goes."""
    away = grounds.THERE if guest.host == grounds.THERE.source else grounds.BACK
    guest.migrate(away.destination, policy={"bandwidth": SLOW, "post_copy": "on-timeout"})
    return guest.moving(lambda progress: progress["iteration"] >= 1)


def figures(heard: list[Message], moves: int) -> list[Figure]:
    """Give each method's messages for each move, and their sum; progress goes by host."""
    begun = {one.request: None for one in heard if one.method == BEGINS}
    counts = [
        collections.Counter(one.method for one in heard if one.request == request)
        for request in begun
    ]
    methods = dict.fromkeys(one.method for one in heard if one.request in begun)
    progress = sum(one.method == PROGRESS for one in heard)
    beats = sum(one.method == HEARTBEAT for one in heard)
    return [
        *(_figure(method, [count[method] for count in counts]) for method in methods),
        _figure("all but progress", [count.total() for count in counts]),
        _figure("of these asked, not answered", _asked(heard, begun)),
        Figure(SHARED, "messages", [progress / moves]),
        Figure(BEATS, "messages", [beats / moves]),
    ]


def _asked(heard: list[Message], begun: Iterable[str]) -> list[int]:
    return [sum(one.request == request and not one.answer for one in heard) for request in begun]


def _figure(name: str, values: list[int]) -> Figure:
    return Figure(name, "messages", [float(value) for value in values])


@contextlib.contextmanager
def tapped(plan: Plan) -> Iterator[Tap]:
    """Hear everything that is published on a lab's broker while the block lasts."""
    tap = Tap()
    control = ["env", *shlex.split(broker.control(plan)), "-q"]
    subprocess.run([*control, "trace_on"], check=True, capture_output=True)
    thread = threading.Thread(target=_listen, args=(plan.transport_url, tap))
    try:
        thread.start()
        tap.open.wait(PATIENCE)
        yield tap
    finally:
        tap.closing.set()
        thread.join()
        subprocess.run([*control, "trace_off"], check=True, capture_output=True)


def _listen(url: str, tap: Tap) -> None:
    with kombu.Connection(url.replace("rabbit://", "pyamqp://")) as connection:
        queue = kombu.Queue(exchange=FIREHOSE, routing_key=PUBLISHED, exclusive=True)
        consumer = connection.Consumer(
            queue, on_message=lambda message: tap.hear(message.body), no_ack=True
        )
        with consumer:
            tap.open.set()
            while not tap.closing.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=WAIT)
