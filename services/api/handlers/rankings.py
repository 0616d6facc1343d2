"""The dry run of a placement: every host with its points, or who refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.api.handlers import checks
from services.api.handlers import create
from services.api.handlers import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON


def rank_new(call: Call) -> JSON:
    """Rank the hosts for the server that the body would create; nothing is written."""
    request = create.understand(call)
    return _shown(call.parts.conductor.rank_new(call.context, request))


def rank_move(call: Call, server_id: str) -> JSON:
    """Rank the hosts for a live migration of the server; nothing is claimed."""
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
    found = call.parts.conductor.rank_move(
        call.context,
        server_id,
        checks.name(call, "host"),
        block_migration=checks.block(call),
        disk_over_commit=checks.over_commit(call),
        zone=checks.name(call, "zone"),
    )
    return _shown(found)


def _shown(found: Iterable[objects.Rank]) -> JSON:
    return {
        "ranking": [
            {
                "host": rank.host,
                "score": rank.score,
                "scores": dict(rank.scores),
                "refusals": rank.refusals.get(rank.host, []),
            }
            for rank in found
        ]
    }
