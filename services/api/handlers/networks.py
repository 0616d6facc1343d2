"""Networks in the dialect of OpenStack's network service: bridges and their addresses."""

from __future__ import annotations

import ipaddress
from typing import Any
from typing import TYPE_CHECKING

from common import errors
from common import ids
from common import objects
from common.db import networks
from common.db import servers
from services.api.handlers import find
from services.api.views import servers as views

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON


def list_networks(call: Call) -> JSON:
    """Give the networks asked for, by name or id."""
    return {"networks": _chosen(call, [_network(row) for row in _all(call)])}


def show_network(call: Call, network_id: str) -> JSON:
    """Give one network by its id; clients look names up in the list."""
    return {"network": _network(_get(call, network_id))}


def create_network(call: Call) -> JSON:
    """Register a bridge that every host has."""
    wanted = call.body["network"]
    pools = wanted.get("allocation_pools") or [{}]
    network = objects.Network(
        id=ids.new(),
        name=wanted["name"],
        bridge=wanted["provider:physical_network"],
        cidr=wanted.get("cidr"),
        pool_start=pools[0].get("start"),
        pool_end=pools[0].get("end"),
    )
    _check(network)
    return {"network": _network(call.parts.conductor.create_network(call.context, network))}


def delete_network(call: Call, network_id: str) -> None:
    """Forget a network that no server uses; its bridge stays."""
    call.parts.conductor.delete_network(call.context, _get(call, network_id).id)


def list_subnets(call: Call) -> JSON:
    """Give the addresses of networks: one subnet for each that has any."""
    rows = [_subnet(row) for row in _all(call) if row.cidr is not None]
    return {"subnets": _chosen(call, rows)}


def show_subnet(call: Call, subnet_id: str) -> JSON:
    """Give the addresses of one network; its subnet has the same id."""
    network = _get(call, subnet_id)
    if network.cidr is None:
        raise errors.NetworkNotFound(f"network {subnet_id} has no addresses, so no subnet")
    return {"subnet": _subnet(network)}


def list_ports(call: Call) -> JSON:
    """Give the network cards of one server, or of all the user's servers."""
    server_id = call.request.args.get("device_id")
    with call.parts.database.read() as tx:
        filters: dict[str, Any] = {} if server_id is None else {"uuid": server_id}
        found = servers.find(tx, **filters)
    ports = [
        _port(server, port) for server in found if call.sees(server) for port in views.ports(server)
    ]
    return {"ports": _chosen(call, ports)}


def list_interfaces(call: Call, server_id: str) -> JSON:
    """Give a server's network cards in the words of the compute API."""
    with call.parts.database.read() as tx:
        server = find.server(call, tx, server_id)
    return {
        "interfaceAttachments": [
            {
                "port_id": port.id,
                "net_id": port.network_id,
                "mac_addr": port.mac,
                "port_state": "ACTIVE",
                "fixed_ips": _fixed(port),
            }
            for port in views.ports(server)
        ]
    }


def _all(call: Call) -> list[objects.Network]:
    with call.parts.database.read() as tx:
        return networks.all(tx)


def _get(call: Call, network_id: str) -> objects.Network:
    with call.parts.database.read() as tx:
        found = networks.get(tx, network_id)
    if found.id != network_id:
        raise errors.NetworkNotFound(f"no network has the id {network_id}; {found.id} is its id")
    return found


def _chosen(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Narrow rows by every field that the query names; what no row has is ignored."""
    query = call.request.args
    return [
        row
        for row in rows
        if all(
            str(row[name]) in query.getlist(name) for name in query if name in EXACT & row.keys()
        )
    ]


EXACT = frozenset({"id", "name", "network_id", "device_id", "mac_address"})


def _check(network: objects.Network) -> None:
    try:
        if network.cidr is not None:
            ipaddress.IPv4Network(network.cidr)
        elif network.pool_start is not None:
            raise errors.Invalid("network.cidr is missing: allocation_pools needs it")
    except ValueError as wrong:
        raise errors.Invalid(f"network.cidr must be like 198.51.100.0/24: {wrong}") from wrong


def _network(row: objects.Network) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": True,
        "router:external": False,
        "mtu": 1500,
        "subnets": [row.id] if row.cidr else [],
        "provider:network_type": "flat",
        "provider:physical_network": row.bridge,
        "cidr": row.cidr,
        "allocation_pools": _pools(row),
    }


def _subnet(row: objects.Network) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "network_id": row.id,
        "ip_version": 4,
        "cidr": row.cidr,
        "allocation_pools": _pools(row),
        "gateway_ip": None,
        "enable_dhcp": False,
        "dns_nameservers": [],
        "host_routes": [],
    }


def _pools(row: objects.Network) -> list[dict[str, str]]:
    if row.pool_start is None or row.pool_end is None:
        return []
    return [{"start": row.pool_start, "end": row.pool_end}]


def _port(server: objects.Instance, port: objects.Port) -> dict[str, Any]:
    return {
        "id": port.id,
        "name": "",
        "network_id": port.network_id,
        "device_id": server.uuid,
        "device_owner": "compute:nova",
        "mac_address": port.mac,
        "fixed_ips": _fixed(port),
        "status": "ACTIVE",
        "admin_state_up": True,
        "binding:host_id": server.host or "",
    }


def _fixed(port: objects.Port) -> list[dict[str, str]]:
    if port.address is None:
        return []
    return [{"ip_address": port.address, "subnet_id": port.network_id}]
