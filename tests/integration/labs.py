"""Labs for integration tests: real libvirt hosts, driven as people drive them.

`lab` has Whimbrel's services and local disks, `shared_lab` the same with one
instances folder for all hosts; both live for the session, in subnets that
leave a person's own lab alone. Each process of a parallel run has its own of both.
A test gives its servers names of their own and deletes them. A file that needs
another lab takes a name and a subnet of its own, as files run side by side.
"""

import contextlib
import os
import pathlib
import shlex
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests import machine

TOOL = pathlib.Path(__file__).parents[2] / "deploy" / "lab" / "lab"
UP = 100
# The number of this process in a parallel run.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# Of what runs in the background a shell has SIGINT ignored, and so has all that this begins.
INTERRUPTIBLE = ("env", "--default-signal=INT")


class Lab:
    """One lab, by its name; every method is one command of deploy/lab/lab."""

    def __init__(self, name: str, subnet: str) -> None:
        """Name a lab; `up` starts it."""
        self.name = name
        self.subnet = subnet
        self._uris: dict[str, str] = {}

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on this lab; give its output and, unchecked, its status."""
        verb, *rest = words
        done = subprocess.run(
            [str(TOOL), verb, "--name", self.name, *rest],
            capture_output=True,
            text=True,
            check=False,
            timeout=UP,
        )
        if check and done.returncode:
            pytest.fail(f"lab {' '.join(words)}: {done.stdout}{done.stderr}")
        return done

    def up(self, *options: str) -> str:
        """Start the lab; give what it said."""
        return self.run("up", "--subnet", self.subnet, *options).stdout

    def down(self) -> None:
        """Take the lab away."""
        self.run("down")

    def env(self) -> dict[str, str]:
        """Give the lab's variables."""
        lines = shlex.split(self.run("env").stdout)
        return dict(word.split("=", 1) for word in lines if word != "export")

    def inside(self, host: str, *argv: str, check: bool = True) -> str:
        """Run a command inside a host; give what it printed."""
        return self.run("exec", host, "--", *argv, check=check).stdout

    def virsh(self, host: str, *words: str) -> str:
        """Run virsh against a host's libvirt, from outside."""
        # The same for every lab of this subnet, and a start of the tool takes its time.
        if host not in self._uris:
            self._uris[host] = self.env()[f"WHIMBREL_LAB_URI_{host.upper()}"]
        argv = ["virsh", "--quiet", "--connect", self._uris[host], *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout

    def spawn(self, *words: str) -> subprocess.Popen[str]:
        """Start a command on this lab in the background, its output in a pipe."""
        verb, *rest = words
        return subprocess.Popen(
            [*INTERRUPTIBLE, str(TOOL), verb, "--name", self.name, *rest],
            stdout=subprocess.PIPE,
            text=True,
        )


@contextlib.contextmanager
def running(lab: Lab, *options: str) -> Iterator[Lab]:
    """Have a lab from its start to its end; skips where that needs root and there is none."""
    if os.geteuid() != 0:
        machine.lacks("the lab needs root")
    lab.run("down")
    lab.up(*options)
    try:
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Run two hosts with local disks and all of Whimbrel's services."""
    with running(Lab(f"test{WORKER}", f"198.18.{100 + WORKER}.0/24"), "--hosts", "2") as started:
        yield started


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """Run two hosts with shared storage and all of Whimbrel's services."""
    with running(
        Lab(f"shared{WORKER}", f"198.18.{200 + WORKER}.0/24"), "--hosts", "2", "--shared-storage"
    ) as started:
        yield started


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """Signal a background command and give what it printed until its end."""
    process.send_signal(number)
    return process.communicate(timeout=30)[0]
