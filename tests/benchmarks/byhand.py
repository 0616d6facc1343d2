"""Cold moves as operators make them without Whimbrel, and what is seen of any from outside."""

from __future__ import annotations

import contextlib
import datetime
import json
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from typing import NamedTuple
from typing import Self
from typing import TYPE_CHECKING

from deploy.lab import hypervisor
from deploy.lab import registry
from tests import waiting
from tests.benchmarks import ground as grounds
from tests.integration import cloud as clouds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.lab import plan as plans

PORT = 7070
SECTOR = 512
LOOK = 0.02  # seconds between two looks at a counter or a state
EDGE = 0.05  # of the bytes, left out at both ends when a rate is taken
EVENT = re.compile(r"^(\S+ \S+): event 'lifecycle' for domain '([^']*)': (\w+)", re.MULTILINE)
# One connection, all of it into a file.
RECEIVE = """
import socket, sys
buffer = memoryview(bytearray(1 << 20))
with socket.create_server(("", int(sys.argv[1]))) as server, open(sys.argv[2], "wb") as file:
    peer, _ = server.accept()
    while count := peer.recv_into(buffer):
        file.write(buffer[:count])
"""


class Sample(NamedTuple):
    """How many bytes a host had sent at a time."""

    when: float
    sent: int


class Wire:
    """Counts what a host sends to the others, on its own link, while its block lasts."""

    def __init__(self, host: plans.Host) -> None:
        """Name the counter."""
        link = pathlib.Path("/sys/class/net", host.control_link)
        self._counter = link / "statistics" / "rx_bytes"  # the other end of it
        self._samples: list[Sample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"wire {host.name}", daemon=True)

    def __enter__(self) -> Self:
        """Begin to count."""
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, keeping what was seen."""
        self._ended.set()
        self._thread.join()
        self._look()

    @property
    def sent(self) -> int:
        """The bytes that went out."""
        return self._samples[-1].sent - self._samples[0].sent

    def rate(self, size: int) -> float:
        """Give the MB per second of the first `size` bytes, without their two ends."""
        first = self._samples[0].sent
        low, high = (first + round(part * size) for part in (EDGE, 1 - EDGE))
        begin = next(one for one in self._samples if one.sent >= low)
        end = next(one for one in self._samples if one.sent >= high)
        return (end.sent - begin.sent) / max(end.when - begin.when, LOOK) / 1e6

    def _run(self) -> None:
        while not self._ended.wait(LOOK):
            self._look()

    def _look(self) -> None:
        self._samples.append(Sample(time.perf_counter(), int(self._counter.read_text())))


class Lives:
    """Sees when a guest goes off and on, wherever it does."""

    def __init__(self, hosts: list[plans.Host], uuid: str) -> None:
        """Name the guest."""
        self._name = grounds.domain(uuid)
        self._uris = [host.uri for host in hosts]
        self._watchers: list[subprocess.Popen[str]] = []
        self.off = 0.0  # seconds

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._watchers = [_watcher(uri) for uri in self._uris]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End, and take the time from its first stop to the start behind it."""
        told = ""
        for watcher in self._watchers:
            watcher.send_signal(signal.SIGINT)
            told += watcher.communicate(timeout=30)[0]
        found = sorted(
            (_moment(when), what) for when, name, what in EVENT.findall(told) if name == self._name
        )
        if kind is not None:
            return
        stopped = next(when for when, what in found if what == "Stopped")
        started = next(when for when, what in found if what == "Started" and when > stopped)
        self.off = (started - stopped) / datetime.timedelta(seconds=1)


def _watcher(uri: str) -> subprocess.Popen[str]:
    argv = ["virsh", "-c", uri, "event", "--event", "lifecycle", "--loop", "--timestamp"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def _moment(stamp: str) -> datetime.datetime:
    return datetime.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f%z")


class Hands:
    """What an operator has: a shell on every host of the lab, and virsh."""

    def __init__(self, lab: str, way: grounds.Way) -> None:
        """Stand before the two hosts."""
        plan = registry.find(lab)
        self.source, self.destination = plan.host(way.source), plan.host(way.destination)

    def disk(self, uuid: str) -> pathlib.Path:
        """Where the guest's overlay is, seen from outside of its host."""
        return self.source.folder / "whimbrel" / "instances" / uuid / "disk"

    def allocated(self, uuid: str) -> int:
        """Give the bytes that the guest's overlay takes."""
        return self.disk(uuid).stat().st_blocks * SECTOR

    def copy(self, path: str, target: str) -> float:
        """Send a file with dd over plain TCP; gives the seconds, the receiver being there."""
        with self._receiver(target) as receiver:
            began = time.perf_counter()
            pipe = f"dd if={path} bs=1M status=none >/dev/tcp/{self.destination.address}/{PORT}"
            self.on(self.source, "bash", "-c", pipe)
            receiver.wait(120)
            return time.perf_counter() - began

    def overlay(self, uuid: str) -> float:
        """Move by shutdown, copy of the overlay, rebase, define and start; gives the seconds."""
        folder, disk, definition = self._ready(uuid)
        base, kind = self.backing(uuid)
        began = time.perf_counter()
        self._shut_down(uuid)
        self.copy(disk, disk)
        rebase = ("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", kind, "-b", base, disk)
        self.on(self.destination, *rebase)
        self._start(definition)
        took = time.perf_counter() - began
        self._as_before(uuid, folder)
        return took

    def flattened(self, uuid: str) -> float:
        """Move by shutdown, merge with the base, copy of all, define and start; the seconds."""
        folder, disk, definition = self._ready(uuid)
        whole = f"{disk}.whole"
        began = time.perf_counter()
        self._shut_down(uuid)
        self.on(self.source, "qemu-img", "convert", "-O", "qcow2", disk, whole)
        self.copy(whole, disk)
        self._start(definition)
        took = time.perf_counter() - began
        self._as_before(uuid, folder)
        self.on(self.source, "rm", whole)
        return took

    def backing(self, uuid: str) -> tuple[str, str]:
        """Give the base of the guest's overlay, and its format."""
        disk = str(_place(uuid) / "disk")
        told = self.on(self.source, "qemu-img", "info", "-U", "--output", "json", disk)
        found = json.loads(told)
        return str(found["backing-filename"]), str(found["backing-filename-format"])

    def on(self, host: plans.Host, *argv: str) -> str:
        """Run a command inside a host, at once; gives what it printed."""
        words = hypervisor.enter(host, *argv)
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def _ready(self, uuid: str) -> tuple[str, str, str]:
        """Make the folder over there, and have the definition; both before the time begins."""
        folder = _place(uuid)
        self.on(self.destination, "mkdir", "-p", str(folder))
        written = pathlib.Path(self.source.folder, f"{uuid}.xml")
        name = grounds.domain(uuid)
        written.write_text(virsh(self.source, "dumpxml", "--inactive", "--security-info", name))
        return str(folder), str(folder / "disk"), str(written)

    def _shut_down(self, uuid: str) -> None:
        name = grounds.domain(uuid)
        virsh(self.source, "shutdown", "--mode", "acpi", name)
        waiting.until(lambda: "shut off" in virsh(self.source, "domstate", name), "it is off", 60)

    def _start(self, definition: str) -> None:
        virsh(self.destination, "define", definition)
        virsh(self.destination, "start", grounds.domain(pathlib.Path(definition).stem))

    def _as_before(self, uuid: str, folder: str) -> None:
        """Take the moved guest away, and start it where it was."""
        name = grounds.domain(uuid)
        virsh(self.destination, "destroy", name)
        virsh(self.destination, "undefine", name)
        self.on(self.destination, "rm", "-r", folder)
        virsh(self.source, "start", name)

    @contextlib.contextmanager
    def _receiver(self, target: str) -> Iterator[subprocess.Popen[bytes]]:
        """Have somebody over there who waits for a connection."""
        argv = hypervisor.enter(self.destination, sys.executable, "-c", RECEIVE, str(PORT), target)
        with subprocess.Popen(argv) as receiver:
            table = pathlib.Path(f"/proc/{receiver.pid}/net/tcp")
            waiting.until(lambda: f":{PORT:04X} 00000000" in table.read_text(), "it listens", 20)
            yield receiver


def _place(uuid: str) -> pathlib.Path:
    """Where every host has the files of a server."""
    return pathlib.Path(clouds.INSTANCES, uuid)


def virsh(host: plans.Host, *words: str) -> str:
    """Run virsh against a host's libvirt; gives what it printed."""
    argv = ["virsh", "-q", "-c", host.uri, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
