"""What clients ask for beside the work, and of which there is nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from common.db import groups
from common.db import servers
from services.api import versions
from services.api.handlers import find

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.api.calls import Call
    from services.api.route import JSON

UNLIMITED = -1

# Limits that are not kept, and things that do not exist: name, value.
FIXED = {
    "maxTotalInstances": UNLIMITED,
    "maxTotalCores": UNLIMITED,
    "maxTotalRAMSize": UNLIMITED,
    "maxServerMeta": 128,
    "maxTotalKeypairs": 0,
    "maxServerGroups": UNLIMITED,
    "maxServerGroupMembers": UNLIMITED,
}

# Limits of what Nova once had too: the last microversion that shows them.
OLD: dict[versions.Version, dict[str, int]] = {
    (2, 35): {
        "maxSecurityGroups": 0,
        "maxSecurityGroupRules": 0,
        "maxTotalFloatingIps": 0,
        "totalFloatingIpsUsed": 0,
        "totalSecurityGroupsUsed": 0,
    },
    (2, 38): {"maxImageMeta": 128},
    (2, 56): {"maxPersonality": 0, "maxPersonalitySize": 0},
}


def show_limits(call: Call) -> JSON:
    """Give what is used; nothing is limited."""
    with call.parts.database.read() as tx:
        mine = servers.find(tx, project_id=call.context.project_id)
        grouped = groups.find(tx, call.context.project_id)
    used = {
        "totalInstancesUsed": len(mine),
        "totalCoresUsed": sum(server.flavor.vcpus for server in mine),
        "totalServerGroupsUsed": len(grouped),
        "totalRAMUsed": sum(server.flavor.memory_mb for server in mine),
    }
    old = {
        name: value
        for last, limits in OLD.items()
        if call.version <= last
        for name, value in limits.items()
    }
    return {"limits": {"rate": [], "absolute": FIXED | old | used}}


def nothing(name: str) -> Callable[..., JSON]:
    """Make the handler of a list that is always empty."""

    def list_nothing(call: Call, **_arguments: str) -> JSON:
        del call
        return {name: []}

    return list_nothing


def nothing_of_server(name: str) -> Callable[..., JSON]:
    """Make the handler of a server's list that is always empty; the server must exist."""

    def list_nothing(call: Call, server_id: str) -> JSON:
        with call.parts.database.read() as tx:
            find.server(call, tx, server_id)
        return {name: []}

    return list_nothing


def missing(kind: str) -> Callable[..., JSON]:
    """Make the handler that never finds one of a kind that does not exist here."""

    def show_nothing(call: Call, key: str) -> JSON:
        del call
        raise errors.NotFound(f"{kind} {key} does not exist: there are none here")

    return show_nothing
