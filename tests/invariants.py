"""What must hold whenever nothing is going on, whatever went wrong before.

The numbers are those of ARCHITECTURE.md. I5 and I9 are about every instant:
`Watch` looks while something goes on.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import Self

import sqlalchemy as sa

from common import objects
from common import states
from common.db import claims
from common.db import moves
from common.db import tables
from tests import stage as stages
from tests import waiting

POWER = {
    states.Vm.ACTIVE: states.Power.RUNNING,
    states.Vm.PAUSED: states.Power.PAUSED,
    states.Vm.STOPPED: states.Power.SHUTDOWN,
}
WELL = frozenset({states.Move.COMPLETED, states.Move.CONFIRMED, states.Move.REVERTED})
# Seconds for what nobody waits for: a cast that tidies up, a report of a success.
SOON = 2.0


def hold(stage: stages.Stage) -> None:
    """Fail unless every invariant holds, a moment from now at the latest."""
    with contextlib.suppress(AssertionError):
        waiting.until(lambda: not list(_broken(stage)), "everything holds", SOON)
    broken = list(_broken(stage))
    assert not broken, "\n".join(broken)


def _broken(stage: stages.Stage) -> Iterator[str]:
    """Say what does not hold."""
    yield from _placed(stage)
    yield from _allocated(stage)
    yield from _ended(stage)
    yield from _told(stage)
    yield from _tidy(stage)


def _placed(stage: stages.Stage) -> Iterator[str]:
    """I1 one running copy, I2 it still runs, I3 the recorded host is the observed one."""
    for server in stage.servers():
        running = stage.world.running(server.uuid)
        if server.task_state is not None:
            yield f"{server.uuid} is still {server.task_state}"
        if len(running) > 1:
            yield f"I1: {server.uuid} runs on {running}"
        if _unknown(stage, server):
            continue
        wanted = [server.host] if server.vm_state in states.MOVABLE else []
        if running != wanted:
            yield f"I3: {server.uuid} is {server.vm_state} on {server.host}, runs on {running}"
        if server.vm_state in POWER:
            yield from _powered(stage, server)


def _powered(stage: stages.Stage, server: objects.Instance) -> Iterator[str]:
    guest = stage.world.host(str(server.host)).guests.get(server.uuid)
    power = guest.power if guest else None
    if not (POWER[states.Vm(server.vm_state)] == server.power_state == power):
        yield f"I2: {server.uuid} is {server.vm_state}, power {server.power_state}, seen {power}"
    if guest is not None and guest.run_token != server.run_token:
        yield f"I2: {server.uuid} runs as {guest.run_token}, recorded is {server.run_token}"


def _allocated(stage: stages.Stage) -> Iterator[str]:
    """I4: allocations are placements, and what moves that nobody understands may still use."""
    wanted: dict[tuple[str, str], dict[str, int]] = {}
    for server in stage.servers():
        if server.host is None or server.vm_state == states.Vm.ERROR:
            continue
        amounts = claims.amounts(server.flavor)
        lost = _unknown(stage, server)
        if lost is None:
            wanted[server.uuid, server.host] = amounts
        else:
            wanted[server.uuid, str(lost.destination)] = amounts
            wanted[lost.uuid, lost.source] = amounts
    found: dict[tuple[str, str], dict[str, int]] = collections.defaultdict(dict)
    with stage.database.read() as tx:
        for row in tx.rows(sa.select(tables.ALLOCATIONS)):
            found[row["consumer"], row["host"]][row["class"]] = row["amount"]
    if wanted != found:
        yield f"I4: held is {dict(found)}, wanted {wanted}"


def _ended(stage: stages.Stage) -> Iterator[str]:
    """I6: every move is over, and one that did not arrive says why."""
    for move in stage.moves():
        if move.status not in states.TERMINAL or move.finished_at is None:
            yield f"I6: {move.uuid} is {move.status}, ended at {move.finished_at}"
        arrived = move.status in WELL
        if arrived == bool(move.error_code and move.error_message):
            yield f"I6: {move.uuid} is {move.status} because of {move.error_message}"


def _told(stage: stages.Stage) -> Iterator[str]:
    """The journals and the actions of all that is over have ends."""
    for move in stage.moves():
        for step in stage.steps(move.uuid):
            if step.state == states.StepState.STARTED or step.finished_at is None:
                yield f"{step.step} of {move.uuid} never ended"
    for server in stage.servers():
        for row in stage.actions(server.uuid):
            action = stage.action(server.uuid, row.request_id)
            open_ = [event.event for event in action.events if event.finished_at is None]
            if action.finished_at is None or open_:
                yield f"{action.action} of {server.uuid} never ended: {open_}"


def _tidy(stage: stages.Stage) -> Iterator[str]:
    """I8: each server's folder is where it is recorded, and nothing else is anywhere."""
    wanted: dict[str, set[str]] = {host: set() for host in stage.hosts}
    for server in stage.servers():
        lost = _unknown(stage, server)
        places = [server.host] if lost is None else [lost.source, lost.destination]
        for host in places:
            if host is not None and server.vm_state != states.Vm.ERROR:
                wanted[host].add(f"instances/{server.uuid}")
    if stage.shared:
        everything = set().union(*wanted.values())
        wanted = dict.fromkeys(wanted, everything)
    with stage.world.lock:
        found = {host: set(stage.world.host(host).files) for host in stage.hosts}
    if wanted != found:
        yield f"I8: files are {found}, wanted {wanted}"


def _unknown(stage: stages.Stage, server: objects.Instance) -> objects.Migration | None:
    """Give the server's move that ended so that a person must look, until one has."""
    with stage.database.read() as tx:
        found = moves.unsettled(tx, server.uuid)
    return found[-1] if found else None


class Watch:
    """Looks at every move's row for as long as the block lasts: I5 and I9."""

    def __init__(self, stage: stages.Stage) -> None:
        self.most_out: collections.Counter[str] = collections.Counter()
        self.most_in: collections.Counter[str] = collections.Counter()
        self.order: list[str] = []  # moves in the order in which they got their slot
        self.percents: dict[str, list[int]] = collections.defaultdict(list)
        self._stage = stage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.005):
            now = self._stage.moves()
            held = [move for move in now if move.status in states.IN_SLOT]
            self._count(self.most_out, collections.Counter(move.source for move in held))
            self._count(self.most_in, collections.Counter(move.destination for move in held))
            self.order += [move.uuid for move in held if move.uuid not in self.order]
            for move in now:
                if move.progress is not None:
                    self.percents[move.uuid].append(move.progress.percent)

    def _count(self, most: collections.Counter[str], now: collections.Counter[str | None]) -> None:
        for host, number in now.items():
            most[str(host)] = max(most[str(host)], number)
