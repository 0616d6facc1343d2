"""A live migration whose source will never report its end: when that is so, and how it ends then.

Its source drives it, and nobody else knows how it stands: only an operator can
say that there is no source any more, by forcing its service down.
"""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING

from common import errors
from common import states
from common.db import journal
from common.db import moves
from services.conductor import liveness
from services.conductor import moves as moving

if TYPE_CHECKING:
    from common import objects
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

SECOND = datetime.timedelta(seconds=1)
BEFORE = "nothing of the guest was touched; wait, or abort it"
# What is to be waited for while a move is not its source's; a cold one has no such statuses.
WAITS: dict[states.Move, str] = {
    states.Move.ACCEPTED: BEFORE,
    states.Move.QUEUED: BEFORE,
    states.Move.FINISHED: "confirm or revert it",
}
STEPS = (
    "the conductor tells its hosts each step again, and its error_message says what it waits for; "
    "wait for its end"
)


def require(deps: Deps, tx: Tx, migration: objects.Migration) -> None:
    """See that nobody will report on a move that goes on; WrongState says what to wait for."""
    wait = _wait(deps, tx, migration)
    if wait is not None:
        raise errors.WrongState(
            f"migration {migration.uuid} has nothing to resolve: it is {migration.status}, and "
            f"not in error; {wait}"
        )


def end(deps: Deps, read: objects.Migration) -> None:
    """End the move as `error`: what its hosts have of the guest is the only word on it now.

    Both go on holding room. Should the source report after all, it is too late.
    """
    lost = errors.NoAnswer(
        f"{read.source}, which drove this move, is forced down and did not report its end"
    )
    now = deps.clock.now()
    with deps.database.write() as tx:
        require(deps, tx, moves.get(tx, read.uuid))
        mine = moves.take(tx, read.uuid, deps.owner, now, moving.lease(deps))
        open_ = _close(tx, read.uuid, lost, now)
        after = moves.advance(
            tx,
            mine,
            status=states.Move.ERROR,
            error_code=lost.code,
            error_message=lost.message,
            failed_step=open_[-1].step if open_ else None,
            failed_host=read.source,
        )
        moving.settle(deps, tx, after, None)
    LOG.warning("migration %s: %s while %s: %s", read.uuid, after.status, read.status, lost)


def _wait(deps: Deps, tx: Tx, migration: objects.Migration) -> str | None:
    """Say what is to be waited for, or None when waiting helps no more."""
    status, source = states.Move(migration.status), migration.source
    if migration.type != states.Kind.LIVE or status not in states.IN_SLOT:
        return WAITS.get(status, STEPS)
    if not liveness.given_up(deps, tx, source):
        return (
            f"{source} drives it and reports its end: wait for that; when {source} never comes "
            "back, make sure that it is off, force its service down (whimbrel service force-down "
            f"{source}), and resolve again"
        )
    rest = _rest(deps, migration)
    if rest <= 0:
        return None
    return (
        f"{source} is forced down, but the lease of what was heard of it last is not over: make "
        f"sure that it is off, and resolve again in {rest:.0f} s"
    )


def _rest(deps: Deps, migration: objects.Migration) -> float:
    """Give the seconds for which its lease lasts yet; its progress renews it."""
    if migration.lease_until is None:
        return 0.0
    return float((migration.lease_until - deps.clock.now()) / SECOND)


def _close(
    tx: Tx, uuid: str, lost: errors.Error, now: datetime.datetime
) -> list[objects.MigrationStep]:
    """End the steps that nobody has reported on, and give them."""
    found = [one for one in journal.steps(tx, uuid) if one.state == states.StepState.STARTED]
    for step in found:
        journal.step(
            tx,
            step.replace(
                state=states.StepState.FAILED,
                finished_at=now,
                error_code=lost.code,
                error=lost.message,
            ),
        )
    return found
