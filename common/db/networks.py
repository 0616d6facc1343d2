"""Networks and the ports on them, with the addresses that are given out.

A port's MAC is fa:16 and the four bytes of its address, so that a guest can
read its address from its own network card.
"""

from __future__ import annotations

import ipaddress
import secrets
from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import ids
from common import objects
from common.db import rows
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator

    from common.db.engine import Tx

_T = tables.NETWORKS
_P = tables.PORTS

# Without a pool the first two addresses are left to routers and to operators.
SKIPPED = 2
TRIES = 10


def create(tx: Tx, network: objects.Network) -> objects.Network:
    """Write a network, or raise Exists; a wrong cidr or pool raises Invalid."""
    for _ in _pool(network):
        break
    if not tx.insert(_T, rows.pick(_T, network)):
        raise errors.Exists(f"a network with the name {network.name} or its id exists")
    return get(tx, network.id)


def get(tx: Tx, network: str) -> objects.Network:
    """Give a network by its id, else by its name, or raise NetworkNotFound."""
    for column in (_T.c.id, _T.c.name):
        row = tx.row(sa.select(_T).where(column == network))
        if row is not None:
            return rows.make(objects.Network, row)
    raise errors.NetworkNotFound(f"network {network} does not exist; see: whimbrel network list")


def all(tx: Tx) -> list[objects.Network]:  # noqa: A001 - qualified where used
    """Give every network in the order they were made."""
    return [
        rows.make(objects.Network, row) for row in tx.rows(sa.select(_T).order_by(_T.c.position))
    ]


def delete(tx: Tx, network: str) -> None:
    """Remove a network that no port is on, or raise Conflict."""
    found = get(tx, network)
    used = tx.rows(sa.select(_P.c.instance_uuid).where(_P.c.network_id == found.id))
    if used:
        raise errors.Conflict(
            f"network {found.name} is used by {len(used)} ports, among them one of server "
            f"{used[0]['instance_uuid']}; delete those servers first"
        )
    tx.run(sa.delete(_T).where(_T.c.id == found.id))


def allocate(tx: Tx, network: str, instance_uuid: str) -> objects.Port:
    """Give the server a port with the lowest free address, or raise NoAddress."""
    found = _lock(tx, network)
    taken = tx.rows(sa.select(_P.c.address, _P.c.mac).where(_P.c.network_id == found.id))
    address = _free(found, {row["address"] for row in taken})
    port = objects.Port(
        id=ids.new(),
        network_id=found.id,
        network=found.name,
        bridge=found.bridge,
        mac=_mac(address, {row["mac"] for row in taken}),
        address=address,
    )
    values = {**rows.pick(_P, port), "instance_uuid": instance_uuid}
    tx.run(sa.insert(_P).values(values))
    port.obj_reset_changes()
    return port


def release(tx: Tx, instance_uuid: str) -> None:
    """Remove every port of the server; twice does no harm."""
    tx.run(sa.delete(_P).where(_P.c.instance_uuid == instance_uuid))


def ports(tx: Tx, instance_uuids: Iterable[str]) -> dict[str, list[objects.Port]]:
    """Give the ports of each of these servers, in the order of its cards."""
    query = (
        sa.select(_P, _T.c.name.label("network"), _T.c.bridge)
        .join(_T, _T.c.id == _P.c.network_id)
        .where(_P.c.instance_uuid.in_(list(instance_uuids)))
        .order_by(_P.c.position)
    )
    found: dict[str, list[objects.Port]] = {}
    for row in tx.rows(query):
        found.setdefault(row["instance_uuid"], []).append(rows.make(objects.Port, row))
    return found


def _lock(tx: Tx, network: str) -> objects.Network:
    """Hold the network's row: two servers never look for a free address at once."""
    found = get(tx, network)
    tx.run(sa.select(_T.c.id).where(_T.c.id == found.id).with_for_update())
    return found


def _free(network: objects.Network, taken: set[Any]) -> str | None:
    if network.cidr is None:
        return None
    for address in _pool(network):
        if str(address) not in taken:
            return str(address)
    raise errors.NoAddress(
        f"network {network.name} has no free address among {network.cidr}; "
        f"{len(taken)} ports are on it"
    )


def _pool(network: objects.Network) -> Iterator[ipaddress.IPv4Address]:
    """Give the addresses that servers may have, lowest first."""
    if network.cidr is None:
        return
    try:
        net = ipaddress.IPv4Network(network.cidr)
        first = ipaddress.IPv4Address(network.pool_start or net.network_address + 1 + SKIPPED)
        last = ipaddress.IPv4Address(network.pool_end or net.broadcast_address - 1)
    except ValueError as wrong:
        raise errors.Invalid(f"network {network.name}: {wrong}") from wrong
    if first not in net or last not in net:
        raise errors.Invalid(
            f"network {network.name}: the pool {first} to {last} is not inside {net}"
        )
    for number in range(int(first), int(last) + 1):
        yield ipaddress.IPv4Address(number)


def _mac(address: str | None, taken: set[Any]) -> str:
    if address is not None:
        return "fa:16:" + ipaddress.IPv4Address(address).packed.hex(":")
    for _ in range(TRIES):
        mac = "fa:16:3e:" + secrets.token_bytes(3).hex(":")
        if mac not in taken:
            return mac
    raise errors.NoAddress("no free MAC address was found; try again")
