"""The steps of a cold move: data. Whoever wants to know what follows what reads this table.

A move stands at one step at a time (its row's `stage`); the step's host is
told to do it, reports, and the report leads to the next step or to an end.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common import states
from common.states import Move
from common.states import Task

if TYPE_CHECKING:
    from common import objects


class Role(StrEnum):
    """Whose step it is."""

    SOURCE = "source"
    DESTINATION = "destination"


class End(StrEnum):
    """What may follow a step that is no step."""

    FINISHED = "finished"  # the guest is at its destination, and somebody confirms or reverts
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    UNDONE = "undone"  # failed or cancelled; the guest is where it was
    NEXT_HOST = "next host"
    AGAIN = "again"  # the same step, when its lease has run out


class Step(NamedTuple):
    """One step: its host, what the rows say meanwhile, and what follows it.

    A status or task of None leaves them as they are. `skip` tells that the
    step is left out when its host was forced down, for it only tidies up there.
    One that `starts` is done only if a guest that ran does so after it.
    """

    role: Role
    status: Move | None
    task: Task | None
    then: str
    otherwise: str
    skip: bool = False
    starts: bool = False


STEPS: dict[str, Step] = {
    "prep_resize": Step(
        Role.DESTINATION,
        Move.PRE_MIGRATING,
        Task.RESIZE_PREP,
        then="resize_instance",
        otherwise=End.NEXT_HOST,
    ),
    "resize_instance": Step(
        Role.SOURCE,
        Move.MIGRATING,
        Task.RESIZE_MIGRATING,
        then="finish_resize",
        otherwise="undo_resize",
    ),
    "finish_resize": Step(
        Role.DESTINATION,
        Move.POST_MIGRATING,
        Task.RESIZE_FINISH,
        then=End.FINISHED,
        otherwise="undo_resize",
        starts=True,
    ),
    "undo_resize": Step(
        Role.DESTINATION, None, None, then="restore_instance", otherwise=End.AGAIN, skip=True
    ),
    "restore_instance": Step(Role.SOURCE, None, None, then=End.UNDONE, otherwise=End.AGAIN),
    "confirm_resize": Step(
        Role.SOURCE,
        Move.CONFIRMING,
        Task.RESIZE_CONFIRMING,
        then="settle_resize",
        otherwise=End.AGAIN,
        skip=True,
    ),
    "settle_resize": Step(
        Role.DESTINATION,
        Move.CONFIRMING,
        Task.RESIZE_CONFIRMING,
        then=End.CONFIRMED,
        otherwise=End.AGAIN,
        skip=True,
    ),
    "revert_resize": Step(
        Role.DESTINATION,
        Move.REVERTING,
        Task.RESIZE_REVERTING,
        then="finish_revert_resize",
        otherwise=End.AGAIN,
        skip=True,
    ),
    "finish_revert_resize": Step(
        Role.SOURCE, Move.REVERTING, Task.RESIZE_REVERTING, then=End.REVERTED, otherwise=End.AGAIN
    ),
}

# A failure that leads elsewhere than the step's `otherwise`: the destination
# that shall tidy up has seen the guest run, so the move goes on to its end.
UNLESS: dict[tuple[str, str], str] = {
    ("undo_resize", errors.Conflict.code): "finish_resize",
}

# Where the reason why a move is undone leads elsewhere, once its destination has tidied up:
# the source has found no way there, and the guest was not touched.
BECAUSE: dict[tuple[str, str], str] = {
    ("undo_resize", errors.CopyPathClosed.code): End.NEXT_HOST,
}

# What a host is asked for once it is back that could not be asked for a step, or for
# what the step has made; and the ends of a move after which that is right.
LATER: dict[str, str] = {
    "prep_resize": "undo_resize",
    "undo_resize": "undo_resize",
    "revert_resize": "undo_resize",
    "confirm_resize": "confirm_resize",
    "settle_resize": "settle_resize",
}
AFTER: dict[str, frozenset[Move]] = {
    "undo_resize": frozenset({Move.FAILED, Move.CANCELLED, Move.REVERTED}),
    "confirm_resize": frozenset({Move.CONFIRMED}),
    "settle_resize": frozenset({Move.CONFIRMED}),
}

# The step before which nothing of a move is anywhere but in rows.
PREPARE = "prep_resize"

# In these a user's abort stops the move.
ABORTABLE = (Move.ACCEPTED, Move.PRE_MIGRATING, Move.MIGRATING)


def follows(name: str, error_code: str | None, because: str | None = None) -> str:
    """Give the step or End that follows a step that ended well (None) or with this error.

    `because` is the error for which the move is undone, if it is.
    """
    step = STEPS[name]
    if error_code is None:
        return BECAUSE.get((name, str(because)), step.then)
    return UNLESS.get((name, error_code), step.otherwise)


def before(name: str, other: str) -> bool:
    """Tell whether the one step comes before the other."""
    names = list(STEPS)
    return names.index(name) < names.index(other)


def host(migration: objects.Migration, name: str) -> str:
    """Give the host that does this step of the move."""
    role = STEPS[name].role
    return str(migration.source if role is Role.SOURCE else migration.destination)


def flavor(migration: objects.Migration, name: str) -> objects.Flavor:
    """Give the flavor that the guest has on the step's host."""
    agreed = cold(migration)
    return agreed.old_flavor if STEPS[name].role is Role.SOURCE else agreed.new_flavor


def left_out(migration: objects.Migration, name: str) -> bool:
    """Tell whether the move goes on without a step whose host was forced down.

    Not where the same host has to do the next one, unless that is left out, too.
    """
    step = STEPS[name]
    if not step.skip or step.then not in STEPS:
        return step.skip
    alone = host(migration, step.then) != host(migration, name)
    return alone or left_out(migration, step.then)


def cold(migration: objects.Migration) -> objects.ColdMove:
    """Give what both hosts know of the move; Invalid for a live one."""
    if migration.cold is None:
        raise errors.Invalid(f"migration {migration.uuid} is no cold one")
    return migration.cold


def merge(asked: objects.ColdMove, found: objects.ColdMove) -> objects.ColdMove:
    """Take what a host found; what users asked for meanwhile stays."""
    return found.replace(then_delete=asked.then_delete, auto_confirm=asked.auto_confirm)


def kinds() -> frozenset[states.Kind]:
    """Give the types of migration that go by these steps."""
    return frozenset({states.Kind.COLD, states.Kind.RESIZE})
