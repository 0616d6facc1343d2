"""Measures a guest's silence from outside: a UDP probe every 10 ms, and what came back.

with probe.Prober("198.51.100.130") as prober:
    migrate()
print(prober.report().longest_gap_ms)
"""

import re
import select
import socket
import threading
import time
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from types import TracebackType
from typing import Self

from deploy.lab import errors
from deploy.lab import waiting

PORT = 7
INTERVAL = 0.01
TICK_MS = 100
ANSWER = re.compile(rb"boot=(\w+) tick=(\d+) mono_ms=(\d+)")
NOTED_GAP_MS = 100.0
NOTED_GAPS = 100
BUSY = "busy"


@dataclass(frozen=True)
class Answer:
    """What a guest said, and when it was heard, in seconds of the monotonic clock."""

    boot: str
    tick: int
    mono_ms: int
    heard: float


@dataclass
class Report:
    """What was seen of a guest.

    A gap is the time between two answers, or between the last one and the end;
    `restarted` says that the guest lost its memory: another boot, or a tick
    that went back. `missed_ticks` is how many fewer ticks the guest lived than
    the wall clock has room for.
    """

    address: str
    seconds: float = 0.0
    sent: int = 0
    answered: int = 0
    first_tick: int | None = None
    last_tick: int | None = None
    missed_ticks: int = 0
    boots: list[str] = field(default_factory=list)
    restarted: bool = False
    longest_gap_ms: float = 0.0
    longest_gap_began: float = 0.0
    gaps: list[dict[str, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The report as plain values; times are seconds of the Unix epoch or milliseconds."""
        return asdict(self)


class Record:
    """Turns answers, in the order heard, into a report; does no input or output."""

    def __init__(self, address: str, began: float, epoch: float) -> None:
        self._report = Report(address)
        self._began = began
        self._epoch = epoch
        self._first: Answer | None = None
        self._last: Answer | None = None

    def sent(self) -> None:
        """Count one probe."""
        self._report.sent += 1

    def hear(self, answer: Answer) -> None:
        """Take one answer into account."""
        report = self._report
        if self._last is None:
            self._first = answer
            report.first_tick = answer.tick
        else:
            self._gap(self._last.heard, answer.heard)
            report.restarted |= answer.boot != self._last.boot or answer.tick < self._last.tick
        if answer.boot not in report.boots:
            report.boots.append(answer.boot)
        report.answered += 1
        report.last_tick = answer.tick
        self._last = answer

    def close(self, now: float) -> Report:
        """The report up to now, with the silence since the last answer."""
        report = self._report
        report.seconds = round(now - self._began, 3)
        self._gap(self._last.heard if self._last else self._began, now)
        if self._first and self._last:
            lived = (self._last.heard - self._first.heard) * 1000 / TICK_MS
            report.missed_ticks = max(0, round(lived) - (self._last.tick - self._first.tick))
        return report

    def _gap(self, since: float, until: float) -> None:
        length = round((until - since) * 1000, 1)
        began = round(self._epoch + since - self._began, 3)
        if length > self._report.longest_gap_ms:
            self._report.longest_gap_ms = length
            self._report.longest_gap_began = began
        if length >= NOTED_GAP_MS and len(self._report.gaps) < NOTED_GAPS:
            self._report.gaps.append({"began": began, "ms": length})


class Prober:
    """Probes one guest in the background from `start` to `stop`, or within a `with` block."""

    def __init__(self, address: str, port: int = PORT, interval: float = INTERVAL) -> None:
        self._target = (address, port)
        self._interval = interval
        self._ended = threading.Event()
        self._heard = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe {address}", daemon=True)
        self._report: Report | None = None

    def __enter__(self) -> Self:
        """Begin to probe."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, keeping the report."""
        self.stop()

    def start(self) -> Self:
        """Begin to probe; returns at once."""
        self._thread.start()
        return self

    def wait_heard(self, seconds: float) -> None:
        """Return at the first answer, or raise TooLate."""
        if not self._heard.wait(seconds):
            raise errors.TooLate(f"no answer from {self._target[0]} within {seconds:.0f} s")

    def stop(self) -> Report:
        """End, and tell what was seen; may be called again."""
        self._ended.set()
        self._thread.join()
        return self.report()

    def report(self) -> Report:
        """What was seen, once it has stopped."""
        if self._report is None:
            raise errors.TooLate("the prober has not stopped yet")
        return self._report

    def _run(self) -> None:
        record = Record(self._target[0], time.monotonic(), time.time())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            due = time.monotonic()
            while not self._ended.is_set():
                now = time.monotonic()
                if now >= due:
                    send(channel, self._target)
                    record.sent()
                    # Probes that were due while this process did not run are not made up for.
                    due = max(due + self._interval, now)
                if select.select([channel], [], [], max(0.0, due - time.monotonic()))[0]:
                    self._listen(channel, record)
        self._report = record.close(time.monotonic())

    def _listen(self, channel: socket.socket, record: Record) -> None:
        answer = receive(channel)
        if answer:
            record.hear(answer)
            self._heard.set()


def send(channel: socket.socket, target: tuple[str, int]) -> None:
    """Send one probe; one that cannot leave is a probe without an answer."""
    try:
        channel.sendto(b"probe", target)
    except OSError:
        return


def receive(channel: socket.socket) -> Answer | None:
    """One waiting answer; none if something else came, such as an ICMP error."""
    try:
        data = channel.recv(256)
    except OSError:
        return None
    return parse(data, time.monotonic())


def parse(data: bytes, heard: float) -> Answer | None:
    """The answer in a datagram, if it is one."""
    match = ANSWER.match(data)
    if not match:
        return None
    return Answer(match[1].decode(), int(match[2]), int(match[3]), heard)


def ask(address: str, words: str, seconds: float, port: int = PORT) -> str:
    """A guest's answer to one command, such as "write 16" or "dirty 4", or TooLate.

    The command is carried out once at most: it may be lost, and is sent again only to a guest
    that was busy, as one is for a moment after its last answer.
    """

    def answer() -> str | None:
        told = _ask(address, words, seconds, port)
        return None if told == BUSY else told

    return waiting.until(answer, seconds, f"the guest at {address} is busy, {words!r} waits")


def _ask(address: str, words: str, seconds: float, port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(seconds)
        try:
            channel.connect((address, port))
            channel.send(words.encode())
            return channel.recv(256).decode().strip()
        except OSError as error:
            raise errors.TooLate(f"no answer from {address} to {words!r}: {error}") from error


def alive(address: str, seconds: float) -> Answer:
    """The first answer of a guest that may still be booting, or TooLate."""

    def answer() -> Answer | None:
        try:
            return parse(ask(address, "probe", 0.3).encode(), time.monotonic())
        except errors.TooLate:
            return None

    return waiting.until(answer, seconds, f"an answer from the guest at {address}")


def describe(report: Report) -> str:
    """The report for people."""
    ticks = f"{report.first_tick} to {report.last_tick}, {report.missed_ticks} missed"
    counts = f"{report.sent} sent, {report.answered} answered in {report.seconds:.1f} s"
    return "\n".join(
        [
            f"guest        {report.address}",
            f"probes       {counts}",
            f"longest gap  {report.longest_gap_ms:.0f} ms",
            f"ticks        {ticks}",
            f"boots seen   {' '.join(report.boots) or 'none'}",
            f"restarted    {'yes' if report.restarted else 'no'}",
        ]
    )
