"""The bus in memory; tests/integration has a real broker."""

import queue
from collections.abc import Iterator
from concurrent import futures

import pytest

from common import context as contexts
from common import errors
from common import objects
from common.config import load
from rpc import bus as buses
from rpc import interface
from tests import factories

SOON = 5
THREADS = 4


class Echo(interface.Interface):
    TOPIC = "unit-echo"
    VERSION = "1.0"

    @interface.call(since="1.0", timeout=5)
    def rename(self, context, flavor: objects.Flavor, *, name: str = "other"):
        """Give the flavor under another name."""

    @interface.call(since="1.0", timeout=5)
    def fail(self, context, kind: str):
        """Fail in one way or the other."""

    @interface.call(since="1.0", timeout=0.2)
    def dawdle(self, context):
        """Take longer than anybody waits."""

    @interface.call(since="1.0", timeout=5)
    def nested(self, context, flavors: dict[str, list[objects.Flavor]]):
        """Give it back."""

    @interface.call(since="1.0", timeout=5, slow=True)
    def ponder(self, context):
        """Wait for somebody else."""

    @interface.cast(since="1.0")
    def note(self, context, words: str):
        """Remember the words."""


FAULTS = {
    "purpose": errors.NoValidHost("no host", reasons={"host1": "1 MiB free"}),
    "accident": ZeroDivisionError("a secret"),
}


class Manager(Echo):
    def __init__(self) -> None:
        self.noted: queue.Queue[tuple[str, str]] = queue.Queue()
        self.end: queue.Queue[None] = queue.Queue()
        self.pondering: queue.Queue[str] = queue.Queue()
        self.enough: queue.Queue[None] = queue.Queue()

    def rename(self, context, flavor, *, name="other"):
        return flavor.replace(name=name)

    def fail(self, context, kind):
        raise FAULTS[kind]

    def dawdle(self, context):
        self.end.get(timeout=SOON)

    def ponder(self, context):
        self.pondering.put(context.request_id)
        self.enough.get(timeout=SOON)

    def nested(self, context, flavors):
        assert all(isinstance(one, objects.Flavor) for many in flavors.values() for one in many)
        return flavors

    def note(self, context, words):
        self.noted.put((words, context.request_id))

    def secret(self, context):
        """Is public in Python only."""
        return "secret"


class Wider(Echo):
    """What a client believes that is newer than the server."""

    @interface.call(since="1.0", timeout=1)
    def secret(self, context):
        """Ask for what is not declared."""


@pytest.fixture(scope="module")
def bus() -> Iterator[buses.Bus]:
    made = buses.Bus(load.private({"transport_url": "fake://"}))
    yield made
    made.close()


@pytest.fixture(scope="module")
def manager(bus) -> Iterator[Manager]:
    manager = Manager()
    server = bus.serve(manager, "one", threads=THREADS)
    server.start()
    yield manager
    server.stop()
    server.wait()


@pytest.fixture
def client(bus, manager):
    return bus.client(Echo)


@pytest.fixture
def context():
    return contexts.admin()


def test_objects_arrive_as_themselves(client, context):
    """Also inside of lists and dicts, and with a default filled in by the caller."""
    flavor = factories.flavor()

    assert flavor.replace(name="other") == client.rename(context, flavor)
    assert {"all": [flavor]} == client.nested(context, {"all": [flavor]})


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2), {}), ((1,), {"size": 2}), ((), {"name": "x"})]
)
def test_wrong_argument_fails_at_the_caller(bus, context, args, kwargs):
    """Nothing is sent: no server is needed for the TypeError."""
    with pytest.raises(TypeError):
        bus.client(Echo, "nobody").rename(context, *args, **kwargs)


def test_error_on_purpose_keeps_code_sentence_and_facts(client, context):
    """And leaves its traceback at home."""
    with pytest.raises(errors.NoValidHost) as raised:
        client.fail(context, "purpose")

    assert ("no_valid_host", "no host") == (raised.value.code, str(raised.value))
    assert {"reasons": {"host1": "1 MiB free"}} == raised.value.facts


def test_accident_is_a_remote_error(client, context):
    """It names service, method and request, and nothing of the code."""
    with pytest.raises(errors.RemoteError) as raised:
        client.fail(context, "accident")

    for word in ("unit-echo one", "fail", context.request_id):
        assert word in str(raised.value)
    assert "secret" not in str(raised.value)


def test_call_that_takes_too_long_says_who(client, manager, context):
    """NoAnswer names service, method and seconds."""
    with pytest.raises(errors.NoAnswer, match=r"unit-echo did not answer dawdle within 0\.2 s"):
        client.dawdle(context)
    manager.end.put(None)


def test_slow_calls_keep_no_other_waiting(client, manager, context):
    """More of them than there are threads: who asks something else is answered meanwhile."""
    with futures.ThreadPoolExecutor(THREADS + 1) as callers:
        slow = [callers.submit(client.ponder, contexts.admin()) for _ in range(THREADS + 1)]
        for _ in range(THREADS):
            manager.pondering.get(timeout=SOON)

        assert "other" == client.rename(context, factories.flavor()).name
        assert not any(one.done() for one in slow)
        for _ in slow:
            manager.enough.put(None)


def test_cast_returns_at_once(client, manager, context):
    """The request id goes with it."""
    assert client.note(context, "hello") is None
    assert ("hello", context.request_id) == manager.noted.get(timeout=SOON)


def test_undeclared_method_is_not_exposed(bus, manager, context):
    """A public method of the manager that the interface does not declare cannot be called."""
    made = bus.client(Wider)

    with pytest.raises(Exception, match="secret"):
        made.secret(context)
    assert "secret" not in interface.methods(Manager)


class Newer(Echo):
    """What a later release speaks."""

    @interface.call(since="1.5", timeout=5)
    def sing(self, context):
        """Is not known yet."""


def test_older_service_is_an_error_on_purpose(bus, manager):
    """Nothing of the bus's own reaches whoever calls, whatever it does not understand."""
    with pytest.raises(errors.RemoteError, match=r"unit-echo.* sing: .*1\.5.*one release"):
        bus.client(Newer, "one").sing(contexts.admin())
