"""The bus over a real broker: calls, casts, errors, and a broker that goes away."""

import pathlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import pytest

from common import context as contexts
from common import errors
from common import objects
from common.config import load
from rpc import bus as buses
from rpc import interface

CALLERS = 4
BOUND = 20  # seconds within which a request is answered, whatever the broker does

# A server on greenthreads, as compute is one: it works in a native thread.
GREEN = """
import services.compute.green
import sys
import threading
from eventlet import patcher
from common.config import load
from rpc import bus as buses
from services.compute import concurrency
from tests.integration import test_bus

threads = concurrency.green(2)
never = patcher.original("threading").Event()

class Manager(test_bus.Manager):
    def ponder(self, context, seconds):
        print("pondering", flush=True)
        threads.native(never.wait, seconds)
        return self.name

bus = buses.Bus(load.private({"transport_url": sys.argv[1]}))
server = bus.serve(Manager("green"), "green", threads=2)
server.start()
print("serving", flush=True)
threading.Event().wait()
"""


class Echo(interface.Interface):
    """An interface like the services' own."""

    TOPIC = "echo"
    VERSION = "1.0"

    @interface.call(since="1.0", timeout=5)
    def rename(self, context, flavor: objects.Flavor, name: str):
        """Give the flavor under another name."""

    @interface.call(since="1.0", timeout=5)
    def refuse(self, context):
        """Fail on purpose."""

    @interface.call(since="1.0", timeout=5)
    def stumble(self, context):
        """Fail by accident."""

    @interface.call(since="1.0", timeout=5)
    def where(self, context):
        """Tell which server answers."""

    @interface.call(since="1.0", timeout=60, monitor=4)
    def ponder(self, context, seconds: float):
        """Take longer than a monitor's silence."""

    @interface.cast(since="1.0")
    def note(self, context, words: str):
        """Remember words."""


class Manager(Echo):
    """The serving half."""

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.begun: queue.Queue[float] = queue.Queue()
        self.enough = threading.Event()
        self.noted: queue.Queue[tuple[str, str]] = queue.Queue()

    def rename(self, context, flavor, name):
        return flavor.replace(name=name)

    def refuse(self, context):
        raise errors.ServerNotFound("server 7 does not exist", server="7")

    def stumble(self, context):
        raise ZeroDivisionError

    def where(self, context):
        return self.name

    def ponder(self, context, seconds):
        self.begun.put(seconds)
        self.enough.wait(seconds)
        return self.name

    def note(self, context, words):
        self.noted.put((words, context.request_id))


@pytest.fixture
def bus(broker) -> Iterator[buses.Bus]:
    made = buses.Bus(load.private({"transport_url": broker}))
    yield made
    made.close()


@pytest.fixture
def manager(bus) -> Iterator[Manager]:
    manager = Manager()
    server = bus.serve(manager, "one", threads=2)
    server.start()
    yield manager
    server.stop()
    server.wait()


@pytest.fixture
def context() -> contexts.Context:
    return contexts.admin()


def test_call_carries_objects_both_ways(bus, manager, context):
    """A versioned object arrives as itself, and the answer does too."""
    flavor = objects.Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=64, root_gb=1)

    answer = bus.client(Echo).rename(context, flavor, "m1.small")

    assert ("m1.small", 64) == (answer.name, answer.memory_mb)


def test_cast_arrives_with_its_request_id(bus, manager, context):
    """Nobody waits for a cast, and the request id crosses the bus with it."""
    bus.client(Echo).note(context, "hello")

    assert ("hello", context.request_id) == manager.noted.get(timeout=BOUND)


def test_refusal_keeps_class_and_sentence(bus, manager, context):
    """An error on purpose arrives as raised, facts and all, with no traceback in it."""
    with pytest.raises(errors.ServerNotFound) as raised:
        bus.client(Echo).refuse(context)

    assert "server 7 does not exist" == str(raised.value)
    assert {"server": "7"} == raised.value.facts


def test_accident_hides_its_traceback(bus, manager, context):
    """An unexpected failure names the service and the request id, and nothing of its code."""
    with pytest.raises(errors.RemoteError) as raised:
        bus.client(Echo).stumble(context)

    assert context.request_id in str(raised.value)
    assert "ZeroDivisionError" not in str(raised.value)


def test_call_reaches_the_named_server(bus, manager, context):
    """A call for one host is never answered by another."""
    other = bus.serve(Manager("two"), "two", threads=1)
    other.start()

    answers = {name: bus.client(Echo, name).where(context) for name in ("one", "two")}
    other.stop()
    other.wait()

    assert {"one": "one", "two": "two"} == answers


def test_signs_of_life_keep_a_long_call_waiting(bus, manager, context):
    """Twice the silence that a monitor allows is no reason to give up a server at work."""
    assert "one" == bus.client(Echo).ponder(context, 9.0)


@pytest.fixture
def green(broker) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, on greenthreads."""
    with subprocess.Popen(
        [sys.executable, "-c", GREEN, broker],
        cwd=pathlib.Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "serving\n" == process.stdout.readline()
        yield process
        process.kill()


def test_green_server_gives_signs_of_life(bus, green, context):
    """What blocks a native thread does not keep the greenthreads from telling."""
    assert "green" == bus.client(Echo, "green").ponder(context, 9.0)


def test_server_that_dies_at_work_ends_the_call(bus, green, context):
    """Long before the call's timeout, by the error that others try again after."""
    with futures.ThreadPoolExecutor(1) as callers:
        asked = callers.submit(bus.client(Echo, "green").ponder, context, 60.0)
        assert "pondering\n" == green.stdout.readline()
        green.kill()

        with pytest.raises(errors.NoAnswer, match=r"ponder.*no sign of life for 4 s"):
            asked.result(BOUND)


def test_call_to_nobody_ends_in_time(bus, context):
    """A call that no one serves says so when its timeout is over."""
    started = time.monotonic()

    with pytest.raises((errors.NoAnswer, errors.BusDown), match="echo"):
        bus.client(Echo).where(context)

    assert time.monotonic() - started < BOUND


def test_calls_to_a_frozen_broker_end_in_time(rabbit, bus, manager, context):
    """A broker that holds its connections and answers nothing cannot hold a request.

    Not even on a connection that has only answered, and must tell the broker
    where it wants to send to first: two answers at once make such a one.
    """
    client = bus.client(Echo)
    with futures.ThreadPoolExecutor(CALLERS) as callers:
        asked = []
        for _ in range(2):
            asked.append(callers.submit(client.ponder, context, BOUND))
            manager.begun.get(timeout=BOUND)
        manager.enough.set()
        assert ["one"] * 2 == [each.result(BOUND) for each in asked]

        rabbit.pause()
        started = time.monotonic()
        try:
            refused = [callers.submit(client.where, context) for _ in range(CALLERS)]
            found = {type(each.exception(3 * BOUND)) for each in refused}
            lasted = time.monotonic() - started
        finally:
            rabbit.resume()

    assert found <= {errors.NoAnswer, errors.BusDown}
    assert lasted < BOUND + 2 * buses.HEARTBEAT


def test_lost_connections_are_made_again(rabbit, broker, bus, manager, context):
    """After the broker has dropped every connection, calls are answered again."""
    client = bus.client(Echo)
    client.where(context)
    rabbit.disconnect(broker.rpartition("/")[2])

    assert "one" == eventually(lambda: client.where(context))


def eventually(ask):
    """Ask until it is answered, for a bounded time; give the answer."""
    deadline = time.monotonic() + BOUND
    while True:
        try:
            return ask()
        except (errors.NoAnswer, errors.BusDown):
            if time.monotonic() > deadline:
                raise


def test_threads_share_one_client(bus, manager, context):
    """Calls from several threads each get their own answer."""
    client = bus.client(Echo)
    flavor = objects.Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=64, root_gb=1)
    answers = {}

    def ask(name):
        answers[name] = client.rename(context, flavor, name).name

    threads = [threading.Thread(target=ask, args=(f"flavor-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)

    assert {f"flavor-{number}": f"flavor-{number}" for number in range(8)} == answers
