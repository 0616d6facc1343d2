"""The dry run of a placement: every host with its points, or who refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from services.api.handlers import checks
from services.api.handlers import create
from services.api.handlers import find
from services.api.handlers import relocation

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON


def rank_new(call: Call) -> JSON:
    """Rank the hosts for the server that the body would create; nothing is written."""
    request = create.understand(call)
    return _shown(call.parts.conductor.rank_new(call.context, request))


def rank_move(call: Call, server_id: str) -> JSON:
    """Rank the hosts for a move of the server; nothing is claimed.

    `kind` is live (the default), cold, or resize with the id of a `flavor`.
    """
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
    kind = call.request.args.get("kind", LIVE)
    if kind not in KINDS:
        raise errors.Invalid(f"kind is {kind!r}; it must be {', '.join(KINDS)}")
    return _shown(KINDS[kind](call, server_id))


def _live(call: Call, server_id: str) -> list[objects.Rank]:
    return call.parts.conductor.rank_move(
        call.context,
        server_id,
        checks.name(call, "host"),
        block_migration=checks.block(call),
        disk_over_commit=checks.over_commit(call),
        zone=checks.name(call, "zone"),
    )


def _cold(call: Call, server_id: str) -> list[objects.Rank]:
    return _relocation(call, server_id, None)


def _resize(call: Call, server_id: str) -> list[objects.Rank]:
    wanted = call.request.args.get("flavor")
    if wanted is None:
        raise errors.Invalid("flavor is missing: a resize is to the id of one")
    return _relocation(call, server_id, relocation.to(call, server_id, "flavor", wanted).id)


def _relocation(call: Call, server_id: str, flavor: str | None) -> list[objects.Rank]:
    return call.parts.conductor.rank_relocation(
        call.context,
        server_id,
        checks.name(call, "host"),
        flavor,
        zone=checks.name(call, "zone"),
    )


LIVE = "live"
KINDS: dict[str, Callable[[Call, str], list[objects.Rank]]] = {
    LIVE: _live,
    "cold": _cold,
    "resize": _resize,
}


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
