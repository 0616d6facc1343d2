"""/servers/{id}/os-instance-actions: who asked what of a server, and how it went."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from common.db import journal
from services.api import paging
from services.api import versions
from services.api.handlers import find
from services.api.views import actions as views

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON

DELETED_TOO: versions.Version = (2, 21)
PAGED: versions.Version = (2, 58)


def list_actions(call: Call, server_id: str) -> JSON:
    """Give what was asked of a server, newest first."""
    paged = call.version >= PAGED
    limit = paging.limit(call) if paged else call.parts.conf.api.max_limit
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id, deleted=call.version >= DELETED_TOO)
        found = journal.actions(
            tx, server_id, limit=limit, marker=paging.marker(call) if paged else None
        )
    rows: list[dict[str, Any]] = [views.brief(call, action) for action in found]
    if not paged:
        return {"instanceActions": rows}
    last = found[-1].request_id if found else None
    return paging.answer(call, "instanceActions", rows, last, "links")


def show_action(call: Call, server_id: str, request_id: str) -> JSON:
    """Give one request with its events."""
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id, deleted=call.version >= DELETED_TOO)
        found = journal.action(tx, server_id, request_id)
    return {"instanceAction": views.detail(call, found)}
