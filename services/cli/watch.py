"""Watching a move until it ends: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Callable
from typing import TextIO

from rich import console
from rich import progress

from services.cli import api
from services.cli import failures
from services.cli import statuses

POLL_SECONDS = 0.4
LINE_SECONDS = 3.0
OUTAGE_SECONDS = 60.0
MIB = 1024 * 1024
UNAVAILABLE = 503


class Screen(abc.ABC):
    """Where a watched move is shown."""

    @abc.abstractmethod
    def show(self, move: api.Row, percent: int) -> None:
        """Show the move as it is now."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave the last state standing."""


class Bar(Screen):
    """A progress bar that is drawn over."""

    def __init__(self, stream: TextIO) -> None:
        """Draw on the stream, a terminal."""
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.percentage:>3.0f} %"),
            progress.TextColumn("{task.fields[facts]}"),
            console=console.Console(file=stream),
        )
        self._progress.start()
        self._task = self._progress.add_task("", total=100, facts="")

    def show(self, move: api.Row, percent: int) -> None:
        """Draw the bar anew."""
        self._progress.update(
            self._task, completed=percent, description=title(move), facts=facts(move)
        )

    def close(self) -> None:
        """Draw a last time."""
        self._progress.stop()


class Lines(Screen):
    """A line whenever the status changes or a link breaks, and every few seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to the stream, a file or pipe."""
        self._stream = stream
        self._clock = clock
        self._last = (("", ""), 0.0)

    def show(self, move: api.Row, percent: int) -> None:
        """Write a line, if the last is old, or of another status or trouble."""
        last, when = self._last
        now = self._clock()
        state = (move["status"], trouble(move))
        if state == last and now - when < LINE_SECONDS:
            return
        self._last = (state, now)
        print(f"{percent:3d} %  {title(move)}  {facts(move)}".rstrip(), file=self._stream)

    def close(self) -> None:
        """Leave the lines as they are."""


def screen(stream: TextIO) -> Screen:
    """Make the screen that fits the stream."""
    return Bar(stream) if stream.isatty() else Lines(stream)


def follow(
    client: api.Api, uuid: str, stream: TextIO, until: frozenset[str] = statuses.ENDED
) -> api.Row:
    """Show the move until it has one of the statuses; the percent never goes back."""
    shown = screen(stream)
    bell = threading.Event()
    percent = 0
    try:
        while True:
            move = _look(client, uuid, bell)
            percent = max(percent, int((move.get("progress") or {}).get("percent", 0)))
            percent = 100 if move["status"] in statuses.ARRIVED else percent
            shown.show(move, percent)
            if move["status"] in until | statuses.ENDED:
                return move
            bell.wait(POLL_SECONDS)
    except KeyboardInterrupt:
        shown.close()
        print(f"the move goes on; see: whimbrel migration watch {uuid}", file=stream)
        raise
    finally:
        shown.close()


def title(move: api.Row) -> str:
    """Say what moves where, and how far it has come."""
    return f"{source(move)} -> {destination(move) or '?'}  {move['status']}"


def source(move: api.Row) -> str | None:
    """Give the host that the move leaves."""
    return move.get("source") or move.get("source_compute")


def destination(move: api.Row) -> str | None:
    """Give the host that the move goes to, once one is chosen."""
    return move.get("destination") or move.get("dest_compute")


def facts(move: api.Row) -> str:
    """Say what is waited for, how much is copied, how fast; at the end, the downtime."""
    if move["status"] in statuses.ENDED | statuses.ARRIVED:
        return trouble(move) or _stood_still(move)
    state = move.get("progress") or {}
    parts = [
        trouble(move),
        f"number {move['queue_position']} in the queue" if move.get("queue_position") else "",
        f"the guest runs on {destination(move)}" if state.get("post_copy") else "",
        *(f"{kind} {part(kind, state)}" for kind in ("memory", "disk") if part(kind, state)),
        f"{state['rate'] / MIB:.1f} MiB/s" if state.get("rate") else "",
        f"{state['dirty_rate'] / MIB:.1f} MiB/s written to" if state.get("dirty_rate") else "",
        f"iteration {state['iteration']}" if state.get("iteration") else "",
        f"{state['eta_ms'] / 1000:.0f} s left" if state.get("eta_ms") else "",
    ]
    return ", ".join(word for word in parts if word)


def _stood_still(move: api.Row) -> str:
    """Say how long its guest could not run: by the hypervisor's count, or off while copied."""
    downtime = move.get("downtime_ms")
    off = (move.get("cold") or {}).get("off_ms")
    if downtime is not None:
        return f"downtime {downtime} ms"
    return "" if off is None else f"off {off} ms while it was copied"


def trouble(move: api.Row) -> str:
    """Say what a move that has not ended waits for, if anything: a link that broke."""
    reason = move.get("error_message")
    return f"waiting: {reason}" if reason and move["status"] not in statuses.ENDED else ""


def part(kind: str, state: api.Row) -> str:
    """Say how much of the memory or disk is copied; nothing before it is known."""
    total = state.get(f"{kind}_total") or 0
    return copied({"total": total, "remaining": state.get(f"{kind}_remaining")})


def copied(state: api.Row) -> str:
    """Say how much of a thing is copied; nothing before it is known."""
    total = state.get("total") or 0
    if not total:
        return ""
    done = total - (state.get("remaining") or 0)
    return f"{done / MIB:.0f}/{total / MIB:.0f} MiB"


def reasons(move: api.Row) -> str:
    """Say why the move did not end well: where, in which step, and what each host said."""
    where = [word for word in (move.get("failed_step"), move.get("failed_host")) if word]
    place = f" ({' on '.join(where)})" if where else ""
    return f"{move['status']}{place}: {move.get('error_message') or 'no reason is recorded'}"


def _look(client: api.Api, uuid: str, bell: threading.Event) -> api.Row:
    """Ask for the move; an API that is away for a while does not end the watch."""
    deadline = time.monotonic() + OUTAGE_SECONDS
    while True:
        try:
            found: api.Row = client.get(f"/os-migrations/{uuid}")["migration"]
        except (failures.Unreachable, failures.Refused) as failure:
            away = getattr(failure, "status", UNAVAILABLE) == UNAVAILABLE
            if not away or time.monotonic() > deadline:
                raise
            bell.wait(POLL_SECONDS)
        else:
            return found
