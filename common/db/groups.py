"""Server groups: who belongs together or apart, and the last word on it at a claim."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import errors
from common import objects
from common import states
from common.db import affinity
from common.db import rows
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.db.engine import Tx

_T = tables.SERVER_GROUPS
_M = tables.SERVER_GROUP_MEMBERS
_S = tables.SERVERS.c

_OF = sa.select(_M.c.group_uuid).where(_M.c.instance_uuid == sa.bindparam("server"))

MOST = "max_server_per_host"
UNKNOWN = "server group {} does not exist; see: whimbrel server-group list"


def create(tx: Tx, group: objects.ServerGroup) -> objects.ServerGroup:
    """Write a group without members."""
    tx.run(sa.insert(_T).values({**rows.pick(_T, group), "created_at": tx.now()}))
    return get(tx, group.uuid)


def get(tx: Tx, uuid: str) -> objects.ServerGroup:
    """Give a group with its living members, or raise GroupNotFound."""
    row = tx.row(sa.select(_T).where(_T.c.uuid == uuid))
    if row is None:
        raise errors.GroupNotFound(UNKNOWN.format(uuid))
    return _make(tx, [row])[0]


def find(tx: Tx, project_id: str | None = None) -> list[objects.ServerGroup]:
    """Give every group, or those of a project, in the order they were made."""
    query = sa.select(_T).order_by(_T.c.id)
    if project_id is not None:
        query = query.where(_T.c.project_id == project_id)
    return _make(tx, tx.rows(query))


def delete(tx: Tx, uuid: str) -> None:
    """Remove a group, or raise GroupNotFound; its members stay as they are."""
    tx.run(sa.delete(_M).where(_M.c.group_uuid == uuid))
    if not tx.count(sa.delete(_T).where(_T.c.uuid == uuid)):
        get(tx, uuid)


def join(tx: Tx, uuid: str, server: str) -> None:
    """Make a new server a member, for its whole life; raises GroupNotFound."""
    _lock(tx, uuid)
    get(tx, uuid)
    tx.run(sa.insert(_M).values(instance_uuid=server, group_uuid=uuid))


def leave(tx: Tx, server: str) -> None:
    """End the membership of a server that is gone; twice does no harm."""
    tx.run(sa.delete(_M).where(_M.c.instance_uuid == server))


def of(tx: Tx, server: str) -> str | None:
    """Give the uuid of the group that the server is a member of, or None."""
    row = tx.row(_OF, {"server": server})
    return None if row is None else str(row["group_uuid"])


def guard(tx: Tx, server: str, host: str) -> None:
    """Raise GroupPolicy when the server's group keeps it from the host; locks the group.

    Until the transaction ends no other member can be claimed for, so what is
    read here stays true. It comes before the lock of the host's row.
    """
    uuid = of(tx, server)
    if uuid is None:
        return
    _lock(tx, uuid)
    group = affinity.group(tx, server)
    reason = group and refusal(group, host)
    if reason:
        raise errors.GroupPolicy(f"{host}: {reason}", host=host)


def refusal(group: affinity.Group, host: str) -> str | None:
    """Say why the group's policy keeps one of its members from the host, or give None."""
    rule = RULES.get(group.policy)
    return rule(group, host) if rule else None


def _together(group: affinity.Group, host: str) -> str | None:
    """Refuse unless all the others are there and nowhere else, also those on their way."""
    elsewhere = sorted(name for name in group.members if name != host)
    if not elsewhere:
        return None
    return (
        f"server group {group.uuid} is to stay together, and others of it are on "
        f"{', '.join(elsewhere)}"
    )


def _apart(group: affinity.Group, host: str) -> str | None:
    """Refuse when as many others are there, or on their way, as may be."""
    there, most = group.members.get(host, 0), group.rules.get(MOST, 1)
    if there < most:
        return None
    return (
        f"server group {group.uuid} is to stay apart: {there} of its others are on this host, "
        f"{most} may be in all"
    )


RULES: dict[str, Callable[[affinity.Group, str], str | None]] = {
    states.Affinity.TOGETHER: _together,
    states.Affinity.APART: _apart,
}


def _lock(tx: Tx, uuid: str) -> None:
    tx.run(sa.select(_T.c.id).where(_T.c.uuid == uuid).with_for_update())


def _make(tx: Tx, found: list[dict[str, Any]]) -> list[objects.ServerGroup]:
    query = (
        sa.select(_M.c.group_uuid, _M.c.instance_uuid)
        .join(tables.SERVERS, _S.uuid == _M.c.instance_uuid)
        .where(
            _M.c.group_uuid.in_([row["uuid"] for row in found]),
            _S.vm_state != states.Vm.DELETED,
        )
        .order_by(_S.id)
    )
    members: dict[str, list[str]] = {}
    for group, server in tx.tuples(query):
        members.setdefault(group, []).append(server)
    return [
        rows.make(objects.ServerGroup, row, members=members.get(row["uuid"], [])) for row in found
    ]
