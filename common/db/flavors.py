"""Flavors: the sizes that servers can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import objects
from common.db import rows
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Mapping

    from common.db.engine import Tx

_T = tables.FLAVORS


def create(tx: Tx, flavor: objects.Flavor) -> objects.Flavor:
    """Write a flavor, or raise Exists when its id or name is taken."""
    if not tx.insert(_T, rows.pick(_T, flavor)):
        raise errors.Exists(f"a flavor with the id {flavor.id} or the name {flavor.name} exists")
    return get(tx, flavor.id)


def get(tx: Tx, flavor: str) -> objects.Flavor:
    """Give a flavor by its id, else by its name, or raise FlavorNotFound."""
    for column in (_T.c.id, _T.c.name):
        row = tx.row(sa.select(_T).where(column == flavor))
        if row is not None:
            return rows.make(objects.Flavor, row)
    raise errors.FlavorNotFound(f"flavor {flavor} does not exist; see: whimbrel flavor list")


def all(tx: Tx) -> list[objects.Flavor]:  # noqa: A001 - qualified where used
    """Give every flavor in the order they were made."""
    return [
        rows.make(objects.Flavor, row) for row in tx.rows(sa.select(_T).order_by(_T.c.position))
    ]


def delete(tx: Tx, flavor: str) -> None:
    """Remove a flavor by its id or name, or raise FlavorNotFound; servers keep their copies."""
    tx.run(sa.delete(_T).where(_T.c.id == get(tx, flavor).id))


def specify(
    tx: Tx, flavor: str, specs: Mapping[str, str], remove: Collection[str]
) -> objects.Flavor:
    """Set and remove extra specs, or raise FlavorNotFound; servers keep their copies.

    What others set at the same time stays: the row is held while it is changed.
    """
    mine = _T.c.id == get(tx, flavor).id
    row = tx.row(sa.select(_T.c.extra_specs).where(mine).with_for_update())
    before: dict[str, str] = row["extra_specs"] if row else {}
    left = {key: value for key, value in before.items() if key not in remove}
    tx.run(sa.update(_T).where(mine).values(extra_specs={**left, **specs}))
    return get(tx, flavor)
