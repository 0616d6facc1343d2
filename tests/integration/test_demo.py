"""`make demo`, as it is run, and as it is interrupted."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
NAME = "demotest"
COMMAND = [
    *(sys.executable, "-m", "deploy.demo.real"),
    *("--name", NAME, "--subnet", "198.18.255.0/24"),
]
INTERRUPTED = 130

pytestmark = pytest.mark.lab


def leftovers() -> list[str]:
    """The links and processes of the demo's lab that there are."""
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True)
    folder = f"whimbrel-lab/{NAME}".encode()
    processes = [
        path.parent.name
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")
        if folder in _content(path)
    ]
    return processes + [line for line in links.stdout.splitlines() if line.startswith("demo")]


def _content(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_story_ends_well_after_an_interrupted_one():
    """A demo that is told to end takes its lab away; the next one tells its story to the end."""
    child = subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if "are there" in line:
            break
    os.kill(child.pid, signal.SIGTERM)
    child.stdout.read()
    assert INTERRUPTED == child.wait(60)
    assert [] == leftovers()

    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    for host in ("host1", "host2"):
        assert f"it runs on {host} according to libvirt, on {host} (ACTIVE)" in done.stdout
    assert "the guest kept its memory" in done.stdout
    assert [] == leftovers()
