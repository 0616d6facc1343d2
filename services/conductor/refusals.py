"""What may not be done to a server now, and the words that say why."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import errors
from common import states
from common.db import moves
from services.conductor import liveness

if TYPE_CHECKING:
    from common import objects
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

# Work on a server that its delete need not wait for; a move is aborted first.
INTERRUPTED = frozenset({states.Task.SPAWNING, *(row.during for row in states.OPERATIONS.values())})
# Tasks of a server that moves; the list of its moves says how far it is.
BY_MOVE = frozenset(
    {states.Task.MIGRATING, *(task for task in states.Task if task.startswith("resize_"))}
)
MOVES = "whimbrel migration list --server"
# How a server is deleted whose host is gone for good.
NEVER = "; when it never will be, force its service down: whimbrel service force-down {}"


def check(instance: objects.Instance, operation: str, row: states.Operation) -> None:
    """Raise WrongState unless the server's states allow the operation."""
    interrupts = operation == "delete" and instance.task_state in INTERRUPTED
    if instance.task_state is not None and not interrupts:
        raise wrong_state(instance, operation, "task_state", instance.task_state)
    never_ran = instance.launched_at is None and operation != "delete"
    if instance.vm_state not in row.allowed or never_ran:
        raise wrong_state(instance, operation, "vm_state", instance.vm_state)


def settled(tx: Tx, instance: objects.Instance, operation: str) -> None:
    """Refuse while nobody knows which host has the guest: the other may have it, too."""
    for move in moves.unsettled(tx, instance.uuid):
        raise errors.WrongState(
            f"Cannot '{operation}' instance {instance.uuid} while its migration {move.uuid} is "
            f"{move.status}: its guest is on {move.source} or {move.destination}; see to it: "
            f"whimbrel migration resolve {instance.uuid}"
        )


def wrong_state(
    instance: objects.Instance, operation: str, kind: str, state: str
) -> errors.WrongState:
    """Make the refusal that names the state in the way, and where to see more of it."""
    look = MOVES if state in BY_MOVE else "whimbrel server show"
    return errors.WrongState(
        f"Cannot '{operation}' instance {instance.uuid} while it is in {kind} {state}; "
        f"see: {look} {instance.uuid}"
    )


def reachable(deps: Deps, tx: Tx, instance: objects.Instance, operation: str) -> bool:
    """Tell whether there is a host to tell, or raise WrongState because it is down now.

    A host that an operator forced down is gone for good: its servers can be
    deleted without it.
    """
    if instance.host is None:
        return False
    try:
        liveness.require(deps, tx, instance.host, f"told to {operation} a server")
    except errors.HostUnsuitable as down:
        if operation == "delete" and liveness.given_up(deps, tx, instance.host):
            LOG.warning("server %s: deleted without its host: %s", instance.uuid, down)
            return False
        hint = NEVER.format(instance.host) if operation == "delete" else ""
        raise errors.WrongState(
            f"Cannot '{operation}' instance {instance.uuid} now: {down}; "
            f"try again when the host is back{hint}"
        ) from down
    return True
