"""Services, hypervisors and hosts as clients see them."""

from __future__ import annotations

import datetime
import ipaddress
import json
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from services.api.views import fields
from services.api.views import migrations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping

    from common import objects
    from services.api.calls import Call

F = fields.Field


class Seen(NamedTuple):
    """A hypervisor, and what else is shown with it."""

    node: objects.ComputeNode
    servers: list[dict[str, str]] | None
    now: datetime.datetime


def status(service: objects.Service | None) -> str:
    """Say whether an operator lets new servers come."""
    return "disabled" if service is not None and service.disabled else "enabled"


def state(service: objects.Service | None) -> str:
    """Say whether its reports are young enough."""
    return "up" if service is not None and service.up else "down"


SERVICE = (
    F("id", fields.attribute("id"), until=(2, 52)),
    F("id", fields.attribute("uuid"), since=(2, 53)),
    F("binary", fields.attribute("binary")),
    F("host", fields.attribute("host")),
    F("zone", fields.attribute("zone")),
    F("status", status),
    F("state", state),
    F("updated_at", lambda service: fields.micros(service.updated_at)),
    F("disabled_reason", fields.attribute("disabled_reason")),
    F("forced_down", fields.attribute("forced_down"), since=(2, 11)),
)


def service(call: Call, found: objects.Service, zone: str | None = None) -> dict[str, Any]:
    """Show a service, in this zone if it is another than the one that it reports."""
    shown = fields.render(SERVICE, found, call.version)
    return shown if zone is None else {**shown, "zone": zone}


def hypervisor(
    call: Call,
    node: objects.ComputeNode,
    *,
    detail: bool,
    servers: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Show a hypervisor, with its servers if they were asked for."""
    seen = Seen(node, servers, call.parts.clock.now())
    shown = fields.render(DETAIL if detail else BRIEF, seen, call.version)
    if servers is not None:
        shown["servers"] = servers
    return shown


def host(node: objects.ComputeNode, allocations: Mapping[str, int]) -> dict[str, Any]:
    """Show a host: promised and measured numbers side by side, without what they are made of."""
    shown = migrations.record(node.replace(usage=None))
    del shown["usage"]
    shown["free_ram_mb"] = node.memory_mb - node.memory_mb_used
    shown["free_disk_gb"] = node.local_gb - node.local_gb_used
    shown["allocations"] = dict(allocations)
    return shown


def whole_host(
    node: objects.ComputeNode,
    allocations: Mapping[str, int],
    found: Iterable[str],
    beside: Iterable[str],
) -> dict[str, Any]:
    """Show all that is known of a host: its disks and guests too, and what the audit would say.

    `beside` are the hosts that keep their guests' disks where this one does.
    """
    usage = migrations.record(node.usage) if node.usage is not None else None
    return {
        **host(node, allocations),
        "usage": usage,
        "findings": list(found),
        "shares_disks_with": list(beside),
    }


def host_status(service: objects.Service | None) -> str:
    """Give Nova's one word for a server's host: UP, MAINTENANCE, UNKNOWN or DOWN."""
    if service is None:
        return "UNKNOWN"
    if service.forced_down:
        return "DOWN"
    if service.disabled:
        return "MAINTENANCE"
    return "UP" if service.up else "UNKNOWN"


def uptime(seen: Seen) -> str:
    """Write the line that clients take apart; its load averages are not measured."""
    now = seen.now.strftime("%H:%M:%S")
    return f" {now} up 0 days, 0 users, load average: 0.00, 0.00, 0.00"


def _of(name: str) -> Any:  # noqa: ANN401 - a function of a Seen
    return lambda seen: getattr(seen.node, name)


def _service(seen: Seen, number: str) -> dict[str, Any]:
    found = seen.node.service
    return {
        "host": seen.node.host,
        "id": getattr(found, number, seen.node.uuid),
        "disabled_reason": found.disabled_reason if found else None,
    }


def _address(seen: Seen) -> str | None:
    """Give the address if it is one; a host may be known to others by its name."""
    try:
        return str(ipaddress.ip_address(seen.node.address))
    except ValueError:
        return None


def _cpu(seen: Seen) -> dict[str, Any]:
    """Describe the processors in Nova's form."""
    info = seen.node.usage.cpu_info if seen.node.usage is not None else None
    if info is None:
        return {"arch": seen.node.facts.architecture}
    shape = {name: getattr(info, name) for name in ("cells", "sockets", "cores", "threads")}
    named = {name: getattr(info, name) for name in ("arch", "vendor", "model", "features")}
    return {**named, "topology": shape}


BRIEF = (
    F("id", _of("id"), until=(2, 52)),
    F("id", _of("uuid"), since=(2, 53)),
    F("hypervisor_hostname", _of("host")),
    F("state", lambda seen: state(seen.node.service)),
    F("status", lambda seen: status(seen.node.service)),
)

# From 2.88 on Nova shows no numbers that could mislead; /whimbrel/hosts explains ours.
OLD = (2, 87)

DETAIL = (
    *BRIEF,
    F("host_ip", _address),
    F("hypervisor_type", lambda seen: seen.node.facts.hypervisor_type),
    F("hypervisor_version", lambda seen: seen.node.facts.hypervisor_version),
    F("service", lambda seen: _service(seen, "id"), until=(2, 52)),
    F("service", lambda seen: _service(seen, "uuid"), since=(2, 53)),
    F("cpu_info", lambda seen: json.dumps(_cpu(seen)), until=(2, 27)),
    F("cpu_info", _cpu, since=(2, 28), until=OLD),
    F("vcpus", _of("vcpus"), until=OLD),
    F("vcpus_used", _of("vcpus_used"), until=OLD),
    F("memory_mb", _of("memory_mb"), until=OLD),
    F("memory_mb_used", _of("memory_mb_used"), until=OLD),
    F("free_ram_mb", lambda seen: seen.node.memory_mb - seen.node.memory_mb_used, until=OLD),
    F("local_gb", _of("local_gb"), until=OLD),
    F("local_gb_used", _of("local_gb_used"), until=OLD),
    F("free_disk_gb", lambda seen: seen.node.local_gb - seen.node.local_gb_used, until=OLD),
    F("disk_available_least", _of("disk_available_least"), until=OLD),
    F("running_vms", _of("running_vms"), until=OLD),
    F("current_workload", _of("current_workload"), until=OLD),
    F("uptime", uptime, since=(2, 88)),
)
