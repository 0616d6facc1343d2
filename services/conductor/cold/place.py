"""Finding a cold move its destination: surveyed, chosen and claimed before anything is touched."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from common import context as contexts
from common import errors
from common import states
from common.db import claims
from common.db import moves
from common.db import servers
from services.conductor import placement
from services.conductor import search
from services.conductor.cold import disks
from services.conductor.cold import endings
from services.conductor.cold import entering
from services.conductor.cold import steps

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

    from common import objects
    from common.context import Context
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

SELECT = "select_destinations"
SURVEY = "survey_cold_move"


def later(deps: Deps, migration: objects.Migration) -> None:
    """Place the move in the background; what speaks against it ends in its row."""
    deps.checking.begin(migration)
    deps.pool.submit(_quietly, deps, migration)


def _quietly(deps: Deps, migration: objects.Migration) -> None:
    contexts.adopt(contexts.admin(migration.request_id))
    try:
        place(deps, migration)
    except errors.Error as refusal:
        LOG.debug("migration %s: %s", migration.uuid, refusal)
    except Exception:
        LOG.exception("migration %s: not placed; it is looked at again", migration.uuid)


def place(deps: Deps, migration: objects.Migration) -> None:
    """Claim the best host that has not refused yet and have it prepare; or end the move.

    StaleWrite when it has one by now, or another attempt looks for it.
    """
    deps.checking.begin(migration)
    try:
        _place(deps, migration)
    finally:
        deps.checking.end(migration)


def _place(deps: Deps, migration: objects.Migration) -> None:
    context = contexts.admin(migration.request_id)
    at = SURVEY, migration.source
    try:
        with deps.database.read() as tx:
            now = moves.get(tx, migration.uuid)
            endings.require_unplaced(migration, now)
            instance = servers.get(tx, migration.instance_uuid)
        cold = steps.cold(now)
        stopped = endings.stopped(now)
        if stopped is not None:
            raise stopped
        if not cold.disks:
            cold = deps.compute(migration.source).survey_cold_move(context, instance, cold)
            disks.measure(instance, cold)
        at = SELECT, deps.conf.host
        looking = _search(deps, context, now, instance, cold)
        host = looking.next()
    except errors.StaleWrite:
        raise
    except errors.Error as error:
        endings.fail(deps, migration, error, *at)
        raise
    _settle_on(deps, now, host, cold.replace(alternates=looking.alternates))


def _search(
    deps: Deps,
    context: Context,
    migration: objects.Migration,
    instance: objects.Instance,
    cold: objects.ColdMove,
) -> search.Search:
    """Say what is wanted of a host, and which have refused already."""
    spec = wanted(
        deps.conf,
        instance,
        states.Kind(migration.type),
        cold.new_flavor,
        host=migration.requested_host,
        zone=cold.zone,
    )
    return search.Search(deps, context, spec, migration.reasons, cold.alternates)


def wanted(
    conf: ConfigOpts,
    instance: objects.Instance,
    kind: states.Kind,
    flavor: objects.Flavor,
    *,
    host: str | None,
    zone: str | None,
) -> objects.RequestSpec:
    """Ask for a host for a cold move; a migration leaves its host, a resize may be allowed to stay.

    While the move goes on the server is recorded at its source.
    """
    stays = kind == states.Kind.RESIZE and conf.conductor.allow_resize_to_same_host
    return placement.spec(
        conf,
        instance.replace(flavor=flavor),
        zone=zone,
        requested_host=host,
        ignore_hosts=[] if stays else [instance.host],
    )


def _settle_on(deps: Deps, migration: objects.Migration, host: str, cold: objects.ColdMove) -> None:
    """Have the claimed host prepare; a move that was ended meanwhile needs the claim no more.

    The row is held: what its users have asked for since it was read counts.
    """
    try:
        with deps.database.write() as tx:
            now = moves.hold(tx, migration.uuid)
            stopped = endings.stopped(now)
            if stopped is None:
                agreed = steps.merge(steps.cold(now), cold)
                after = entering.enter(
                    deps, tx, migration, steps.PREPARE, destination=host, cold=agreed
                )
    except errors.StaleWrite:
        with deps.database.write() as tx:
            now = moves.get(tx, migration.uuid)
            # One that still looks for a host may be about to take this very claim.
            settled = now.status in states.TERMINAL or now.destination is not None
            if settled and host not in {now.source, now.destination}:
                claims.release(tx, migration.instance_uuid, host)
        raise
    if stopped is not None:
        endings.fail(deps, migration, stopped, SELECT, deps.conf.host)
        raise stopped
    entering.send(deps, after)
