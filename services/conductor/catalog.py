"""Writes on behalf of the API that concern no running guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from common import objects
from common.db import flavors
from common.db import networks
from common.db import servers
from common.db import services

if TYPE_CHECKING:
    from services.conductor.deps import Deps


def update_service(
    deps: Deps,
    service: str,
    *,
    disabled: bool | None,
    reason: str | None,
    forced_down: bool | None,
) -> objects.Service:
    """Write what an operator decided about a service; enabling clears the reason."""
    changes: dict[str, object] = {}
    if disabled is not None:
        changes["disabled"] = disabled
        changes["disabled_reason"] = reason if disabled else None
    if forced_down is not None:
        changes["forced_down"] = forced_down
    with deps.database.write() as tx:
        return services.change(
            tx,
            service,
            now=deps.clock.now(),
            down_after=deps.conf.service.down_after,
            **changes,
        )


def update_server(deps: Deps, server: str, changes: dict[str, str]) -> None:
    """Write a new name or description."""
    unknown = set(changes) - {"name", "description"}
    if unknown:
        raise errors.Invalid(f"a server's {', '.join(sorted(unknown))} cannot be changed")
    with deps.database.write() as tx:
        servers.amend(tx, server, **changes)


def replace_metadata(deps: Deps, server: str, metadata: dict[str, str]) -> dict[str, str]:
    """Write a server's whole metadata."""
    with deps.database.write() as tx:
        return dict(servers.amend(tx, server, metadata=metadata).metadata)


def update_extra_specs(
    deps: Deps, flavor: str, specs: dict[str, str], remove: list[str]
) -> dict[str, str]:
    """Set and remove extra specs of a flavor, and give all of them."""
    with deps.database.write() as tx:
        return dict(flavors.specify(tx, flavor, specs, remove).extra_specs)


def create_flavor(deps: Deps, flavor: objects.Flavor) -> objects.Flavor:
    """Write a flavor."""
    with deps.database.write() as tx:
        return flavors.create(tx, flavor)


def delete_flavor(deps: Deps, flavor: str) -> None:
    """Remove a flavor."""
    with deps.database.write() as tx:
        flavors.delete(tx, flavor)


def create_network(deps: Deps, network: objects.Network) -> objects.Network:
    """Write a network."""
    with deps.database.write() as tx:
        return networks.create(tx, network)


def delete_network(deps: Deps, network: str) -> None:
    """Remove a network."""
    with deps.database.write() as tx:
        networks.delete(tx, network)
