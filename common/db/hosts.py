"""Hosts: what each hypervisor has, and what is promised of it."""

from __future__ import annotations

import datetime
import json
import math
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import objects
from common.db import claims
from common.db import ratios
from common.db import rows
from common.db import services
from common.db import strangers
from common.db import tables
from common.db import zones

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Iterator
    from collections.abc import Mapping

    from common.db.engine import Tx

BINARY = "nova-compute"
# Names in one statement; databases bound how many values it may have.
AT_ONCE = 200

_I = tables.INVENTORY.c
_N = tables.COMPUTE_NODES
_S = tables.SERVICES
_V = tables.SERVERS.c


class Fields(NamedTuple):
    """The fields of a ComputeNode that tell of one resource class."""

    total: str
    reserved: str
    ratio: str
    used: str
    foreign: str
    share: str  # the field of a foreign guest
    unit: int = 1  # the reserve is counted in this many of the class's unit


FIELDS = {
    claims.VCPU: Fields(
        "vcpus",
        "reserved_host_cpus",
        "cpu_allocation_ratio",
        "vcpus_used",
        "foreign_vcpus",
        "vcpus",
    ),
    claims.MEMORY_MB: Fields(
        "memory_mb",
        "reserved_host_memory_mb",
        "ram_allocation_ratio",
        "memory_mb_used",
        "foreign_memory_mb",
        "memory_mb",
    ),
    claims.DISK_GB: Fields(
        "local_gb",
        "reserved_host_disk_mb",
        "disk_allocation_ratio",
        "local_gb_used",
        "foreign_gb",
        "disk_gb",
        unit=1024,
    ),
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

    @classmethod
    def read(cls, facts: str) -> Kind:
        """Read HostFacts as the database keeps them."""
        known = json.loads(facts).get("whimbrel.data", {})
        values = {name: known[name] for name in cls._fields if name in known}
        values["machine_types"] = tuple(known.get("machine_types", ()))
        values["features"] = frozenset(known.get("features", ()))
        return cls(**values)


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
    storage: str = ""  # the same for hosts that keep their guests' disks in one place
    aggregates: tuple[Aggregate, ...] = ()
    instances: int = 0  # servers that live there, and those on their way in
    io_ops: int = 0  # of these, those being built, moved or resized
    failures: int = 0  # builds and moves that failed there lately, since one went well
    facts: str = "{}"  # HostFacts in JSON, read by whoever asks for `kind`

    @property
    def kind(self) -> Kind:
        """Say what the hypervisor is."""
        return Kind.read(self.facts)

    @property
    def over_promised(self) -> dict[str, int]:
        """Give {class: amount} by which more is promised and used than the host has."""
        return claims.promised_too_much(self.amounts)

    @property
    def disk_room(self) -> int | None:
        """Give the GiB that new disks may grow to in all, by what was measured.

        What the host keeps for itself is taken off, and what its ratio allows
        to promise beyond the file system is added; but where the disks may
        outgrow it already, no ratio helps.
        """
        disk, least = self.amounts.get(claims.DISK_GB), self.disk_available_least
        if least is None or disk is None:
            return None
        room = least - (disk.total - disk.capacity)
        return room if least >= 0 else min(room, least)


def report(tx: Tx, node: objects.ComputeNode, settled: float = 0.0) -> dict[str, int]:
    """Write what changed of what a host has; a report that changes nothing writes nothing.

    A guest whose server was deleted within `settled` seconds is not counted as
    nobody's yet. Gives what the host has promised too much, {class: amount},
    when its inventory is another than before, and nothing otherwise.
    """
    node.obj_reset_changes(recursive=True)
    before = tx.row(sa.select(_N).where(_N.c.host == node.host).with_for_update())
    old = before or {}
    changed = {
        name: value
        for name, value in rows.pick(_N, node).items()
        if name not in {"host", "updated_at"} and old.get(name) != value
    }
    if changed:
        rows.upsert(tx, _N, {"host": node.host}, {**changed, "updated_at": tx.now()})
    if not _count(tx, node, settled):
        return {}
    return claims.promised_too_much(claims.inventory(tx, node.host)[node.host])


def recount(tx: Tx, host: str, settled: float) -> dict[str, int]:
    """Count anew what guests that are not ours to promise take, by the host's last report.

    Gives the same as report().
    """
    claims.lock(tx, [host])
    row = tx.row(sa.select(_N.c.usage).where(_N.c.host == host))
    taken = _foreign(tx, row["usage"] if row else None, settled)
    before = claims.inventory(tx, host).get(host, {})
    if taken == {kind: amount.foreign for kind, amount in before.items()}:
        return {}
    for kind, amount in taken.items():
        here = (_I.host == host, _I["class"] == kind)
        tx.run(sa.update(tables.INVENTORY).where(*here).values(foreign_used=amount))
    return claims.promised_too_much(claims.inventory(tx, host).get(host, {}))


def chunks(tx: Tx, names: Collection[str] | None) -> Iterator[list[str]]:
    """Give these hosts' names, or all, as many as one statement may have."""
    if names is None:
        names = [name for (name,) in tx.tuples(sa.select(_N.c.host))]
    ordered = sorted(names)
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]


def get(tx: Tx, host: str, now: datetime.datetime, down_after: float) -> objects.ComputeNode:
    """Give one host with its service, or raise HostNotFound."""
    row = tx.row(sa.select(_N).where(_N.c.host == host))
    if row is None:
        raise errors.HostNotFound(
            f"no compute service has ever reported as {host}; see: whimbrel host list"
        )
    row["availability_zone"] = zones.given(tx, host).get(host, row["availability_zone"])
    service = tx.row(sa.select(_S).where(_S.c.host == host, _S.c.binary == BINARY))
    made = services.make(service, now, down_after) if service else None
    return _make(row, claims.inventory(tx, host).get(host, {}), _workload(tx, host), made)


def storage(tx: Tx, host: str) -> str:
    """Give the id of the place where the host keeps its guests' disks; empty if it never said."""
    row = tx.row(sa.select(_N.c.storage).where(_N.c.host == host))
    return "" if row is None else str(row["storage"])


def sharing(tx: Tx, host: str) -> list[str]:
    """Name the hosts that keep their guests' disks in the same place, by name; itself too."""
    where = storage(tx, host)
    if not where:
        return [host]
    query = sa.select(_N.c.host).where(_N.c.storage == where).order_by(_N.c.host)
    return [name for (name,) in tx.tuples(query)]


def all(  # noqa: A001 - qualified where used
    tx: Tx, now: datetime.datetime, down_after: float
) -> list[objects.ComputeNode]:
    """Give every host with its service, by name; seven statements however many there are."""
    found = tx.rows(sa.select(_N).order_by(_N.c.host))
    given = zones.given(tx)
    for row in found:
        row["availability_zone"] = given.get(row["host"], row["availability_zone"])
    amounts = claims.inventory(tx)
    beside = {
        row["host"]: services.make(row, now, down_after)
        for row in tx.rows(sa.select(_S).where(_S.c.binary == BINARY))
    }
    workload = _workload(tx)
    return [
        _make(row, amounts.get(row["host"], {}), workload, beside.get(row["host"])) for row in found
    ]


def _foreign(tx: Tx, usage: objects.HostUsage | None, settled: float) -> dict[str, int]:
    """Give {class: amount} that foreign guests use, and those of ours that nobody knows."""
    others = [] if usage is None else [*usage.foreign, *strangers.among(tx, usage.guests, settled)]
    return {
        kind: sum(getattr(guest, names.share) for guest in others) for kind, names in FIELDS.items()
    }


def _count(tx: Tx, node: objects.ComputeNode, settled: float) -> bool:
    """Write the rows of a host's inventory that are others than before; tells whether any was."""
    query = sa.select(_I["class"], _I.total, _I.reserved, _I.own_ratio, _I.ratio, _I.foreign_used)
    given = ratios.of(tx, node.host)
    before = {kind: rest for kind, *rest in tx.tuples(query.where(_I.host == node.host))}
    foreign = _foreign(tx, node.usage, settled)
    news = False
    for kind, names in FIELDS.items():
        values = {
            "total": getattr(node, names.total),
            "reserved": math.ceil(getattr(node, names.reserved) / names.unit),
            "own_ratio": getattr(node, names.ratio),
            "ratio": given.get(kind, getattr(node, names.ratio)),
            "foreign_used": foreign[kind],
        }
        if before.get(kind) != list(values.values()):
            rows.upsert(tx, tables.INVENTORY, {"host": node.host, "class": kind}, values)
            news = True
    return news


def _workload(tx: Tx, host: str | None = None) -> dict[str, int]:
    """Count the servers of each host, or of one, that something is being done to."""
    query = sa.select(_V.host, sa.func.count()).where(
        _V.task_state.is_not(None), _V.host.is_not(None)
    )
    query = query if host is None else query.where(_V.host == host)
    return {name: int(number) for name, number in tx.tuples(query.group_by(_V.host))}


def _make(
    row: dict[str, Any],
    amounts: dict[str, claims.Amount],
    workload: Mapping[str, int],
    service: objects.Service | None,
) -> objects.ComputeNode:
    """Count what the host keeps for itself as used, as Nova does, and what foreign guests use."""
    values: dict[str, Any] = {}
    for kind, names in FIELDS.items():
        amount = amounts.get(kind, claims.Amount(0, 0, 1.0, 0))
        values[names.total] = amount.total
        values[names.reserved] = amount.reserved * names.unit
        values[names.ratio] = amount.ratio
        values[names.foreign] = amount.foreign
        values[names.used] = amount.reserved + amount.foreign + amount.used
    return rows.make(
        objects.ComputeNode,
        row,
        service=service,
        current_workload=workload.get(row["host"], 0),
        over_promised=claims.promised_too_much(amounts),
        **values,
    )
