"""Beginning a cold migration or resize, and what a user may ask of it later."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from common import errors
from common import ids
from common import objects
from common import states
from common.db import claims
from common.db import flavors
from common.db import journal
from common.db import moves
from common.db import servers
from services.conductor import checks as own
from services.conductor import liveness
from services.conductor import moves as moving
from services.conductor import refusals
from services.conductor import servers as stationary
from services.conductor.cold import confirming
from services.conductor.cold import disks
from services.conductor.cold import entering
from services.conductor.cold import steps

if TYPE_CHECKING:
    from common.context import Context
    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

ACTIONS = {states.Kind.COLD: "migrate", states.Kind.RESIZE: "resize"}


def begin(  # noqa: PLR0913 - one request
    deps: Deps,
    context: Context,
    server: str,
    host: str | None,
    flavor: str | None,
    *,
    auto_confirm: bool,
    bandwidth: int,
    zone: str | None = None,
) -> tuple[objects.Instance, objects.Migration]:
    """Take the server for a cold move: task, row and the source's claim, all at once."""
    with deps.database.write() as tx:
        before, kind, wanted = check(deps, tx, server, host, flavor)
        instance = servers.change(
            tx,
            server,
            expect={"vm_state": before.vm_state, "task_state": None, "host": before.host},
            task_state=states.Task.RESIZE_PREP,
            progress=0,
        )
        row = _row(deps, context, instance, kind, host)
        row.cold = objects.ColdMove(
            migration_uuid=row.uuid,
            old_flavor=before.flavor,
            new_flavor=wanted,
            was=before.vm_state,
            auto_confirm=auto_confirm,
            bandwidth=bandwidth,
            zone=zone,
        )
        migration = moves.create(tx, row)
        claims.transfer(tx, str(instance.host), server, migration.uuid)
        journal.start(tx, stationary.action(deps, context, server, ACTIONS[kind]))
    LOG.info(
        "migration %s: server %s leaves %s for %s as %s",
        migration.uuid,
        server,
        instance.host,
        host or "a host of the scheduler's choice",
        wanted.name,
    )
    return instance, migration


def check(
    deps: Deps, tx: Tx, server: str, host: str | None, flavor: str | None
) -> tuple[objects.Instance, states.Kind, objects.Flavor]:
    """Give the server, the kind of move and the flavor; refuse at once what no host can change."""
    instance = servers.get(tx, server)
    kind = states.Kind.COLD if flavor is None else states.Kind.RESIZE
    wanted = instance.flavor if flavor is None else flavors.get(tx, flavor)
    _check(deps, tx, instance, kind, wanted, host)
    return instance, kind, wanted


def confirm(deps: Deps, context: Context, server: str) -> None:
    """Begin to remove what was kept of the guest at its source, once it is seen elsewhere."""
    with deps.database.read() as tx:
        instance, migration = _finished(tx, server, "confirm_resize")
    confirming.require(deps, migration, instance)
    resolve(deps, context, server, "confirm_resize")


def revert(deps: Deps, context: Context, server: str) -> None:
    """Begin to bring the guest back as it was."""
    resolve(deps, context, server, "revert_resize")


def resolve(
    deps: Deps, context: Context, server: str, step: str, *, then_delete: bool = False
) -> None:
    """Begin one of the two ways out of a finished move."""
    with deps.database.write() as tx:
        _instance, migration = _finished(tx, server, step)
        host = steps.host(migration, step)
        # Without a host that was forced down it goes on, as it would had that been said later.
        without = steps.left_out(migration, step) and liveness.given_up(deps, tx, host)
        if not (then_delete or without):
            liveness.require(deps, tx, host, f"told to {NAMES[step]}")
        asked = "delete" if then_delete else NAMES[step]
        journal.start(tx, stationary.action(deps, context, server, asked))
        cold = steps.cold(migration).replace(then_delete=then_delete)
        entered = entering.enter(
            deps,
            tx,
            migration,
            step,
            cold=cold,
            request_id=context.request_id,
            confirm_at=None,
            error_message=None,
        )
    entering.send(deps, entered)


def _finished(tx: Tx, server: str, step: str) -> tuple[objects.Instance, objects.Migration]:
    """Give a server that waits for its user, with its move; WrongState says what is in the way."""
    instance = servers.get(tx, server)
    migration = moves.active(tx, server)
    if migration is None or migration.status != states.Move.FINISHED:
        kind, state = _in_the_way(instance)
        raise refusals.wrong_state(instance, NAMES[step], kind, state)
    if instance.task_state is not None:
        raise refusals.wrong_state(instance, NAMES[step], "task_state", instance.task_state)
    return instance, migration


def delete(deps: Deps, context: Context, server: str) -> bool:
    """Have a server in a cold move deleted once that has ended; False when it is in none.

    A copy is stopped for it; a finished move is confirmed first, so that
    nothing stays at either host.
    """
    with deps.database.write() as tx:
        migration = _held(tx, server)
        if migration is None:
            return False
        if migration.status != states.Move.FINISHED:
            moves.advance(tx, migration, cold=steps.cold(migration).replace(then_delete=True))
            journal.start(tx, stationary.action(deps, context, server, "delete"))
    if migration.status == states.Move.FINISHED:
        resolve(deps, context, server, "confirm_resize", then_delete=True)
        return True
    # What is not stopped now ends by itself, and its row says what follows.
    with contextlib.suppress(errors.Error):
        with deps.database.read() as tx:
            migration = moves.get(tx, migration.uuid)
        abort(deps, context, migration)
    LOG.info("migration %s: server %s is deleted when it has ended", migration.uuid, server)
    return True


def _held(tx: Tx, server: str) -> objects.Migration | None:
    """Give the server's cold move, held, unless it has none that goes on."""
    migration = moves.active(tx, server)
    if migration is None or migration.type not in steps.kinds():
        return None
    migration = moves.hold(tx, migration.uuid)
    return None if migration.status in states.TERMINAL else migration


def abort(deps: Deps, context: Context, migration: objects.Migration) -> None:
    """Stop a cold move before its guest has left, or raise WrongState."""
    if migration.status not in steps.ABORTABLE or migration.error_code is not None:
        raise errors.WrongState(
            f"migration {migration.uuid} cannot be aborted: it is {migration.status}"
            f"{', and is being undone already' if migration.error_code else ''}; "
            f"it can be while {' or '.join(steps.ABORTABLE)}"
        )
    if migration.stage == moves.COPY and migration.owner is None:
        aborted = errors.MoveAborted("aborted while it waited for its copy")
        with deps.database.write() as tx:
            entered = entering.enter(
                deps,
                tx,
                migration,
                "undo_resize",
                error_code=aborted.code,
                error_message=aborted.message,
            )
        entering.send(deps, entered)
        return
    if migration.stage in BEFORE:
        _abort_before(deps, migration, BEFORE[migration.stage])
        return
    host = steps.host(migration, str(migration.stage))
    deps.compute(host).abort_cold_move(context, migration.uuid)


def _abort_before(deps: Deps, migration: objects.Migration, why: str) -> None:
    """Write that the move goes no further; who is at work on it reads that, and ends it."""
    aborted = errors.MoveAborted(why)
    with deps.database.write() as tx:
        moves.advance(
            tx,
            migration,
            error_code=aborted.code,
            error_message=aborted.message,
        )


def _in_the_way(instance: objects.Instance) -> tuple[str, str]:
    if instance.task_state is not None:
        return "task_state", instance.task_state
    return "vm_state", instance.vm_state


def _check(
    deps: Deps,
    tx: Tx,
    instance: objects.Instance,
    kind: states.Kind,
    flavor: objects.Flavor,
    host: str | None,
) -> None:
    """Refuse at once what no host can change."""
    action = ACTIONS[kind]
    if instance.vm_state not in states.COLD_MOVABLE:
        raise refusals.wrong_state(instance, action, "vm_state", instance.vm_state)
    if instance.task_state is not None:
        raise refusals.wrong_state(instance, action, "task_state", instance.task_state)
    refusals.settled(tx, instance, action)
    if kind is states.Kind.RESIZE:
        _larger(instance, flavor)
    own.source(own.Wish(deps, tx, instance, host))
    if host is None:
        return
    if host == instance.host and not deps.conf.conductor.allow_resize_to_same_host:
        raise errors.HostUnsuitable(
            f"server {instance.uuid} is on {host} already; name another destination, or none"
        )
    liveness.require(deps, tx, host, "a destination")


def _larger(instance: objects.Instance, flavor: objects.Flavor) -> None:
    """Refuse the flavor that the server has, and one that would cut a disk off."""
    if flavor.id == instance.flavor.id:
        raise errors.Invalid(
            f"server {instance.uuid} has flavor {flavor.name} already; to move it as it is use: "
            f"whimbrel server migrate {instance.uuid}"
        )
    disks.compare(instance, flavor)


def _row(
    deps: Deps,
    context: Context,
    instance: objects.Instance,
    kind: states.Kind,
    host: str | None,
) -> objects.Migration:
    return objects.Migration(
        uuid=ids.new(),
        type=kind,
        status=states.Move.ACCEPTED,
        instance_uuid=instance.uuid,
        source=instance.host,
        requested_host=host,
        request_id=context.request_id,
        user_id=context.user_id or "",
        project_id=context.project_id or "",
        created_at=deps.clock.now(),
        owner=deps.owner,
        lease_until=moving.lease(deps),
    )


# Where an abort need only be written, and the words for it.
BEFORE: dict[str | None, str] = {
    None: "aborted while a destination was looked for",
    steps.PREPARE: "aborted while its destination made ready",
}
NAMES = {"confirm_resize": "confirmResize", "revert_resize": "revertResize"}
