"""Servers: written by compare-and-swap only, so that two writers never both win."""

from __future__ import annotations

import re
from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import objects
from common import states
from common.db import networks
from common.db import rows
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.db.engine import Tx

_T = tables.SERVERS

# What a list of servers can be narrowed by: a value, or a collection of them.
FILTERS: dict[str, sa.ColumnElement[Any]] = {
    name: _T.c[name]
    for name in (
        "uuid",
        "name",
        "host",
        "vm_state",
        "task_state",
        "power_state",
        "project_id",
        "user_id",
        "availability_zone",
    )
} | {"image": _T.c.image_id}

_LIVING = frozenset(states.Vm) - {states.Vm.DELETED}

# A change of one of these is a change of state and raises the generation.
STATE = frozenset({"vm_state", "task_state", "host", "run_token"})


def create(tx: Tx, instance: objects.Instance) -> objects.Instance:
    """Write a new server and give it as it is read back; its ports have rows of their own."""
    values = {**rows.pick(_T, instance), **_copies(instance)}
    values["created_at"] = instance.created_at or tx.now()
    values["updated_at"] = values["created_at"]
    if not tx.insert(_T, values):
        raise errors.Exists(f"server {instance.uuid} exists already")
    return get(tx, instance.uuid)


def get(tx: Tx, uuid: str, *, deleted: bool = False) -> objects.Instance:
    """Give a server, or raise ServerNotFound; a deleted one is found only with `deleted`."""
    row = tx.row(sa.select(_T).where(_T.c.uuid == uuid))
    if row is None or (row["vm_state"] == states.Vm.DELETED and not deleted):
        raise errors.ServerNotFound(f"server {uuid} does not exist; see: whimbrel server list")
    return _make(tx, [row])[0]


def find(
    tx: Tx,
    *,
    limit: int | None = None,
    marker: str | None = None,
    deleted: bool | None = False,
    **filters: object,
) -> list[objects.Instance]:
    """Give servers, newest first, from behind the one whose uuid is the marker.

    `filters` are those of FILTERS, `flavor` (id or name), `name_regex`,
    `name_contains` and `changes_since`; `deleted` None gives living and
    deleted ones.
    """
    query = sa.select(_T)
    if deleted is not None:
        gone = _T.c.vm_state == states.Vm.DELETED
        query = query.where(gone if deleted else sa.not_(gone))
    for name, wanted in filters.items():
        query = query.where(_condition(name, wanted))
    behind = None if marker is None else _T.c.uuid == marker
    return _make(tx, rows.page(tx, query, behind, _T.c.id, limit))


def change(
    tx: Tx, uuid: str, *, expect: Mapping[str, object] | None = None, **values: object
) -> objects.Instance:
    """Write the values if every column of `expect` is as named, and give the server.

    An expected value may be a collection, and may hold None. A change of
    state raises the generation by one. Raises StaleWrite, which names what the
    server is instead, and ServerNotFound.
    """
    where = [_T.c.uuid == uuid]
    where += [rows.matches(_T.c[name], wanted) for name, wanted in (expect or {}).items()]
    if STATE & values.keys():
        values["generation"] = _T.c.generation + 1
    values["updated_at"] = tx.now()
    if isinstance(flavor := values.get("flavor"), objects.Flavor):
        values |= {"flavor_id": flavor.id, "flavor_name": flavor.name}
    if not tx.count(sa.update(_T).where(*where).values(values)):
        raise _stale(get(tx, uuid, deleted=True), expect or {})
    return get(tx, uuid, deleted=True)


def amend(tx: Tx, uuid: str, **values: object) -> objects.Instance:
    """Write what is no state (name, description, metadata) in any state but deleted."""
    return change(tx, uuid, expect={"vm_state": _LIVING}, **values)


def placement(tx: Tx, uuid: str) -> dict[str, Any]:
    """Give what the search for a host was begun with, and where it has come to."""
    row = tx.row(sa.select(_T.c.placement).where(_T.c.uuid == uuid))
    return dict(row["placement"] or {}) if row else {}


def _copies(instance: objects.Instance) -> dict[str, object]:
    """Give what is searched by, beside the copies of flavor and image."""
    return {
        "flavor_id": instance.flavor.id,
        "flavor_name": instance.flavor.name,
        "image_id": instance.image.id if instance.image else None,
    }


def _make(tx: Tx, found: list[dict[str, Any]]) -> list[objects.Instance]:
    ports = networks.ports(tx, [row["uuid"] for row in found]) if found else {}
    return [rows.make(objects.Instance, row, ports=ports.get(row["uuid"], [])) for row in found]


def _condition(name: str, wanted: object) -> sa.ColumnElement[bool]:
    special = SPECIAL.get(name)
    if special is not None:
        return special(wanted)
    if name not in FILTERS:
        raise errors.Invalid(f"servers cannot be filtered by {name}")
    return rows.matches(FILTERS[name], wanted)


def _by_flavor(wanted: object) -> sa.ColumnElement[bool]:
    return sa.or_(rows.matches(_T.c.flavor_id, wanted), rows.matches(_T.c.flavor_name, wanted))


def _by_pattern(wanted: object) -> sa.ColumnElement[bool]:
    try:
        re.compile(str(wanted))
    except re.error as wrong:
        raise errors.Invalid(f"{wanted} is no regular expression: {wrong}") from wrong
    return _T.c.name.regexp_match(str(wanted))


def _by_part(wanted: object) -> sa.ColumnElement[bool]:
    return _T.c.name.contains(str(wanted), autoescape=True)


def _by_time(wanted: object) -> sa.ColumnElement[bool]:
    return _T.c.updated_at >= wanted


SPECIAL = {
    "flavor": _by_flavor,
    "name_regex": _by_pattern,
    "name_contains": _by_part,
    "changes_since": _by_time,
}


def _stale(found: objects.Instance, expect: Mapping[str, object]) -> errors.StaleWrite:
    """Say what the server is: every expectation that does not hold, and its state."""
    wrong = [
        f"{name} is {_word(getattr(found, name))}, not {_word(wanted)}"
        for name, wanted in expect.items()
        if not _holds(getattr(found, name), wanted)
    ]
    return errors.StaleWrite(
        f"server {found.uuid} is {found.vm_state} with {_task(found)}: {'; '.join(wrong)}",
        vm_state=found.vm_state,
        task_state=found.task_state,
        generation=found.generation,
        host=found.host,
    )


def _task(found: objects.Instance) -> str:
    return f"task {found.task_state}" if found.task_state else "no task"


def _holds(value: object, wanted: object) -> bool:
    return value in wanted if isinstance(wanted, rows.Many) else value == wanted


def _word(value: object) -> str:
    if isinstance(value, rows.Many):
        return " or ".join(sorted(_word(one) for one in value))
    return "none" if value is None else str(value)
