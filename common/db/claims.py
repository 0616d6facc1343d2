"""Claims: what a consumer (a server or a migration) holds of a host.

capacity = (total - reserved) * ratio. A claim locks the host's row first, so
any number of processes claim one after the other, on every database, and the
sum of what is held, beside what foreign guests use, never exceeds the capacity.

Statements are built once: to build one takes several times as long as to run it.
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
    from collections.abc import Collection
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

GIB = 1 << 30

SHORT = {
    VCPU: "needs {need} vCPUs, {free} free of {capacity}",
    MEMORY_MB: "needs {need} MB, {free} MB free of {capacity}",
    DISK_GB: "needs {need} GB of disk, {free} GB free of {capacity}",
}

WORDS = {VCPU: "{amount} vCPUs", MEMORY_MB: "{amount} MiB", DISK_GB: "{amount} GiB"}
OVER = {VCPU: "vCPUs {over}", MEMORY_MB: "memory {over} MiB", DISK_GB: "disk {over} GiB"}

_A = tables.ALLOCATIONS.c
_I = tables.INVENTORY.c
_N = tables.COMPUTE_NODES.c
_S = tables.SERVERS.c
_V = tables.MIGRATIONS.c

# The columns of an Amount, in its order.
AMOUNT = (_I.total, _I.reserved, _I.ratio, _I.used, _I.foreign_used)

_CONSUMER: sa.BindParameter[str] = sa.bindparam("consumer")
_HELD = sa.select(_A.host, _A["class"], _A.amount).where(_A.consumer == _CONSUMER)
_LOCK = (
    sa.select(_N.host)
    .where(_N.host.in_(sa.bindparam("hosts", expanding=True)))
    .order_by(_N.host)
    .with_for_update()
)
_SEEN = (
    sa.select(_I["class"], _A.amount, *AMOUNT)
    .outerjoin(
        tables.ALLOCATIONS,
        sa.and_(_A.host == _I.host, _A["class"] == _I["class"], _A.consumer == _CONSUMER),
    )
    .where(_I.host == sa.bindparam("name"))
)
_TAKE = sa.insert(tables.ALLOCATIONS)
_GIVE = sa.delete(tables.ALLOCATIONS).where(
    _A.consumer == _CONSUMER, _A.host == sa.bindparam("name")
)
# Where a server lives by room of its own: none of its moves holds the room there for it.
_LIVES = sa.select(_S.host).where(
    _S.uuid == _CONSUMER,
    _S.host.is_not(None),
    ~sa.exists(
        sa.select(_A.host)
        .join(tables.MIGRATIONS, _V.uuid == _A.consumer)
        .where(_V.instance_uuid == _S.uuid, _A.host == _S.host)
    ),
)
_COUNT = (
    sa.update(tables.INVENTORY)
    .where(_I.host == sa.bindparam("name"), _I["class"] == sa.bindparam("kind"))
    .values(used=_I.used + sa.bindparam("change", type_=sa.Integer))
)


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


def amounts(flavor: objects.Flavor, image: objects.Image | None = None) -> dict[str, int]:
    """Give what a server of this flavor and image takes: cores, MiB, and GiB rounded up.

    Without a size of its flavor the root disk is as large as the image.
    """
    root = flavor.root_gb or _virtual_gb(image)
    disk = root + flavor.ephemeral_gb + math.ceil(flavor.swap_mb / 1024)
    return {VCPU: flavor.vcpus, MEMORY_MB: flavor.memory_mb, DISK_GB: disk}


def claim(
    tx: Tx,
    host: str,
    consumer: str,
    amounts: Mapping[str, int],
    guards: Iterable[Guard] = (),
) -> dict[str, int]:
    """Take all of it from the host and give what is held then, or raise NoRoom.

    A host that has promised too much of anything gives nothing more. What the
    consumer holds there of an earlier request is exchanged; the room in which a
    server lives is not. Each guard looks once more, in this
    transaction, and raises NoRoom against the claim; it locks what it looks at,
    so that two claims cannot pass each other. Raises HostNotFound for a host
    that never reported.
    """
    for guard in guards:
        guard(tx, host)
    lock(tx, [host])
    mine, room = _seen(tx, host, consumer)
    _fits(host, given_back(room, mine), amounts)
    if mine == amounts:
        return mine
    if mine and host == _home(tx, consumer):
        raise errors.NoRoom(f"{host}: {consumer} lives there by now", host=host)
    if mine:
        _give(tx, host, consumer, mine)
    _take(tx, host, consumer, amounts)
    return dict(amounts)


def put(tx: Tx, host: str, consumer: str, amounts: Mapping[str, int]) -> None:
    """Have the consumer hold just this on the host, whether there is room for it or not."""
    release(tx, consumer, host)
    _take(tx, host, consumer, amounts)


def late(tx: Tx, consumer: str) -> dict[str, dict[str, int]]:
    """Give what the consumer holds of earlier requests, whose answers came too late for anybody.

    It is all that it holds, but for the room in which a server lives.
    """
    mine = held(tx, consumer)
    if mine:
        mine.pop(_home(tx, consumer), None)
    return mine


def given_back(room: Mapping[str, Amount], mine: Mapping[str, int]) -> dict[str, Amount]:
    """Give what a host has when a claim on it is given back."""
    return {
        name: amount._replace(used=amount.used - mine.get(name, 0)) for name, amount in room.items()
    }


def release(tx: Tx, consumer: str, host: str | None = None) -> None:
    """Give back what the consumer holds on the host, or everywhere; twice does no harm."""
    hosts = lock(tx, list(held(tx, consumer)) if host is None else [host])
    mine = held(tx, consumer)
    for name in hosts:
        if name in mine:
            _give(tx, name, consumer, mine[name])


def transfer(tx: Tx, host: str, from_consumer: str, to_consumer: str) -> None:
    """Make one consumer's claim on the host another's; a repeat changes nothing.

    Raises Exists when both hold something there, StaleWrite when neither does.
    """
    lock(tx, [host])
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
        sa.update(tables.ALLOCATIONS).where(_on(from_consumer, host)).values(consumer=to_consumer)
    )


def held(tx: Tx, consumer: str) -> dict[str, dict[str, int]]:
    """Give {host: {class: amount}} that the consumer holds."""
    found: dict[str, dict[str, int]] = {}
    for row in tx.tuples(_HELD, {"consumer": consumer}):
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
    """Give {host: {class: Amount}} of one host or of all, in one statement."""
    query = sa.select(_I.host, _I["class"], *AMOUNT)
    found: dict[str, dict[str, Amount]] = {}
    for name, kind, *numbers in tx.tuples(query if host is None else query.where(_I.host == host)):
        found.setdefault(name, {})[kind] = Amount(*numbers)
    return found


def lock(tx: Tx, hosts: Collection[str]) -> list[str]:
    """Hold these hosts' rows until the end of the transaction, and give those that there are.

    Who changes the claims of several hosts in one transaction locks all of them
    first: rows are locked by name, so two such transactions never wait for
    each other.
    """
    if not hosts:
        return []
    return [name for (name,) in tx.tuples(_LOCK, {"hosts": sorted(hosts)})]


def lock_held(tx: Tx, consumers: Collection[str]) -> None:
    """Hold the rows of all hosts on which any of these consumers holds something."""
    lock(tx, {host for consumer in consumers for host in held(tx, consumer)})


def words(amounts: Mapping[str, int]) -> str:
    """Say how much of what that is: 1 vCPUs, 512 MiB, 1 GiB."""
    told = [WORDS[kind].format(amount=amounts[kind]) for kind in WORDS if kind in amounts]
    return ", ".join(told) or "nothing"


def promised_too_much(amounts: Mapping[str, Amount]) -> dict[str, int]:
    """Give {class: amount} by which more is promised and used than a host has."""
    return {kind: -amount.free for kind, amount in amounts.items() if amount.free < 0}


def too_much(over: Mapping[str, int]) -> str:
    """Say by how much a host is over-promised: {class: amount} in words."""
    told = ", ".join(OVER[kind].format(over=over[kind]) for kind in OVER if kind in over)
    return f"over-promised: {told}"


def short(name: str, room: Amount | None, need: int) -> str | None:
    """Say what is missing of a class, with numbers, or None when it fits.

    Needing nothing fits, even where too much is promised of the class.
    """
    free = room.free if room else 0
    if need <= free or not need:
        return None
    return SHORT[name].format(free=free, capacity=room.capacity if room else 0, need=need)


def _seen(tx: Tx, host: str, consumer: str) -> tuple[dict[str, int], dict[str, Amount]]:
    """Give what the consumer holds on the host, and what the host has, in one statement."""
    found = tx.tuples(_SEEN, {"consumer": consumer, "name": host})
    if not found:
        raise errors.HostNotFound(
            f"no compute service has ever reported as {host}; see: whimbrel host list"
        )
    held = {row[0]: row[1] for row in found if row[1] is not None}
    return held, {row[0]: Amount(*row[2:]) for row in found}


def _fits(host: str, room: Mapping[str, Amount], amounts: Mapping[str, int]) -> None:
    """Raise NoRoom for what does not fit, and for anything on a host that is over-promised."""
    refusals = [
        refusal for name, need in amounts.items() if (refusal := short(name, room.get(name), need))
    ]
    over = promised_too_much(room)
    if over:
        refusals.append(f"it is {too_much(over)}")
    if refusals:
        raise errors.NoRoom(f"{host}: {'; '.join(refusals)}", host=host)


def _virtual_gb(image: objects.Image | None) -> int:
    """Give how large the image's disk is: a qcow2's least disk is that, and it takes less."""
    return 0 if image is None else max(image.min_disk, math.ceil(image.size / GIB))


def _home(tx: Tx, consumer: str) -> str:
    """Name the host on which a server lives by room of its own; empty for any other consumer."""
    row = tx.row(_LIVES, {"consumer": consumer})
    return "" if row is None else str(row["host"])


def _give(tx: Tx, host: str, consumer: str, mine: Mapping[str, int]) -> None:
    """Give back what the consumer holds on a host whose row is locked."""
    _count(tx, host, mine, -1)
    tx.run(_GIVE, {"consumer": consumer, "name": host})


def _take(tx: Tx, host: str, consumer: str, amounts: Mapping[str, int]) -> None:
    rows = [
        {"consumer": consumer, "host": host, "class": name, "amount": need}
        for name, need in amounts.items()
    ]
    tx.run(_TAKE, rows)
    _count(tx, host, amounts, 1)


def _count(tx: Tx, host: str, amounts: Mapping[str, int], sign: int) -> None:
    """Keep the host's sums beside a change of its claims."""
    changes = [
        {"name": host, "kind": kind, "change": sign * amount} for kind, amount in amounts.items()
    ]
    tx.run(_COUNT, changes)


def _on(consumer: str, host: str) -> sa.ColumnElement[bool]:
    return sa.and_(_A.consumer == consumer, _A.host == host)
