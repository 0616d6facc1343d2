"""/os-availability-zone: the zones that hosts belong to, by their aggregates or by themselves."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from common.db import hosts
from services.api.handlers import find
from services.api.views import fields

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON

# Where Nova's clients look for what is no compute.
INTERNAL = "internal"


def list_zones(call: Call) -> JSON:
    """Give the zones that hosts belong to."""
    found = _computes(call)
    return {"availabilityZoneInfo": [_zone(name, found[name], None) for name in sorted(found)]}


def list_zones_detail(call: Call) -> JSON:
    """Give the zones with their hosts, and the services that are in none."""
    found = {INTERNAL: _others(call), **_computes(call)}
    return {
        "availabilityZoneInfo": [
            _zone(name, found[name], _hearts(found[name])) for name in sorted(found) if found[name]
        ]
    }


def _computes(call: Call) -> dict[str, list[objects.Service]]:
    """Give the compute services of each zone."""
    zones: dict[str, list[objects.Service]] = {}
    with call.parts.database.read() as tx:
        for node in find.all_hosts(call, tx):
            zones.setdefault(node.availability_zone, []).extend(
                [node.service] if node.service else []
            )
    return zones


def _others(call: Call) -> list[objects.Service]:
    with call.parts.database.read() as tx:
        found = find.all_services(call, tx)
    return [service for service in found if service.binary != hosts.BINARY]


def _zone(name: str, services: list[objects.Service], seen: dict[str, Any] | None) -> JSON:
    usable = any(not service.disabled for service in services)
    return {"zoneName": name, "zoneState": {"available": usable}, "hosts": seen}


def _hearts(services: list[objects.Service]) -> dict[str, dict[str, Any]]:
    """Give what is known of each service, by host and binary."""
    found: dict[str, dict[str, Any]] = {}
    for service in services:
        found.setdefault(service.host, {})[service.binary] = {
            "available": service.up,
            "active": not service.disabled,
            "updated_at": fields.micros(service.updated_at),
        }
    return found
