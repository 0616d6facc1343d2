"""What an operator says of the aggregates that a host is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.scheduler import operators

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request

# Extra specs of flavors that speak of aggregates. Nova also takes those without a
# scope, which then cannot be told from the capabilities of a host.
SCOPE = "aggregate_instance_extra_specs:"
# Keys of metadata that begin so name the projects that may use the hosts; several
# keys, for a value is short.
TENANTS = "filter_tenant_id"


def extra_specs(host: Room, request: Request) -> str | None:
    """Refuse a host none of whose aggregates has what the flavor asks for."""
    for name, wanted in request.extra_specs.items():
        if not name.startswith(SCOPE):
            continue
        key = name.removeprefix(SCOPE)
        values = _values(host, key)
        if not any(operators.match(value, wanted) for value in values):
            there = ", ".join(sorted(values)) or "nothing"
            return f"the flavor wants {key} {wanted} of its aggregates, and they say {there}"
    return None


def tenants(host: Room, request: Request) -> str | None:
    """Refuse a host that is kept for other projects than the server's."""
    for aggregate in host.aggregates:
        allowed = {
            project.strip()
            for key, projects in aggregate.metadata.items()
            if key.startswith(TENANTS)
            for project in projects.split(",")
            if project.strip()
        }
        if allowed and request.project_id not in allowed:
            return (
                f"aggregate {aggregate.name} is kept for the projects "
                f"{', '.join(sorted(allowed))}, not for {request.project_id or 'none'}"
            )
    return None


def _values(host: Room, key: str) -> set[str]:
    """Give what the host's aggregates say; one may say several things with commas."""
    return {
        value.strip()
        for aggregate in host.aggregates
        if key in aggregate.metadata
        for value in aggregate.metadata[key].split(",")
    }
