"""The few shapes of statement that every module here needs."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING
from typing import TypeVar

import sqlalchemy as sa

from common import errors
from common.objects import base

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.db.engine import Tx

V = TypeVar("V", bound=base.Value)
Many = (list, tuple, set, frozenset)


def make(kind: type[V], row: Mapping[str, Any], **more: object) -> V:
    """Make an object from the row's columns that are its fields, and from `more`."""
    values = {name: row[name] for name in kind.fields if name in row}
    found = kind(**values, **more)
    found.obj_reset_changes()
    return found


def pick(table: sa.Table, value: base.Value) -> dict[str, Any]:
    """Give the object's fields that are columns of the table, but its number."""
    names = [column.name for column in table.columns if column.name != "id" or _named(table)]
    return {
        name: getattr(value, name)
        for name in names
        if name in value.fields and value.obj_attr_is_set(name)
    }


def matches(column: sa.ColumnElement[Any], wanted: object) -> sa.ColumnElement[bool]:
    """Ask for one value, or for any of a collection; None stands for no value in both."""
    if not isinstance(wanted, Many):
        return column.is_(None) if wanted is None else column == wanted
    some = column.in_([value for value in wanted if value is not None])
    return sa.or_(column.is_(None), some) if None in wanted else some


def page(
    tx: Tx,
    query: sa.Select[Any],
    key: sa.ColumnElement[bool] | None,
    number: sa.Column[int],
    limit: int | None,
) -> list[dict[str, Any]]:
    """Give rows newest first: those after the one that the condition `key` names, if any.

    Raises Invalid for a marker that no row has.
    """
    query = query.order_by(number.desc()).limit(limit)
    if key is None:
        return tx.rows(query)
    last = tx.row(sa.select(number).where(key))
    if last is None:
        raise errors.Invalid("the marker is unknown; take the last id of the page before")
    return tx.rows(query.where(number < last["id"]))


def upsert(tx: Tx, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Update the row with this key, or insert it.

    Raises Exists when another row has one of the values that must be unique.
    """
    where = [table.c[name] == value for name, value in key.items()]
    update = sa.update(table).where(*where).values(dict(values))
    if tx.count(update) or tx.insert(table, {**key, **values}) or tx.count(update):
        return
    raise errors.Exists(f"a row of {table.name} has one of {dict(values)} already")


def _named(table: sa.Table) -> bool:
    """Tell whether the table's id is a name or uuid rather than a number of its own."""
    return not table.c.id.primary_key
