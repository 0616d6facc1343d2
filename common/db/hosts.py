"""Hosts: what each hypervisor has, and what is promised of it."""

from __future__ import annotations

import datetime
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import objects
from common.db import claims
from common.db import rows
from common.db import services
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.db.engine import Tx

BINARY = "nova-compute"

_N = tables.COMPUTE_NODES
_S = tables.SERVICES

# Resource class: the node's fields for total, reserved, ratio and promised.
FIELDS = {
    claims.VCPU: ("vcpus", "reserved_vcpus", "cpu_ratio", "vcpus_used"),
    claims.MEMORY_MB: ("memory_mb", "reserved_memory_mb", "ram_ratio", "memory_mb_used"),
    claims.DISK_GB: ("local_gb", "reserved_gb", "disk_ratio", "local_gb_used"),
}


class Aggregate(NamedTuple):
    """A named set of hosts with what an operator says of them."""

    name: str
    metadata: Mapping[str, str]


class Kind(NamedTuple):
    """What a hypervisor is: HostFacts without the cost of an object."""

    architecture: str = ""
    hypervisor_type: str = ""
    hypervisor_version: int = 0  # libvirt's number: 7002000 is 7.2.0
    virt_type: str = ""
    machine_types: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    cpu: str = ""  # libvirt's <cpu> of the host


class Room(NamedTuple):
    """A host as the scheduler looks at it; light, for there may be thousands."""

    name: str
    zone: str
    up: bool
    silent: float | None  # seconds since the last report, None if there never was one
    forced_down: bool
    disabled: bool
    disabled_reason: str | None
    amounts: dict[str, claims.Amount]
    disk_available_least: int | None = None  # GiB, measured; None was never reported
    aggregates: tuple[Aggregate, ...] = ()
    instances: int = 0  # servers that live there
    io_ops: int = 0  # of these, those being built, moved or resized
    failures: int = 0  # builds and moves that failed there lately, since one went well
    kind: Kind = Kind()


def report(tx: Tx, node: objects.ComputeNode) -> None:
    """Write what a host has; the newest report replaces the one before."""
    values = rows.pick(_N, node)
    values["updated_at"] = tx.now()
    rows.upsert(tx, _N, {"host": values.pop("host")}, values)
    for kind, (total, reserved, ratio, _used) in FIELDS.items():
        rows.upsert(
            tx,
            tables.INVENTORY,
            {"host": node.host, "class": kind},
            {
                "total": getattr(node, total),
                "reserved": getattr(node, reserved),
                "ratio": getattr(node, ratio),
            },
        )


def get(tx: Tx, host: str, now: datetime.datetime, down_after: float) -> objects.ComputeNode:
    """Give one host with its service, or raise HostNotFound."""
    row = tx.row(sa.select(_N).where(_N.c.host == host))
    if row is None:
        raise errors.HostNotFound(
            f"no compute service has ever reported as {host}; see: whimbrel host list"
        )
    service = tx.row(sa.select(_S).where(_S.c.host == host, _S.c.binary == BINARY))
    made = services.make(service, now, down_after) if service else None
    return _make(row, claims.inventory(tx, host).get(host, {}), made)


def all(  # noqa: A001 - qualified where used
    tx: Tx, now: datetime.datetime, down_after: float
) -> list[objects.ComputeNode]:
    """Give every host with its service, by name; five statements however many there are."""
    found = tx.rows(sa.select(_N).order_by(_N.c.host))
    amounts = claims.inventory(tx)
    beside = {
        row["host"]: services.make(row, now, down_after)
        for row in tx.rows(sa.select(_S).where(_S.c.binary == BINARY))
    }
    return [_make(row, amounts.get(row["host"], {}), beside.get(row["host"])) for row in found]


def rooms(tx: Tx, now: datetime.datetime, down_after: float) -> list[Room]:
    """Give every host as the scheduler needs it, by name, in three statements."""
    amounts = claims.inventory(tx)
    query = (
        sa.select(
            _N.c.host,
            _N.c.availability_zone,
            _S.c.last_seen,
            _S.c.forced_down,
            _S.c.disabled,
            _S.c.disabled_reason,
        )
        .outerjoin(_S, sa.and_(_S.c.host == _N.c.host, _S.c.binary == BINARY))
        .order_by(_N.c.host)
    )
    return [
        Room(
            name=host,
            zone=zone,
            up=bool(seen) and not forced and (now - seen).total_seconds() <= down_after,
            silent=(now - seen).total_seconds() if seen else None,
            forced_down=bool(forced),
            disabled=bool(disabled),
            disabled_reason=reason,
            amounts=amounts.get(host, {}),
        )
        for host, zone, seen, forced, disabled, reason in tx.tuples(query)
    ]


def _make(
    row: dict[str, Any], amounts: dict[str, claims.Amount], service: objects.Service | None
) -> objects.ComputeNode:
    """Count what the host keeps for itself as used, as Nova does."""
    values: dict[str, Any] = {}
    for kind, (total, reserved, ratio, used) in FIELDS.items():
        amount = amounts.get(kind, claims.Amount(0, 0, 1.0, 0))
        values[total] = amount.total
        values[reserved] = amount.reserved
        values[ratio] = amount.ratio
        values[used] = amount.reserved + amount.used
    return rows.make(objects.ComputeNode, row, service=service, **values)
