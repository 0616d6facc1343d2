"""`make scale` in small: everything comes up, is measured, and is gone afterwards."""

import json
import pathlib
import signal
import subprocess
import sys

import pytest

from deploy.lab import plan as plans
from deploy.lab import processes
from tests.integration import labs

ROOT = pathlib.Path(__file__).parents[2]
NAME = "scale-test"
BOUND = 180


@pytest.fixture
def scale():
    """Start a run with these words; it is ended with the test."""
    began: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        python = [*labs.INTERRUPTIBLE, sys.executable, "-W", "ignore", "-u"]
        command = [*python, "-m", "deploy.scale", "--name", NAME, *words]
        began.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
        return began[0]

    yield start
    for one in began:
        one.terminate()
        one.communicate(timeout=BOUND)


def left() -> list[int]:
    return list(processes.members(plans.ROOT / NAME, set(), set()))


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(BOUND)
def test_two_processes_carry_hosts_and_guests(scale):
    """Guests are built on hosts of both processes and moved between them; nothing is left."""
    topology = str(ROOT / "deploy" / "scale" / "two-zones.yaml")
    words = ("--topology", topology, "--hosts", "12", "--parts", "2")

    run = scale(*words, "--minutes", "0.1", "--moves", "6")
    told = run.communicate(timeout=BOUND)[0]

    assert 0 == run.returncode, told
    found = json.loads((ROOT / told.rpartition("written to ")[2].strip()).read_text())
    assert (12, 2, 0) == (found["hosts"], found["parts"], found["down"])
    assert (6, []) == (len(found["moves"]["seconds"]), found["moves"]["failures"])
    assert found["quiet"]["received"] > 0
    assert [] == left()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(BOUND)
def test_interrupted_run_leaves_nothing(scale):
    run = scale("--hosts", "5")
    for line in run.stdout:
        if "RabbitMQ and PostgreSQL are there" in line:
            break
    assert left()

    run.send_signal(signal.SIGINT)

    assert 130 == run.wait(BOUND)
    assert [] == left()
