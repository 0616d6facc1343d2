"""How long each phase of a move took, read from its journal."""

from __future__ import annotations

import datetime
import json
from typing import Any
from typing import TYPE_CHECKING

from common import states
from common.db import moves
from services.api.views import fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Iterator
    from collections.abc import Sequence

    from common import objects

    Moment = datetime.datetime
    Steps = Sequence[objects.MigrationStep]
    Phases = tuple[tuple[str, Callable[[objects.Migration, Steps], Moment | None]], ...]

DECISION = "decide_"
PREPARE = "pre_live_migration"
UNDO = "rollback_live_migration_at_destination"
LAST_CHECK = "check_can_live_migrate_source"


def durations(move: objects.Migration, steps: Steps, now: Moment) -> dict[str, int] | None:
    """Give the milliseconds of each phase that began, and of the whole; None without a beginning.

    A phase ends where the next one begins, the last one with the move, or now
    while it goes on. Their sum is the total, but for hosts' clocks.
    """
    if move.created_at is None:
        return None
    end = move.finished_at or now
    begun = list(_begun(move, steps))
    ends = [*(moment for _, moment in begun[1:]), end]
    shown = {
        name: _milliseconds(began, until) for (name, began), until in zip(begun, ends, strict=True)
    }
    return {**shown, "total": _milliseconds(move.created_at, end)}


def decisions(steps: Steps) -> list[dict[str, Any]]:
    """Give what was decided about the running job, why, and with which numbers."""
    return [_decision(step) for step in steps if step.step.startswith(DECISION)]


def _begun(move: objects.Migration, steps: Steps) -> Iterator[tuple[str, Moment]]:
    """Give each phase that began, with when, in the order of its table."""
    for name, find in LIVE if move.type == states.Kind.LIVE else COLD:
        moment = find(move, steps)
        if moment is not None:
            yield name, moment


def _created(move: objects.Migration, _steps: Steps) -> Moment | None:
    return move.created_at


def _checked(move: objects.Migration, steps: Steps) -> Moment | None:
    """Give when the checks ended that let the move into the queue."""
    passed = [
        step.finished_at
        for step in steps
        if step.step == LAST_CHECK and step.state == states.StepState.DONE
    ]
    return passed[-1] if passed and move.status != states.Move.ACCEPTED else None


def _first(name: str) -> Callable[[objects.Migration, Steps], Moment | None]:
    """Make the reader of when a step began first."""

    def find(_move: objects.Migration, steps: Steps) -> Moment | None:
        return next(_starts(name, steps), None)

    return find


def _preparing(move: objects.Migration, steps: Steps) -> objects.MigrationStep | None:
    """Give the step in which the destination makes ready; not that of one that refused before.

    Each time that the checks end well one is asked.
    """
    asked = [step for step in steps if step.step == PREPARE]
    checked = [
        step for step in steps if step.step == LAST_CHECK and step.state == states.StepState.DONE
    ]
    again = len(asked) < len(checked) or move.status == states.Move.ACCEPTED
    return None if again or not asked else asked[-1]


def _prepared(move: objects.Migration, steps: Steps) -> Moment | None:
    """Give when the destination began to make ready."""
    step = _preparing(move, steps)
    return None if step is None else step.started_at


def _rolled_back(move: objects.Migration, steps: Steps) -> Moment | None:
    """Give when the undo at that destination began."""
    there = _preparing(move, steps)
    undone = (step for step in steps if there and (step.step, step.host) == (UNDO, there.host))
    return next((step.started_at for step in undone), None)


def _done(name: str) -> Callable[[objects.Migration, Steps], Moment | None]:
    """Make the reader of when a step ended well last."""

    def find(_move: objects.Migration, steps: Steps) -> Moment | None:
        ends = [
            step.finished_at
            for step in steps
            if step.step == name and step.state == states.StepState.DONE
        ]
        return ends[-1] if ends else None

    return find


def _off(move: objects.Migration, steps: Steps) -> Moment | None:
    """Give when the guest was off: so long before its copy ended."""
    ended = _done(moves.COPY)(move, steps)
    if ended is None or move.cold is None or move.cold.off_ms is None:
        return None
    return ended - datetime.timedelta(milliseconds=move.cold.off_ms)


def _starts(name: str, steps: Iterable[objects.MigrationStep]) -> Iterator[Moment]:
    return (step.started_at for step in steps if step.step == name)


# Phase: when it began. The words are those of the status.
LIVE: Phases = (
    ("accepted", _created),
    ("queued", _checked),
    ("preparing", _prepared),
    ("running", _first("migrate")),
    ("running (post-copy)", _first("switch_to_post_copy")),
    ("post-migrating", _first("post_live_migration_at_destination")),
    ("rolling-back", _rolled_back),
)


# Of a cold move. The guest is off from `off` to the end of `finishing`.
COLD: Phases = (
    ("accepted", _created),
    ("preparing", _first("prep_resize")),
    ("waiting", _done("prep_resize")),
    ("copying", _first(moves.COPY)),
    ("off", _off),
    ("finishing", _first("finish_resize")),
    ("undoing", _first("undo_resize")),
    ("finished", _done("finish_resize")),
    ("confirming", _first("confirm_resize")),
    ("reverting", _first("revert_resize")),
)


def _decision(step: objects.MigrationStep) -> dict[str, Any]:
    """Show a decision; its details are a sentence and, behind it, the numbers as JSON."""
    words, brace, numbers = (step.details or "").rpartition(" {")
    return {
        "action": step.step.removeprefix(DECISION),
        "at": fields.micros(step.started_at),
        "reason": words if brace else step.details,
        "inputs": json.loads(brace.strip() + numbers) if brace else {},
    }


def _milliseconds(began: Moment, ended: Moment) -> int:
    # The conductor's clock and the hosts' may differ a little.
    return max(0, round((ended - began).total_seconds() * 1000))
