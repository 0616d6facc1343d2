"""How a service starts and stops as a process of its own."""

import pathlib
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from common.db import engine
from common.db import schema

BOUND = 30
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path) -> Iterator[Start]:
    """Start the scheduler with these options, and end it with the test."""
    began: list[subprocess.Popen[str]] = []

    def run(**options: str) -> "subprocess.Popen[str]":
        file = pathlib.Path(tmp_path, "whimbrel.conf")
        url = options.pop("connection")
        lines = [f"{name} = {value}" for name, value in options.items()]
        file.write_text("\n".join(["[DEFAULT]", *lines, "[database]", f"connection = {url}\n"]))
        body = "import sys; from services.scheduler.main import main; sys.exit(main())"
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", body, "--config-file", str(file)],
            stderr=subprocess.PIPE,
            text=True,
        )
        began.append(process)
        return process

    yield run
    for process in began:
        process.kill()
        process.communicate()


def until(process: "subprocess.Popen[str]", words: str) -> str:
    """Read the log up to the line with these words, and give that line."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"the process ended with {process.wait()} and never said: {words}")


def test_stops_with_status_0_when_told(start, sqlite):
    database = engine.Database(sqlite)
    schema.upgrade(database)
    database.close()
    process = start(connection=sqlite, transport_url="fake://", host="ctl")
    until(process, "nova-scheduler on ctl serves scheduler")

    process.terminate()

    assert 0 == process.wait(BOUND)


def test_an_old_database_stops_the_start_with_what_to_run(start, sqlite):
    process = start(connection=sqlite, transport_url="fake://")

    line = until(process, "cannot work")

    assert "whimbrel-manage db upgrade" in line
    assert "Traceback" not in line
    assert 1 == process.wait(BOUND)


def test_waits_for_its_database_and_says_so(start, tmp_path):
    process = start(connection=f"sqlite:///{tmp_path}/later/db", transport_url="fake://")
    until(process, "waiting for the database")

    process.terminate()

    assert 0 == process.wait(BOUND)


def test_waits_for_its_broker_and_says_so_without_the_password(start, sqlite):
    database = engine.Database(sqlite)
    schema.upgrade(database)
    database.close()
    process = start(connection=sqlite, transport_url="rabbit://me:secret@127.0.0.1:1/")

    line = until(process, "waiting for the message broker")
    process.terminate()

    assert "127.0.0.1:1" in line
    assert "secret" not in line
    assert 0 == process.wait(BOUND)
