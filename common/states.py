"""The states of servers, tasks and moves, and which change is allowed: data only.

Words are Nova's, because operators and clients know them.
"""

from __future__ import annotations

from enum import IntEnum
from enum import StrEnum
from typing import NamedTuple


class Vm(StrEnum):
    """What a server is, when nothing is being done to it."""

    BUILDING = "building"
    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"
    RESIZED = "resized"
    ERROR = "error"
    DELETED = "deleted"


class Task(StrEnum):
    """What is being done to a server right now; no task is None in the row."""

    SPAWNING = "spawning"
    MIGRATING = "migrating"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_FINISH = "resize_finish"
    RESIZE_CONFIRMING = "resize_confirming"
    RESIZE_REVERTING = "resize_reverting"
    POWERING_ON = "powering_on"
    POWERING_OFF = "powering_off"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    DELETING = "deleting"


class Power(IntEnum):
    """What the hypervisor says of a guest; the numbers are Nova's."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6


class Move(StrEnum):
    """The status of a migration row."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    POSTCOPY = "running (post-copy)"
    PRE_MIGRATING = "pre-migrating"
    MIGRATING = "migrating"
    POST_MIGRATING = "post-migrating"
    FINISHED = "finished"
    CONFIRMING = "confirming"
    REVERTING = "reverting"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ERROR = "error"


class Kind(StrEnum):
    """The type of a migration row."""

    LIVE = "live-migration"
    COLD = "migration"
    RESIZE = "resize"


class Affinity(StrEnum):
    """The policy of a server group; the soft ones are wishes only."""

    TOGETHER = "affinity"
    APART = "anti-affinity"
    SOFT_TOGETHER = "soft-affinity"
    SOFT_APART = "soft-anti-affinity"


class Verdict(StrEnum):
    """What a pre-check says of a move."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


class StepState(StrEnum):
    """The state of one step in a move's journal."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


class Operation(NamedTuple):
    """One thing a user can do to a server that stays on its host.

    `during` is the task while it lasts, `then` the vm_state after success and
    `power` the power state the hypervisor must show for that.
    """

    allowed: frozenset[Vm]
    during: Task
    then: Vm
    power: Power


TERMINAL = frozenset(
    {
        Move.COMPLETED,
        Move.CONFIRMED,
        Move.REVERTED,
        Move.CANCELLED,
        Move.FAILED,
        Move.ERROR,
    }
)

# The statuses that hold one of the limited slots of the source and destination.
IN_SLOT = frozenset({Move.PREPARING, Move.RUNNING, Move.POSTCOPY, Move.POST_MIGRATING})

# Undoing is always possible until the hypervisor has handed the guest over.
_UNDO = frozenset({Move.CANCELLED, Move.FAILED, Move.ERROR})

LIVE: dict[Move, frozenset[Move]] = {
    Move.ACCEPTED: _UNDO | {Move.QUEUED},
    Move.QUEUED: _UNDO | {Move.PREPARING},
    # A destination that refuses now leads to the next: its checks begin anew.
    Move.PREPARING: _UNDO | {Move.RUNNING, Move.ACCEPTED},
    Move.RUNNING: _UNDO | {Move.POSTCOPY, Move.POST_MIGRATING, Move.COMPLETED},
    Move.POSTCOPY: frozenset({Move.POST_MIGRATING, Move.COMPLETED, Move.ERROR}),
    Move.POST_MIGRATING: frozenset({Move.COMPLETED, Move.ERROR}),
}

COLD: dict[Move, frozenset[Move]] = {
    Move.ACCEPTED: _UNDO | {Move.PRE_MIGRATING},
    Move.PRE_MIGRATING: _UNDO | {Move.PRE_MIGRATING, Move.MIGRATING},
    Move.MIGRATING: _UNDO | {Move.PRE_MIGRATING, Move.POST_MIGRATING},
    Move.POST_MIGRATING: frozenset({Move.FINISHED, Move.FAILED, Move.ERROR}),
    Move.FINISHED: frozenset({Move.CONFIRMING, Move.REVERTING, Move.ERROR}),
    Move.CONFIRMING: frozenset({Move.CONFIRMED, Move.ERROR}),
    Move.REVERTING: frozenset({Move.REVERTED, Move.ERROR}),
}

MOVES: dict[Kind, dict[Move, frozenset[Move]]] = {
    Kind.LIVE: LIVE,
    Kind.COLD: COLD,
    Kind.RESIZE: COLD,
}

MOVABLE = frozenset({Vm.ACTIVE, Vm.PAUSED})
COLD_MOVABLE = frozenset({Vm.ACTIVE, Vm.STOPPED})

_RUNNING = frozenset({Vm.ACTIVE})
_ANY = frozenset(Vm) - {Vm.DELETED}

OPERATIONS: dict[str, Operation] = {
    "stop": Operation(frozenset({Vm.ACTIVE}), Task.POWERING_OFF, Vm.STOPPED, Power.SHUTDOWN),
    "start": Operation(frozenset({Vm.STOPPED}), Task.POWERING_ON, Vm.ACTIVE, Power.RUNNING),
    "reboot_soft": Operation(_RUNNING, Task.REBOOTING, Vm.ACTIVE, Power.RUNNING),
    "reboot_hard": Operation(
        frozenset({Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.ERROR}),
        Task.REBOOTING_HARD,
        Vm.ACTIVE,
        Power.RUNNING,
    ),
    "pause": Operation(_RUNNING, Task.PAUSING, Vm.PAUSED, Power.PAUSED),
    "unpause": Operation(frozenset({Vm.PAUSED}), Task.UNPAUSING, Vm.ACTIVE, Power.RUNNING),
    "delete": Operation(_ANY, Task.DELETING, Vm.DELETED, Power.NOSTATE),
}


def allowed(kind: Kind, before: Move, after: Move) -> bool:
    """Tell whether a move of this kind may go from one status to the other."""
    return after in MOVES[kind].get(before, frozenset())
