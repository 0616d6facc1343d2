"""Real parts for integration tests: a broker in a container, and a lab with a guest.

`broker` gives a transport URL with a vhost of its own; `rabbit` gives the
server itself, for tests that take it away and bring it back.
"""

import contextlib
import fcntl
import itertools
import os
import pathlib
import subprocess
from collections.abc import Iterator

import kombu
import pytest
import requests
import tenacity
from testcontainers.core import container
from testcontainers.core.config import testcontainers_config

from tests import machine
from tests.integration import cloud as clouds
from tests.integration import labs

IMAGES = pathlib.Path(__file__).parents[2] / "deploy" / "images"
LABEL = "whimbrel.test.pid"
AMQP = 5672
MANAGEMENT = 15672
LOOPBACK = "127.0.0.1"
STARTING = tenacity.retry(
    wait=tenacity.wait_fixed(0.2), stop=tenacity.stop_after_delay(90), reraise=True
)
COUNTER = itertools.count(1)
USERS = pathlib.Path("/run/whimbrel-engine.users")


class Rabbit:
    """A RabbitMQ server in a container, with ports on the loopback only."""

    def __init__(self, made: container.DockerContainer) -> None:
        """Take the started container."""
        self._made = made
        self._amqp = made.get_exposed_port(AMQP)
        self._api = f"http://{LOOPBACK}:{made.get_exposed_port(MANAGEMENT)}/api"

    def url(self, vhost: str) -> str:
        """Give the transport URL of a vhost."""
        return f"rabbit://guest:guest@{LOOPBACK}:{self._amqp}/{vhost}"

    def pause(self) -> None:
        """Freeze the broker: connections stay open and nothing is answered."""
        self._made.get_wrapped_container().pause()

    def resume(self) -> None:
        """Let a frozen broker go on."""
        self._made.get_wrapped_container().unpause()

    def queues(self, vhost: str) -> dict[str, int]:
        """Give the number of consumers of every queue of the vhost."""
        found = self._ask("GET", f"queues/{vhost}").json()
        return {queue["name"]: queue.get("consumers", 0) for queue in found}

    def disconnect(self, vhost: str) -> None:
        """Close every connection to the vhost from the broker's side."""
        done = self._made.exec(["rabbitmqctl", "close_all_connections", "-p", vhost, "a test"])
        if done.exit_code:
            raise AssertionError(done.output.decode())

    def add(self, vhost: str) -> None:
        """Make an empty vhost."""
        self._ask("PUT", f"vhosts/{vhost}")

    def remove(self, vhost: str) -> None:
        """Drop the vhost with its queues and connections."""
        self._ask("DELETE", f"vhosts/{vhost}")

    @STARTING
    def wait(self) -> None:
        """Wait until both ports answer with meaning."""
        self._ask("GET", "overview")
        with kombu.Connection(self.url("").replace("rabbit", "amqp", 1)) as connection:
            connection.connect()

    def _ask(self, verb: str, path: str) -> requests.Response:
        answer = requests.request(verb, f"{self._api}/{path}", auth=("guest", "guest"), timeout=10)
        answer.raise_for_status()
        return answer


@pytest.fixture
def broker(rabbit: Rabbit) -> Iterator[str]:
    """Give the transport URL of a fresh vhost, dropped afterwards."""
    vhost = f"test-{next(COUNTER)}"
    rabbit.add(vhost)
    yield rabbit.url(vhost)
    rabbit.remove(vhost)


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Rabbit]:
    """Run one broker for the session."""
    with _engine(), _container(_image()) as made:
        rabbit = Rabbit(made)
        rabbit.wait()
        yield rabbit


@pytest.fixture(scope="module")
def cloud(lab: labs.Lab) -> clouds.Cloud:
    """Give the lab with local disks; a file that needs another has a fixture of this name."""
    return clouds.Cloud(lab)


@pytest.fixture
def guest(cloud: clouds.Cloud) -> Iterator[clouds.Guest]:
    """Run a guest on host1 of the file's lab."""
    made = cloud.boot()
    yield made
    made.delete()


@contextlib.contextmanager
def _engine() -> Iterator[None]:
    if os.geteuid() != 0:
        machine.lacks("Docker's engine is started by root only")
    with USERS.open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        _run("engine", "start")
        yield
        # The last user of several at once stops it, and keeps others from it meanwhile.
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _run("engine", "stop")


def _image() -> str:
    _sweep()
    return _run("rabbitmq")


@contextlib.contextmanager
def _container(image: str) -> Iterator[container.DockerContainer]:
    testcontainers_config.ryuk_disabled = True  # its image is not to be had everywhere
    testcontainers_config.tc_host_override = LOOPBACK
    made = container.DockerContainer(image).with_kwargs(labels={LABEL: str(os.getpid())})
    for port in (AMQP, MANAGEMENT):
        # docker takes an address beside the port, whatever the annotation says
        made.ports[f"{port}/tcp"] = (LOOPBACK, None)  # type: ignore[assignment]
    with made:
        yield made


def _sweep() -> None:
    """Remove the containers of runs that were killed before they could."""
    listed = subprocess.run(
        ["docker", "ps", "--all", "--format", '{{.ID}} {{.Label "' + LABEL + '"}}'],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in listed.stdout.splitlines():
        name, _, owner = line.partition(" ")
        if owner and not pathlib.Path("/proc", owner).exists():
            subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def _run(script: str, *arguments: str) -> str:
    """Run one of deploy/images, and give what it printed."""
    done = subprocess.run(
        [str(IMAGES / script), *arguments], check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        pytest.fail(f"deploy/images/{script} failed; its words are above")
    return done.stdout.strip()
