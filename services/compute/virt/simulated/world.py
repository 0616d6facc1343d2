"""The simulated world: hosts, guests and shared storage inside this process."""

from __future__ import annotations

import dataclasses
import random
import threading
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import states

if TYPE_CHECKING:
    from common.clock import Clock

FEATURES = frozenset(
    {"auto-converge", "parallel", "post-copy", "post-copy-recovery", "tls", "xbzrle"}
)
ALIVE = frozenset({states.Power.RUNNING, states.Power.PAUSED})
TICK = 0.1  # seconds between two ticks of a guest


@dataclasses.dataclass
class Guest:
    """A guest whose memory is one number: the ticks it has counted.

    A guest that was started again counts from zero, so continuity shows.
    """

    uuid: str
    run_token: str
    memory_mb: int
    power: states.Power = states.Power.RUNNING
    permanent: bool = True
    dirty_mib: float = 0.0  # MiB of its memory that it writes again and again, each second
    counted: float = 0.0
    since: float | None = None
    disk_bytes: int = 0  # of its disks, nothing of which is written
    vcpus: int = 0

    def ticks(self, now: float) -> int:
        """Give the ticks counted until now (monotonic seconds)."""
        running = now - self.since if self.since is not None else 0.0
        return int((self.counted + running) / TICK)

    def go(self, now: float) -> None:
        """Let it count."""
        if self.since is None:
            self.since = now
        self.power = states.Power.RUNNING

    def halt(self, now: float, power: states.Power) -> None:
        """Keep it from counting; a guest that is not just paused loses its memory."""
        if self.since is not None:
            self.counted += now - self.since
            self.since = None
        if power != states.Power.PAUSED:
            self.counted = 0.0
        self.power = power


# The storage of all hosts of a world that shares it.
SHARED = "shared"


class Hold:
    """A driver's method that waits: `begun` when it is reached, until `go` is set."""

    def __init__(self) -> None:
        """Wait a minute at most, so that nothing hangs when it is forgotten."""
        self.begun = threading.Event()
        self.go = threading.Event()

    def wait(self) -> None:
        """Be the method that waits."""
        self.begun.set()
        self.go.wait(60)


def plain() -> objects.HostFacts:
    """Give what every simulated host is unless a test says otherwise."""
    return objects.HostFacts(
        architecture="x86_64",
        hypervisor_type="simulated",
        hypervisor_version=1_000_000,
        machine_types=["simulated"],
        features=sorted(FEATURES),
    )


@dataclasses.dataclass
class Host:
    """One simulated host: its guests, its files, and the faults planted on it."""

    name: str
    guests: dict[str, Guest] = dataclasses.field(default_factory=dict)
    files: set[str] = dataclasses.field(default_factory=set)
    # What has landed of cold moves: (migration, file): its chunks.
    copies: dict[tuple[str, str], list[str]] = dataclasses.field(default_factory=dict)
    # Cold migration: the guest that it made here, and the one that is kept for it.
    made: dict[str, str] = dataclasses.field(default_factory=dict)
    kept: dict[str, Guest] = dataclasses.field(default_factory=dict)
    frozen: set[str] = dataclasses.field(default_factory=set)  # moves whose guest writes elsewhere
    rigid: bool = False  # its guests cannot write beside their disks
    storage: str = ""  # name of what several hosts keep their files on; empty: its own disk
    holds: dict[str, Hold] = dataclasses.field(default_factory=dict)
    faults: dict[str, Exception] = dataclasses.field(default_factory=dict)
    # What checks look at, to be planted too.
    facts: objects.HostFacts = dataclasses.field(default_factory=plain)
    without: set[str] = dataclasses.field(default_factory=set)  # bridges; all others are there
    free_bytes: int | None = None  # of disk; None: as configured
    foreign: list[objects.ForeignGuest] = dataclasses.field(default_factory=list)
    coming: dict[str, int] = dataclasses.field(default_factory=dict)  # folder: bytes of its disks
    # How it behaves again and again: a driver's method, and what comes of it.
    slow: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds that it takes
    fails: dict[str, float] = dataclasses.field(default_factory=dict)  # chance that it fails


class World:
    """What the simulated hosts of one process share."""

    def __init__(self, clock: Clock, *, shared_storage: bool = False, seed: int = 0) -> None:
        """Begin without hosts; equal seeds give equal luck."""
        self.clock = clock
        self.luck = random.Random(seed)  # noqa: S311 - it decides which simulated calls fail
        self.lock = threading.RLock()
        self.hosts: dict[str, Host] = {}
        self.cut: set[str] = set()  # hosts that no other host can reach
        self._shared: set[str] | None = set() if shared_storage else None

    def host(self, name: str) -> Host:
        """Give the host of this name, made when first asked for."""
        with self.lock:
            if name not in self.hosts:
                self.hosts[name] = Host(name)
                if self._shared is not None:
                    self.hosts[name].files = self._shared
                    self.hosts[name].storage = SHARED
            return self.hosts[name]

    def sharing(self, host: Host) -> list[Host]:
        """Give the hosts that keep their files where this one does, itself too."""
        if not host.storage:
            return [host]
        return [each for each in self.hosts.values() if each.storage == host.storage]

    def deliver(self, host: Host) -> None:
        """Hand over what has gone to this host, if it is simulated by another process."""

    def receive(self, host: Host) -> None:
        """Take in what other processes have handed over for this host."""

    def running(self, uuid: str) -> list[str]:
        """Name every host on which this guest is running or paused."""
        with self.lock:
            return sorted(
                host.name
                for host in self.hosts.values()
                if uuid in host.guests and host.guests[uuid].power in ALIVE
            )

    def ticks(self, uuid: str) -> int:
        """Give what the one running copy of the guest has counted; LookupError if none runs."""
        with self.lock:
            (host,) = self.running(uuid)
            return self.hosts[host].guests[uuid].ticks(self.clock.monotonic())

    def plant(self, host: str, method: str, fault: Exception) -> None:
        """Make the driver's method fail once on that host."""
        with self.lock:
            self.host(host).faults[method] = fault

    def hold(self, host: str, method: str) -> Hold:
        """Make the driver's method wait once on that host."""
        held = Hold()
        with self.lock:
            self.host(host).holds[method] = held
        return held

    def trip(self, host: Host, method: str, stopped: threading.Event) -> None:
        """Wait where a hold is planted for this method, and raise its fault, each once.

        Then do what this host does again and again: be slow, and fail.
        """
        with self.lock:
            held = host.holds.pop(method, None)
            fault = host.faults.pop(method, None)
            unlucky = self.luck.random() < host.fails.get(method, 0.0)
        if held is not None:
            held.wait()
        if fault is not None:
            raise fault
        stopped.wait(host.slow.get(method, 0.0))
        if unlucky:
            raise errors.HypervisorError(
                f"{host.name}: {method} fails now and then, as its topology has it"
            )
