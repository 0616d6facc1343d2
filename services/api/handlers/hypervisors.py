"""/os-hypervisors, /os-availability-zone, and our own /whimbrel/hosts."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from common import errors
from common.db import claims
from common.db import findings
from common.db import hosts
from common.db import servers
from services.api import paging
from services.api import versions
from services.api.handlers import find
from services.api.schemas import parts
from services.api.views import hosts as views
from services.api.views import migrations

if TYPE_CHECKING:
    from common import objects
    from common.db.engine import Tx
    from services.api.calls import Call
    from services.api.route import JSON

BY_UUID: versions.Version = (2, 53)
PAGED: versions.Version = (2, 33)
ALWAYS_SERVERS: versions.Version = (2, 75)

# Hypervisor numbers that statistics add up.
SUMS = (
    "vcpus",
    "vcpus_used",
    "memory_mb",
    "memory_mb_used",
    "local_gb",
    "local_gb_used",
    "running_vms",
    "current_workload",
)


def list_hypervisors(call: Call) -> JSON:
    """Give id, name and state of hypervisors."""
    return _list(call, detail=False)


def list_hypervisors_detail(call: Call) -> JSON:
    """Give hypervisors, whole."""
    return _list(call, detail=True)


def show_hypervisor(call: Call, hypervisor_id: str) -> JSON:
    """Give one hypervisor, with its servers if they are asked for."""
    with call.parts.database.read() as tx:
        node = _node(call, tx, hypervisor_id)
        beside = _servers(call, tx, [node])
    shown = views.hypervisor(call, node, detail=True, servers=beside.get(node.host))
    return {"hypervisor": shown}


def search_hypervisors(call: Call, pattern: str) -> JSON:
    """Give the hypervisors that have the pattern in their name."""
    return {
        "hypervisors": [
            views.hypervisor(call, node, detail=False) for node in _matching(call, pattern)
        ]
    }


def list_hypervisor_servers(call: Call, pattern: str) -> JSON:
    """Give the hypervisors that have the pattern in their name, with their servers."""
    nodes = _matching(call, pattern)
    with call.parts.database.read() as tx:
        beside = _on(tx, nodes)
    return {
        "hypervisors": [
            views.hypervisor(call, node, detail=False, servers=beside[node.host] or None)
            for node in nodes
        ]
    }


def show_uptime(call: Call, hypervisor_id: str) -> JSON:
    """Give the line of uptime."""
    with call.parts.database.read() as tx:
        node = _node(call, tx, hypervisor_id)
    seen = views.Seen(node, None, call.parts.clock.now())
    return {
        "hypervisor": {
            **views.hypervisor(call, node, detail=False),
            "uptime": views.uptime(seen),
        }
    }


def show_statistics(call: Call) -> JSON:
    """Add up the numbers of all hypervisors."""
    with call.parts.database.read() as tx:
        nodes = find.all_hosts(call, tx)
    total: dict[str, Any] = {name: sum(getattr(node, name) for node in nodes) for name in SUMS}
    total["count"] = len(nodes)
    total["free_ram_mb"] = total["memory_mb"] - total["memory_mb_used"]
    total["free_disk_gb"] = total["local_gb"] - total["local_gb_used"]
    total["disk_available_least"] = sum(node.disk_available_least or 0 for node in nodes)
    return {"hypervisor_statistics": total}


def list_hosts(call: Call) -> JSON:
    """Give all that is known of every host; a route of our own."""
    with call.parts.database.read() as tx:
        nodes = find.all_hosts(call, tx)
        used = claims.usage(tx)
    return {"hosts": [views.host(node, used.get(node.host, {})) for node in nodes]}


def show_host(call: Call, host: str) -> JSON:
    """Give all that is known of one host; a route of our own."""
    options = call.parts.conf.service
    with call.parts.database.read() as tx:
        node = find.host(call, tx, host)
        used = claims.usage(tx, host)
        found = findings.all(
            tx,
            call.parts.clock.now(),
            options.down_after,
            findings.SETTLED * options.heartbeat,
            [host],
        )
        beside = [name for name in hosts.sharing(tx, host) if name != host]
    told = [finding.sentence for finding in found]
    return {"host": views.whole_host(node, used.get(host, {}), told, beside)}


def audit_host(call: Call, host: str) -> JSON:
    """Compare one host with the records, put right what is ours, and give all that was found."""
    return _audit(call, host)


def audit_hosts(call: Call) -> JSON:
    """Compare all hosts with the records, put right what is ours, and give all that was found."""
    return _audit(call, None)


def _audit(call: Call, host: str | None) -> JSON:
    found = call.parts.conductor.audit(call.context, host)
    return {"findings": [migrations.record(finding) for finding in found]}


def _list(call: Call, *, detail: bool) -> JSON:
    pattern = call.request.args.get("hypervisor_hostname_pattern")
    by_uuid = call.version >= BY_UUID
    with call.parts.database.read() as tx:
        nodes = find.all_hosts(call, tx)
        if by_uuid and pattern is not None:
            nodes = [node for node in nodes if pattern in node.host]
        beside = _servers(call, tx, nodes)
    last = None
    if call.version >= PAGED:
        keys = [node.uuid if by_uuid else str(node.id) for node in nodes]
        nodes, last = paging.cut(nodes, keys, call)
    rows = [
        views.hypervisor(call, node, detail=detail, servers=beside.get(node.host)) for node in nodes
    ]
    return paging.answer(call, "hypervisors", rows, last)


def _node(call: Call, tx: Tx, key: str) -> objects.ComputeNode:
    by_uuid = call.version >= BY_UUID
    for node in find.all_hosts(call, tx):
        if key == (node.uuid if by_uuid else str(node.id)):
            return node
    raise errors.HostNotFound(f"no hypervisor has the id {key}; see: whimbrel host list")


def _matching(call: Call, pattern: str) -> list[objects.ComputeNode]:
    with call.parts.database.read() as tx:
        nodes = [node for node in find.all_hosts(call, tx) if pattern in node.host]
    if not nodes:
        raise errors.HostNotFound(
            f"no hypervisor has {pattern} in its name; see: whimbrel host list"
        )
    return nodes


def _servers(
    call: Call, tx: Tx, nodes: list[objects.ComputeNode]
) -> dict[str, list[dict[str, str]]]:
    """Give the servers of each host, if the request asks for them."""
    wanted = call.request.args.get("with_servers", "false")
    if call.version < BY_UUID or not parts.truth(wanted):
        return {}
    found = _on(tx, nodes)
    if call.version >= ALWAYS_SERVERS:
        return found
    return {host: rows for host, rows in found.items() if rows}


def _on(tx: Tx, nodes: list[objects.ComputeNode]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {node.host: [] for node in nodes}
    for server in servers.find(tx, host=list(found)):
        found[str(server.host)].append({"uuid": server.uuid, "name": server.name})
    return found
