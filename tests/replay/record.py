"""Record a real libvirt job's statistics into a trace: `python -m tests.replay.record --lab NAME`.

It needs root and a lab (`deploy/lab/lab up --bare --name NAME`). Each scenario boots a guest of
its own on host1, loads it, moves it to host2 with the bandwidth capped and a downtime that is
never enough while the guest is busy, and writes what libvirt told every 0.25 s and at every
iteration. The scenarios that end by themselves only when the guest is idle are aborted.

A trace's first line says what was recorded; the last one how it ended; the others are
`virDomainGetJobStats` of the running job, with `at` in seconds since its start.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import threading
import time
from typing import Any
from typing import NamedTuple

import libvirt

from deploy.lab import plan as plans
from deploy.lab import probe
from deploy.lab import programs
from deploy.lab import registry
from deploy.lab.guest import build
from deploy.lab.guest import domain

TRACES = pathlib.Path(__file__).parent / "traces"
MIB = 1 << 20
MEMORY = 128  # MiB
REGION = 48  # MiB that a busy guest writes to, over and over
POLL = 0.25
BOOT = 60.0
KEPT = (
    "memory_total",
    "memory_processed",
    "memory_remaining",
    "memory_bps",
    "memory_dirty_rate",
    "memory_page_size",
    "memory_iteration",
    "memory_constant",
    "memory_normal",
    "disk_total",
    "disk_processed",
    "disk_remaining",
    "disk_bps",
    "downtime",
    "setup_time",
    "time_elapsed",
)
SECOND_DISK = """\
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{path}'/>
      <target dev='vdb' bus='virtio'/>
    </disk>
"""
FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    | libvirt.VIR_MIGRATE_NON_SHARED_INC
)


class Scenario(NamedTuple):
    """What the guest does while it is moved; `load` are (from second, MiB dirtied per second)."""

    name: str
    says: str
    load: tuple[tuple[float, int], ...] = ()
    bandwidth: int = 16  # MiB per second
    downtime: int = 10  # milliseconds
    seconds: float = 0.0  # after which it is aborted; 0: never
    second_disk: int = 0  # MiB of data on a second disk


def cycle(*steps: tuple[float, int], times: int) -> tuple[tuple[float, int], ...]:
    """Repeat (seconds, MiB per second) steps as a load."""
    load: list[tuple[float, int]] = []
    at = 0.0
    for length, rate in steps * times:
        load.append((at, rate))
        at += length
    return tuple(load)


SCENARIOS = (
    Scenario("idle", "an idle guest, moved with libvirt's usual 300 ms", downtime=300),
    Scenario(
        "busy-converging",
        "dirties 8 MiB/s while 16 MiB/s are copied: each iteration is half of the one before",
        load=((0.0, 8),),
        seconds=25,
    ),
    Scenario(
        "busy-oscillating",
        "dirties 40 MiB/s for 10 s, then 11 MiB/s for 6 s, and so on",
        load=cycle((10.0, 40), (6.0, 11), times=5),
        seconds=80,
    ),
    Scenario(
        "never-converging",
        "dirties 32 MiB/s while 16 MiB/s are copied: no iteration is smaller than the one before",
        load=((0.0, 32),),
        seconds=45,
    ),
    Scenario(
        "two-disks",
        "local disks, the second with 96 MiB of data, and a guest that dirties 4 MiB/s",
        load=((0.0, 4),),
        second_disk=96,
        seconds=40,
    ),
)


class Guest:
    """One guest of the lab with its disks on both hosts."""

    def __init__(self, plan: plans.Plan, scenario: Scenario) -> None:
        """Name it; `boot` starts it."""
        self.name = f"trace-{scenario.name}"
        self.address = plan.subnet.rsplit(".", 1)[0] + ".130"
        self._plan = plan
        self._scenario = scenario

    def boot(self, source: libvirt.virConnect) -> libvirt.virDomain:
        """Make the disks and start the guest; returns when it answers."""
        files = build.files()
        folder = f"{plans.INSTANCES}/{self.name}"
        for number, host in enumerate(self._plan.hosts):
            own = host.folder / "whimbrel" / "instances" / self.name
            own.mkdir(parents=True, exist_ok=True)
            self._disks(own, files.disk, filled=number == 0)
        load = REGION if self._scenario.load else 0
        text = domain.xml(
            domain.Guest(self.name, self.address, f"{folder}/disk", MEMORY, load, 0), files
        )
        if self._scenario.second_disk:
            extra = SECOND_DISK.format(path=f"{folder}/data")
            text = text.replace("    <interface", f"{extra}    <interface", 1)
        started = source.createXML(text, 0)
        probe.alive(self.address, BOOT)
        return started

    def tell(self, rate: int) -> None:
        """Have the guest dirty so many MiB a second."""
        probe.ask(self.address, f"dirty {rate}", 10.0)

    def _disks(self, folder: pathlib.Path, base: pathlib.Path, *, filled: bool) -> None:
        make = ("qemu-img", "create", "-q", "-f", "qcow2")
        programs.call(*make, "-F", "qcow2", "-b", str(base), str(folder / "disk"), "1G")
        size = self._scenario.second_disk
        if not size:
            return
        programs.call(*make, str(folder / "data"), "256M")
        if filled:
            programs.call("qemu-io", "-c", f"write -P 7 0 {size}M", str(folder / "data"))


class Recorder:
    """One job's statistics, from its start to its end."""

    extra = 0  # more flags

    def __init__(self, guest: Guest, scenario: Scenario) -> None:
        """Begin with nothing recorded."""
        self._guest = guest
        self._scenario = scenario
        self._load = list(scenario.load)
        self._ended = threading.Event()
        self._iterated = threading.Event()
        self._iteration = 0
        self.rows: list[dict[str, Any]] = []

    def on_iteration(self, _link: object, _domain: object, number: int, _opaque: object) -> None:
        """Hear libvirt's event."""
        self._iteration = number
        self._iterated.set()

    def run(self, moved: libvirt.virDomain, target: str, address: str) -> str:
        """Move the guest and record; gives "completed", or libvirt's complaint."""
        outcome: list[str] = []

        def move() -> None:
            try:
                moved.migrateSetMaxDowntime(self._scenario.downtime, 0)
                moved.migrateToURI3(target, self._parameters(address), FLAGS | self.extra)
                outcome.append("completed")
            except libvirt.libvirtError as error:
                outcome.append(str(error.get_error_message()))
            self._ended.set()
            self._iterated.set()

        thread = threading.Thread(target=move)
        began = time.monotonic()
        thread.start()
        self._watch(moved, began)
        thread.join()
        return outcome[0]

    def looked(self, moved: libvirt.virDomain, row: dict[str, Any]) -> None:
        """Do nothing about what was seen; who steers the job overrides this."""

    def found(self, host: str, domain: libvirt.virDomain) -> None:
        """Do nothing about the host that has the guest in the end; as above."""

    def _watch(self, moved: libvirt.virDomain, began: float) -> None:
        aborted = False
        while not self._ended.is_set():
            heard = self._iterated.wait(POLL)
            self._iterated.clear()
            at = time.monotonic() - began
            self._look(moved, at, heard=heard)
            while self._load and self._load[0][0] <= at:
                self._guest.tell(self._load.pop(0)[1])
            if self._scenario.seconds and at > self._scenario.seconds and not aborted:
                aborted = True
                moved.abortJob()

    def _look(self, moved: libvirt.virDomain, at: float, *, heard: bool) -> None:
        try:
            stats = moved.jobStats()
        except libvirt.libvirtError:
            return
        if stats.get("type") not in {
            libvirt.VIR_DOMAIN_JOB_BOUNDED,
            libvirt.VIR_DOMAIN_JOB_UNBOUNDED,
        }:
            return
        row = {"at": round(at, 3), "event": heard, "iteration": self._iteration}
        self.rows.append(row | {name: stats[name] for name in KEPT if name in stats})
        self.looked(moved, self.rows[-1])

    def _parameters(self, address: str) -> dict[str, Any]:
        targets = ["vda", "vdb"] if self._scenario.second_disk else ["vda"]
        return {
            libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{address}",
            libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: self._scenario.bandwidth,
            libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS: targets,
        }


def record(plan: plans.Plan, scenario: Scenario) -> pathlib.Path:
    """Record one scenario; gives the trace's file."""
    guest = Guest(plan, scenario)
    recorder = Recorder(guest, scenario)
    ended = move(plan, scenario, guest, recorder)
    return write(scenario, recorder.rows, ended, libvirt.open(plan.hosts[0].uri))


def move(plan: plans.Plan, scenario: Scenario, guest: Guest, recorder: Recorder) -> str:
    """Boot a guest, move it under the recorder's eyes and remove it; gives how the job ended."""
    source, destination = (libvirt.open(host.uri) for host in plan.hosts[:2])
    moved = guest.boot(source)
    event = source.domainEventRegisterAny(
        moved, libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, recorder.on_iteration, None
    )
    try:
        if scenario.load:
            guest.tell(scenario.load[0][1])
        peer = plan.hosts[1]
        return recorder.run(moved, f"qemu+tcp://{peer.name}/system", peer.address)
    finally:
        source.domainEventDeregisterAny(event)
        for link in (source, destination):
            for each in link.listAllDomains():
                if each.name() == guest.name:
                    recorder.found(link.getHostname(), each)
                    each.destroy()


def write(
    scenario: Scenario, rows: list[dict[str, Any]], ended: str, link: libvirt.virConnect
) -> pathlib.Path:
    """Write a trace, one JSON value a line."""
    head = {
        "trace": scenario.name,
        "says": scenario.says,
        "memory": MEMORY * MIB,
        "bandwidth": scenario.bandwidth * MIB,
        "downtime_ms": scenario.downtime,
        "aborted_by_recorder": bool(scenario.seconds),
        "libvirt": link.getLibVersion(),
        "qemu": link.getVersion(),
    }
    tail = {"ended": ended, "at": rows[-1]["at"] if rows else 0}
    path = TRACES / f"{scenario.name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [head, *rows, tail]))
    return path


def listen() -> None:
    """Have libvirt's events delivered, by a thread that ends with the process."""
    libvirt.virEventRegisterDefaultImpl()

    def turn() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=turn, daemon=True).start()


def main() -> None:
    """Record the scenarios asked for, or all."""
    parser = argparse.ArgumentParser(description="Record traces of real migrations in a lab.")
    parser.add_argument("--lab", default="lab", help="a lab that is up (default: %(default)s)")
    parser.add_argument("names", nargs="*", help="scenarios (default: all)")
    args = parser.parse_args()
    listen()
    plan = registry.find(args.lab)
    for scenario in SCENARIOS:
        if not args.names or scenario.name in args.names:
            print(f"{record(plan, scenario)}")  # noqa: T201 - people read it


if __name__ == "__main__":
    main()
