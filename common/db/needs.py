"""Claims that are needed and not held, or held of other sizes than what needs them.

A server that does not move needs what its flavor says on its host. A move that
goes on needs what the guest had on its source, and its server what the guest
will have on its destination, from when that is settled on. What nobody has
understood yet (a move in error that still holds room) is left alone.
"""

from __future__ import annotations

import json
from typing import Any
from typing import cast
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import states
from common.db import claims
from common.db import hosts
from common.db import leftovers
from common.db import tables
from common.objects import base

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Iterator

    from common import objects
    from common.db.engine import Tx

_A = tables.ALLOCATIONS.c
_M = tables.MIGRATIONS.c
_V = tables.SERVERS.c

# States in which a server has a guest; one in error may have none.
STANDING = frozenset({states.Vm.ACTIVE, states.Vm.PAUSED, states.Vm.STOPPED, states.Vm.RESIZED})
# A move's statuses in which its destination is chosen, claimed, and no other is looked for.
BOUND = frozenset(states.Move) - states.TERMINAL - {states.Move.ACCEPTED, states.Move.PRE_MIGRATING}


class Size(NamedTuple):
    """What a server takes, and whether its flavor says how large its first disk is."""

    amounts: dict[str, int]
    rooted: bool


class Sizes(dict[str, Size]):
    """The sizes of servers, by their flavor as the database keeps it; each is read once."""

    def __missing__(self, flavor: str) -> Size:
        """Read a flavor."""
        found = cast("objects.Flavor", base.Value.obj_from_primitive(json.loads(flavor)))
        self[flavor] = Size(claims.amounts(found), found.root_gb > 0)
        return self[flavor]


class _Shares(dict[tuple[str, str | None], dict[str, int]]):
    """What servers take, by flavor and image as the database keeps them; each is read once."""

    def __missing__(self, key: tuple[str, str | None]) -> dict[str, int]:
        """Read a flavor and an image."""
        flavor, image = (
            None if text is None else base.Value.obj_from_primitive(json.loads(text))
            for text in key
        )
        self[key] = claims.amounts(
            cast("objects.Flavor", flavor), cast("objects.Image | None", image)
        )
        return self[key]


class Need(NamedTuple):
    """What a consumer needs of a host, and holds there instead; {} is nothing."""

    consumer: str
    host: str
    who: str
    amounts: dict[str, int]
    held: dict[str, int]


class _Wanted(NamedTuple):
    """What should be held, in the words of its cause."""

    consumer: str
    host: str
    who: str
    amounts: dict[str, int]


def find(tx: Tx, names: Collection[str] | None = None, consumer: str | None = None) -> list[Need]:
    """Give what is needed of these hosts, or of all, and not held just so.

    Of all consumers, or of this one.
    """
    found = []
    for some in hosts.chunks(tx, names):
        held = _held(tx, some, consumer)
        for wanted in [*_placed(tx, some, consumer), *_moving(tx, some, consumer)]:
            has = held.get((wanted.consumer, wanted.host), {})
            if has != wanted.amounts:
                found.append(Need(*wanted, has))
    return sorted(found, key=lambda need: (need.host, need.consumer))


def meet(tx: Tx, need: Need) -> Need | None:
    """Claim just what is needed, whether there is room or not: the guest is a fact.

    Gives the need as it was met, or None when it is none any more. The host's row
    is held while it is looked at again: whoever changes this claim has done it
    before, or does it afterwards.
    """
    claims.lock(tx, [need.host])
    for now in find(tx, [need.host], need.consumer):
        claims.put(tx, now.host, now.consumer, now.amounts)
        return now
    return None


def _held(tx: Tx, names: list[str], consumer: str | None) -> dict[tuple[str, str], dict[str, int]]:
    query = sa.select(_A.consumer, _A.host, _A["class"], _A.amount).where(_A.host.in_(names))
    if consumer is not None:
        query = query.where(_A.consumer == consumer)
    found: dict[tuple[str, str], dict[str, int]] = {}
    for holder, host, kind, amount in tx.tuples(query):
        found.setdefault((holder, host), {})[kind] = amount
    return found


def _placed(tx: Tx, names: list[str], consumer: str | None) -> Iterator[_Wanted]:
    """Give what servers need that have no move."""
    # As text: there are thousands of servers, and few flavors and images to read.
    what = (sa.cast(_V.flavor, sa.Text), sa.cast(_V.image, sa.Text))
    query = sa.select(_V.uuid, _V.name, _V.host, *what).where(
        _V.host.in_(names), _V.vm_state.in_(sorted(STANDING)), sa.not_(leftovers.moves())
    )
    if consumer is not None:
        query = query.where(_V.uuid == consumer)
    shares = _Shares()
    for uuid, name, host, *key in tx.tuples(query):
        yield _Wanted(uuid, host, f"server {uuid} ({name})", shares[key[0], key[1]])


def _moving(tx: Tx, names: list[str], consumer: str | None) -> Iterator[_Wanted]:
    """Give what moves that go on need of both their hosts."""
    query = (
        sa.select(
            _M.uuid, _M.status, _M.source, _M.destination, _M.cold, _V.uuid.label("server"),
            _V.name, _V.flavor, _V.image,
        )
        .join(tables.SERVERS, _V.uuid == _M.instance_uuid)
        .where(
            _M.status.not_in(sorted(states.TERMINAL)),
            sa.or_(_M.source.in_(names), _M.destination.in_(names)),
            _V.vm_state != states.Vm.DELETED,
        )
    )  # fmt: skip
    if consumer is not None:
        query = query.where(sa.or_(_M.uuid == consumer, _M.instance_uuid == consumer))
    for row in tx.rows(query):
        for wanted in _ends(row):
            if wanted.host in names and consumer in {None, wanted.consumer}:
                yield wanted


def _ends(row: dict[str, Any]) -> Iterator[_Wanted]:
    cold: objects.ColdMove | None = row["cold"]
    server = f"server {row['server']} ({row['name']})"
    old = row["flavor"] if cold is None else cold.old_flavor
    new = row["flavor"] if cold is None else cold.new_flavor
    leaving = f"migration {row['uuid']} of {server}"
    yield _Wanted(row["uuid"], row["source"], leaving, claims.amounts(old, row["image"]))
    if row["destination"] is not None and row["status"] in BOUND:
        coming = f"{server}, which moves there"
        yield _Wanted(row["server"], row["destination"], coming, claims.amounts(new, row["image"]))
