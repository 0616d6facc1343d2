"""Where a server would go: the scheduler's ranking of every host, and nothing claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import servers
from services.conductor import building
from services.conductor import placement
from services.conductor.cold import begin
from services.conductor.cold import place

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from services.conductor.deps import Deps


def new(deps: Deps, context: Context, request: objects.NewServer) -> list[objects.Rank]:
    """Rank the hosts for a server that is only thought of."""
    instance = building.draft(deps, context, request)
    spec = placement.spec(deps.conf, instance, requested_host=request.requested_host)
    return deps.scheduler.rank(context, spec)


def move(
    deps: Deps,
    context: Context,
    server: str,
    host: str | None,
    *,
    block_migration: bool | None,
    disk_over_commit: bool,
    zone: str | None,
) -> list[objects.Rank]:
    """Rank the hosts for a live migration that is only thought of."""
    with deps.database.read() as tx:
        instance = servers.get(tx, server)
        disks = placement.disks(
            tx, instance, host, block_migration=block_migration, disk_over_commit=disk_over_commit
        )
    spec = placement.spec(
        deps.conf,
        instance,
        zone=zone,
        requested_host=host,
        ignore_hosts=[instance.host] if instance.host else [],
        **disks,
    )
    return deps.scheduler.rank(context, spec)


def relocation(
    deps: Deps,
    context: Context,
    server: str,
    host: str | None,
    flavor: str | None,
    zone: str | None,
) -> list[objects.Rank]:
    """Rank the hosts for a cold migration or resize that is only thought of."""
    with deps.database.read() as tx:
        instance, kind, wanted = begin.check(deps, tx, server, host, flavor)
    spec = place.wanted(deps.conf, instance, kind, wanted, host=host, zone=zone)
    return deps.scheduler.rank(context, spec)
