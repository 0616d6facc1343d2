"""A service that starts before its broker waits for it, and says what it waits for."""

import logging
import queue
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from common.config import load
from rpc import broker as brokers

BOUND = 30


class Kept(logging.Handler):
    """Keeps what was said, for whoever waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.said: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.put(record.getMessage())


@pytest.fixture
def said() -> Iterator[queue.Queue[str]]:
    kept = Kept()
    brokers.LOG.addHandler(kept)
    yield kept.said
    brokers.LOG.removeHandler(kept)


@pytest.fixture
def waiting() -> Iterator[Callable[[str], threading.Thread]]:
    """Start the wait of a service in a thread; end it with the test."""
    stop = threading.Event()
    threads = []

    def start(url):
        conf = load.private({"transport_url": url})
        threads.append(threading.Thread(target=brokers.wait, args=(conf, stop)))
        threads[-1].start()
        return threads[-1]

    yield start
    stop.set()
    for thread in threads:
        thread.join(BOUND)


def test_broker_that_is_there_is_taken_at_once(broker, said):
    """With the broker up there is nothing to say."""
    brokers.wait(load.private({"transport_url": broker}))

    assert said.empty()


def test_start_waits_for_a_frozen_broker(rabbit, broker, said, waiting):
    """The wait ends when the broker answers, not before, and is announced meanwhile."""
    rabbit.pause()
    try:
        thread = waiting(broker)
        words = said.get(timeout=BOUND)
        waited = thread.is_alive()
    finally:
        rabbit.resume()
    thread.join(BOUND)

    assert "waiting for the message broker: 127.0.0.1:" in words
    assert waited
    assert not thread.is_alive()


def test_absent_broker_is_named(said, waiting):
    """Where nothing listens, the words say which address was tried."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        thread = waiting(f"rabbit://guest:guest@127.0.0.1:{port}/")

        words = said.get(timeout=BOUND)

    assert f"127.0.0.1:{port}" in words
    assert thread.is_alive()


def test_wrong_password_is_told_but_not_shown(broker, said, waiting):
    """A refused login says so, and keeps the password out of the log."""
    waiting(broker.replace("guest:guest", "guest:hunter2"))

    words = said.get(timeout=BOUND)

    assert "ACCESS_REFUSED" in words
    assert "hunter2" not in words
