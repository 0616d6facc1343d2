"""What a user may do to a move that goes on: abort it, make it end, change its policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from common import migration_policy
from common import objects
from common import states
from common.db import moves
from common.db import settings
from services.conductor import moves as moving
from services.conductor.cold import begin
from services.conductor.cold import steps

if TYPE_CHECKING:
    from common.context import Context
    from services.conductor.deps import Deps


def abort(deps: Deps, context: Context, server: str, key: str) -> None:
    """Cancel the move where it waits, or have its source stop it."""
    migration = _going_on(deps, server, key, "aborted")
    if migration.type in steps.kinds():
        begin.abort(deps, context, migration)
        return
    if not states.allowed(
        states.Kind(migration.type), states.Move(migration.status), states.Move.CANCELLED
    ):
        raise errors.WrongState(
            f"migration {key} cannot be aborted: it is {migration.status}, and its guest is at "
            f"{migration.destination}"
        )
    if migration.status in {states.Move.ACCEPTED, states.Move.QUEUED}:
        reason = errors.MoveAborted("aborted while it was waiting")
        moving.fail(deps, migration, states.Move.CANCELLED, reason, None, None)
        return
    deps.compute(migration.source).abort_live_migration(context, migration.uuid)


def force(deps: Deps, context: Context, server: str, key: str) -> None:
    """Have the source make a running move end."""
    migration = _going_on(deps, server, key, "forced to complete")
    if migration.status != states.Move.RUNNING:
        raise errors.WrongState(
            f"migration {key} cannot be forced to complete: it is {migration.status}; "
            f"it can be while {states.Move.RUNNING}"
        )
    deps.compute(migration.source).force_live_migration(context, migration.uuid)


def change(
    deps: Deps, context: Context, server: str, key: str, changes: dict[str, str]
) -> objects.Migration:
    """Write another policy, and have the source steer a running job by it."""
    migration = _going_on(deps, server, key, "changed")
    if migration.policy is None:
        raise errors.WrongState(f"migration {key} has no policy that could be changed")
    policy = migration_policy.amend(migration.policy, changes)
    # The row tells what the job was told: a source that refuses leaves both as they were.
    if migration.status in states.IN_SLOT:
        deps.compute(migration.source).change_live_migration(context, migration.uuid, policy)
    with deps.database.write() as tx:
        return moves.change(
            tx,
            migration.uuid,
            expected={migration.status},
            generation=migration.generation,
            policy=policy,
        )


def set_limits(deps: Deps, wanted: dict[str, int]) -> dict[str, int]:
    """Write the limits that are given, and give all of them."""
    with deps.database.write() as tx:
        for name, value in wanted.items():
            if name not in settings.LIMITS:
                raise errors.Invalid(f"{name} is no limit; there are {', '.join(settings.LIMITS)}")
            if value < 1:
                raise errors.Invalid(f"{name} is {value}; it is 1 or more")
            settings.put(tx, name, value)
        return settings.limits(tx, deps.conf.conductor)


def _going_on(deps: Deps, server: str, key: str, what: str) -> objects.Migration:
    with deps.database.read() as tx:
        migration = moves.own(moves.get(tx, key), server, key)
    if migration.status in states.TERMINAL:
        raise errors.WrongState(
            f"migration {key} cannot be {what}: it is {migration.status} already"
        )
    return migration
