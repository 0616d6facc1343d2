"""whimbrel-api as a process of its own: how it starts, and what it says without a broker."""

import contextlib
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator

import pytest
import requests

from common import ids
from common import states
from common.db import engine
from common.db import schema
from common.db import servers
from tests import factories
from tests import waiting

PROGRAM = pathlib.Path(sys.executable).with_name("whimbrel-api")
BOUND = 20  # seconds within which a request is answered, whatever the broker does
STARTING = 30  # seconds
LOOPBACK = "127.0.0.1"


class Door:
    """The way to a broker, which can be shut: connections break and new ones are refused."""

    def __init__(self, url: str) -> None:
        """Lead to the broker of a transport URL."""
        parts = urllib.parse.urlsplit(url)
        self._target = (str(parts.hostname), int(parts.port or 0))
        self._listener = socket.create_server((LOOPBACK, 0))
        self._ends: list[socket.socket] = []
        port = self._listener.getsockname()[1]
        self.url = url.replace(f":{parts.port}/", f":{port}/")
        threading.Thread(target=self._let_in, daemon=True).start()

    def shut(self) -> None:
        """Break what is open, and let nobody in."""
        for end in [self._listener, *self._ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    @staticmethod
    def _carry(come: socket.socket, go: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := come.recv(65536):
                go.sendall(data)
            go.shutdown(socket.SHUT_WR)


class Process:
    """A running whimbrel-api."""

    def __init__(self, folder: pathlib.Path, transport_url: str, **options: str) -> None:
        self.database = engine.Database(f"sqlite:///{folder}/whimbrel.db")
        self.log = folder / "log"
        port = free_port()
        self.root = f"http://{LOOPBACK}:{port}"
        given = {"listen": LOOPBACK, "port": str(port), **options}
        file = folder / "whimbrel.conf"
        file.write_text(
            f"[DEFAULT]\ntransport_url = {transport_url}\nlog_file = {self.log}\n"
            f"[database]\nconnection = sqlite:///{folder}/whimbrel.db\n"
            f"[image]\nstore = {folder}\n"
            "[api]\n" + "".join(f"{name} = {value}\n" for name, value in given.items())
        )
        self.process = subprocess.Popen([PROGRAM, "--config-file", str(file)])

    def said(self) -> str:
        """Give its log."""
        return self.log.read_text() if self.log.exists() else ""

    def answers(self) -> bool:
        """Tell whether it serves."""
        with contextlib.suppress(requests.ConnectionError):
            return bool(requests.get(self.root, timeout=5).ok)
        return False

    def end(self) -> int:
        """Ask it to stop, as systemd does, and give its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=STARTING)


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def door(broker) -> Iterator[Door]:
    """The way to the test's broker."""
    made = Door(broker)
    yield made
    made.shut()


@pytest.fixture
def api(tmp_path, door) -> Iterator[Process]:
    """An API with its tables made, and its broker behind the door."""
    made = Process(tmp_path, door.url)
    try:
        schema.upgrade(made.database)
        waiting.until(made.answers, "the API answers", STARTING)
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_missing_tables_are_waited_for(tmp_path):
    """It says what it waits for and how to get it, and stops when told to."""
    process = Process(tmp_path, "fake://")
    try:
        waiting.until(lambda: "waiting for the tables" in process.said(), "it waits", STARTING)
        assert "whimbrel-manage db upgrade" in process.said()

        schema.upgrade(process.database)

        waiting.until(process.answers, "the API answers", STARTING)
        assert 0 == process.end()
    finally:
        process.process.kill()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"listen": "0.0.0.0"}, "http_basic"),
        ({"auth": "http_basic", "listen": "198.51.100.255"}, "cannot listen"),
    ],
)
def test_wrong_options_end_it_with_a_sentence(tmp_path, options, word):
    process = Process(tmp_path, "fake://", **options)
    schema.upgrade(process.database)
    try:
        assert process.process.wait(timeout=STARTING) != 0
    finally:
        process.process.kill()

    assert "Traceback" not in process.said()
    assert word in process.said()


def test_lost_broker_is_told_in_time_and_reading_goes_on(api, door):
    """Also when nothing was asked of the broker before it went."""
    with api.database.write() as tx:
        server = servers.create(
            tx, factories.instance(uuid=ids.new(), project_id="whimbrel", host="host1")
        )
        servers.change(tx, server.uuid, vm_state=states.Vm.ACTIVE)
    url = f"{api.root}/v2.1/servers/{server.uuid}"
    door.shut()
    began = time.monotonic()

    read = requests.get(url, timeout=5)
    written = [requests.delete(url, timeout=BOUND) for _ in range(2)]

    assert time.monotonic() - began < BOUND
    assert [200, 503, 503] == [answer.status_code for answer in (read, *written)]
    assert "5" == written[0].headers["Retry-After"]
    assert "message broker" in written[0].text
