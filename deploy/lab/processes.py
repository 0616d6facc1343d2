"""Processes without a service manager: started detached, remembered, found again, ended.

A process is remembered by its id, its start time and the machine's boot id, so
that a recycled id is never taken for it.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from deploy.lab import errors
from deploy.lab import waiting

PROC = Path("/proc")
MARK = "WHIMBREL_LAB_PROCESS"
STATES = {"Z": "dead", "X": "dead", "T": "stopped", "t": "stopped"}
ENDED = 15.0


@dataclass(frozen=True)
class Record:
    """One started process; `since` is in seconds of the Unix epoch."""

    pid: int
    ticks: int
    boot: str
    since: float


def start(root: Path, host: str, service: str, argv: list[str], environ: dict[str, str]) -> Record:
    """Start a service in a session of its own, its output appended to its log."""
    path = log(root, host, service)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**environ, MARK: str(root)},
            cwd="/",
        )
    # It outlives this program on purpose; nobody here waits for it.
    child.returncode = 0
    record = Record(child.pid, stat(child.pid)[1], boot_id(), time.time())
    place = record_path(root, host, service)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(asdict(record)))
    return record


def recall(root: Path, host: str, service: str) -> Record | None:
    """What was started last for this service, dead or alive."""
    try:
        return Record(**json.loads(record_path(root, host, service).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def state(record: Record | None) -> str:
    """One of running, stopped (by a signal), dead, never started."""
    if record is None:
        return "never started"
    letter, ticks = stat(record.pid)
    if ticks != record.ticks or record.boot != boot_id():
        return "dead"
    return STATES.get(letter, "running")


def send(record: Record, number: int) -> None:
    """Signal a service, that is its process group; nothing happens if it is dead."""
    if state(record) in {"running", "stopped"}:
        try:
            os.killpg(record.pid, number)
        except ProcessLookupError:
            return


def parse_signal(word: str) -> int:
    """A signal's number from KILL, SIGKILL or 9, or Unknown."""
    if word.isdigit() and int(word) in {int(each) for each in signal.Signals}:
        return int(word)
    name = word.upper().removeprefix("SIG")
    if f"SIG{name}" in signal.Signals.__members__:
        return int(signal.Signals[f"SIG{name}"])
    raise errors.Unknown(f"no signal {word!r}", "use a name like TERM, KILL, STOP, CONT")


def end_all(root: Path, namespaces: set[int]) -> int:
    """Kill every process of a lab and see it gone; the number of those there were.

    What a killed process had just started is found by looking again, and by
    its session: one that begins another program in this moment has no mark.
    """
    seen: set[int] = set()
    leaders = remembered(root)

    def gone() -> bool:
        found = set(members(root, namespaces, leaders))
        leaders.update(pid for pid in found if session(pid) == pid)
        seen.update(found)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not found

    waiting.until(gone, ENDED, f"the end of the processes of {root}")
    return len(seen)


def remembered(root: Path) -> set[int]:
    """The ids of the services that were started and live: each leads a session."""
    paths = (root / "run").glob("*.json")
    records = [recall(root, *path.stem.split("-", 1)) for path in paths]
    return {each.pid for each in records if each and state(each) in {"running", "stopped"}}


def members(root: Path, namespaces: set[int], leaders: set[int]) -> Iterator[int]:
    """Living processes that belong to a lab, whoever started them.

    They carry its mark, or are in one of its namespaces, or see its folders
    mounted, or belong to one of its sessions: QEMU is found by the middle two,
    libvirtd having cleaned its environment.
    """
    own = os.getpid()
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        if stat(int(entry.name))[0] in {"Z", "X", ""}:
            continue
        ours = session(int(entry.name)) in leaders
        if ours or marked(entry, root) or inside(entry, namespaces) or mounted(entry, root):
            yield int(entry.name)


def session(pid: int) -> int:
    """The id of a process's session, or 0 if there is no such process."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def marked(entry: Path, root: Path) -> bool:
    """Whether a process was started by the lab, or descends from one that was."""
    return f"{MARK}={root}".encode() in content(entry / "environ").split(b"\0")


def inside(entry: Path, namespaces: set[int]) -> bool:
    """Whether a process is in one of the namespaces, given by inode."""
    return any(inode(entry / "ns" / kind) in namespaces for kind in ("net", "mnt", "uts"))


def mounted(entry: Path, root: Path) -> bool:
    """Whether a process sees a host's folder of this lab bound to some other place."""
    mark = f"/{root.parent.name}/{root.name}/hosts/".encode()
    return any(mark in line.split(b" ", 4)[3] for line in content(entry / "mountinfo").splitlines())


def inode(path: Path) -> int:
    """A file's inode, or 0 if it cannot be seen."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def content(path: Path) -> bytes:
    """A /proc file's bytes; none if the process has gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def stat(pid: int) -> tuple[str, int]:
    """A process's state letter and start time in clock ticks; ("", 0) if there is none."""
    words = content(PROC / str(pid) / "stat").rpartition(b")")[2].split()
    return (words[0].decode(), int(words[19])) if words else ("", 0)


def boot_id() -> str:
    """Changes when the machine restarts, and process ids begin anew."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def log(root: Path, host: str, service: str) -> Path:
    """Where a service's output goes."""
    return root / "logs" / f"{host}-{service}.log"


def record_path(root: Path, host: str, service: str) -> Path:
    """Where a service's process is remembered."""
    return root / "run" / f"{host}-{service}.json"
