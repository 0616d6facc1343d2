"""Claims: what a consumer (a server or a migration) holds of a host.

capacity = (total - reserved) * ratio. A claim locks the host's row first, so
any number of processes claim one after the other, on every database, and the
sum of what is held, beside what foreign guests use, never exceeds the capacity.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from typing import TypeAlias

    from common import objects
    from common.db.engine import Tx

    # Looks once more at the host that is about to be claimed; raises NoRoom.
    Guard: TypeAlias = Callable[[Tx, str], None]

VCPU = "VCPU"
MEMORY_MB = "MEMORY_MB"
DISK_GB = "DISK_GB"

SHORT = {
    VCPU: "{free} of {capacity} vCPUs free, {need} needed",
    MEMORY_MB: "{free} MiB of {capacity} free, {need} needed",
    DISK_GB: "{free} GiB of disk of {capacity} free, {need} needed",
}

_A = tables.ALLOCATIONS.c
_I = tables.INVENTORY.c


class Amount(NamedTuple):
    """How much of one class a host can promise, and has promised."""

    total: int
    reserved: int
    ratio: float
    used: int
    foreign: int = 0  # used by guests that Whimbrel did not make

    @property
    def capacity(self) -> int:
        """Give what may be promised in all."""
        return math.floor((self.total - self.reserved) * self.ratio)

    @property
    def free(self) -> int:
        """Give what may still be promised; negative after a host has shrunk."""
        return self.capacity - self.foreign - self.used


def amounts(flavor: objects.Flavor) -> dict[str, int]:
    """Give what a server of this flavor takes: cores, MiB, and GiB rounded up."""
    disk = flavor.root_gb + flavor.ephemeral_gb + math.ceil(flavor.swap_mb / 1024)
    return {VCPU: flavor.vcpus, MEMORY_MB: flavor.memory_mb, DISK_GB: disk}


def claim(
    tx: Tx,
    host: str,
    consumer: str,
    amounts: Mapping[str, int],
    guards: Iterable[Guard] = (),
) -> dict[str, int]:
    """Take all of it from the host and give what is held then, or raise NoRoom.

    A consumer that holds something there already keeps just that. Each guard
    looks once more, in this transaction, and raises NoRoom against the claim;
    it locks what it looks at, so that two claims cannot pass each other. Raises
    HostNotFound for a host that never reported.
    """
    for guard in guards:
        guard(tx, host)
    _lock(tx, host)
    already = held(tx, consumer).get(host)
    if already is not None:
        return already
    room = inventory(tx, host)
    refusals = [
        refusal
        for name, need in amounts.items()
        if (refusal := short(name, room[host].get(name), need))
    ]
    if refusals:
        raise errors.NoRoom(f"{host} has {'; '.join(refusals)}", host=host)
    for name, need in amounts.items():
        row = {"consumer": consumer, "host": host, "class": name, "amount": need}
        tx.run(sa.insert(tables.ALLOCATIONS).values(row))
    return dict(amounts)


def release(tx: Tx, consumer: str, host: str | None = None) -> None:
    """Give back what the consumer holds on the host, or everywhere; twice does no harm."""
    gone = sa.delete(tables.ALLOCATIONS).where(_A.consumer == consumer)
    tx.run(gone if host is None else gone.where(_A.host == host))


def transfer(tx: Tx, host: str, from_consumer: str, to_consumer: str) -> None:
    """Make one consumer's claim on the host another's; a repeat changes nothing.

    Raises Exists when both hold something there, StaleWrite when neither does.
    """
    _lock(tx, host)
    giver = host in held(tx, from_consumer)
    taker = host in held(tx, to_consumer)
    if giver and taker:
        raise errors.Exists(
            f"{to_consumer} holds a claim on {host} already, beside that of {from_consumer}"
        )
    if taker:
        return
    if not giver:
        raise errors.StaleWrite(f"{from_consumer} holds nothing on {host} to hand over")
    tx.run(
        sa.update(tables.ALLOCATIONS)
        .where(_A.consumer == from_consumer, _A.host == host)
        .values(consumer=to_consumer)
    )


def held(tx: Tx, consumer: str) -> dict[str, dict[str, int]]:
    """Give {host: {class: amount}} that the consumer holds."""
    found: dict[str, dict[str, int]] = {}
    for row in tx.tuples(sa.select(_A.host, _A["class"], _A.amount).where(_A.consumer == consumer)):
        found.setdefault(row[0], {})[row[1]] = row[2]
    return found


def usage(tx: Tx, host: str | None = None) -> dict[str, dict[str, int]]:
    """Give {host: {class: amount}} promised to all consumers; an empty host is absent."""
    query = sa.select(_A.host, _A["class"], sa.func.sum(_A.amount)).group_by(_A.host, _A["class"])
    found: dict[str, dict[str, int]] = {}
    for name, kind, total in tx.tuples(query if host is None else query.where(_A.host == host)):
        found.setdefault(name, {})[kind] = int(total)
    return found


def inventory(tx: Tx, host: str | None = None) -> dict[str, dict[str, Amount]]:
    """Give {host: {class: Amount}} of one host or of all, in two statements."""
    used = usage(tx, host)
    query = sa.select(_I.host, _I["class"], _I.total, _I.reserved, _I.ratio, _I.foreign_used)
    found: dict[str, dict[str, Amount]] = {}
    for name, kind, total, reserved, ratio, foreign in tx.tuples(
        query if host is None else query.where(_I.host == host)
    ):
        amount = Amount(total, reserved, ratio, used.get(name, {}).get(kind, 0), foreign)
        found.setdefault(name, {})[kind] = amount
    return found


def short(name: str, room: Amount | None, need: int) -> str | None:
    """Say what is missing of a class, with numbers, or None when it fits.

    Needing nothing always fits, even on a host that promised too much.
    """
    free = room.free if room else 0
    if need <= free or not need:
        return None
    return SHORT[name].format(free=free, capacity=room.capacity if room else 0, need=need)


def _lock(tx: Tx, host: str) -> None:
    """Hold the host's row until the end of the transaction."""
    nodes = tables.COMPUTE_NODES
    if tx.row(sa.select(nodes.c.id).where(nodes.c.host == host).with_for_update()) is None:
        raise errors.HostNotFound(
            f"no compute service has ever reported as {host}; see: whimbrel host list"
        )
