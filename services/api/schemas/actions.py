"""Bodies of actions on servers, each an object of one key: the action's name."""

from __future__ import annotations

from typing import Any

from services.api.schemas import grouping
from services.api.schemas import parts
from services.api.schemas.check import Schema
from services.api.schemas.check import Schemas

_HOST: Schema = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
_BLOCK: Schema = {"enum": [True, False, "auto"]}

# Own keys beside Nova's: no name of Nova's has a colon.
POLICY = "whimbrel:policy"
ZONE = "whimbrel:zone"
RESOLVE = "whimbrel:resolve"


def _live(required: list[str], **properties: Schema) -> Schema:
    own = {POLICY: parts.POLICY, ZONE: grouping.ZONE}
    return parts.inside("os-migrateLive", parts.thing(required, **properties, **own))


_OLD: dict[str, Any] = {
    "host": _HOST,
    "block_migration": parts.BOOLEAN,
    "disk_over_commit": parts.BOOLEAN,
}
_NEW: dict[str, Any] = {"host": _HOST, "block_migration": _BLOCK}

LIVE_MIGRATE: Schemas = (
    ((2, 68), _live(["host", "block_migration"], **_NEW)),
    ((2, 30), _live(["host", "block_migration"], **_NEW, force=parts.BOOLEAN)),
    ((2, 25), _live(["host", "block_migration"], **_NEW)),
    ((2, 1), _live(["host", "block_migration", "disk_over_commit"], **_OLD)),
)

REBOOT: Schemas = (
    (
        (2, 1),
        parts.inside(
            "reboot", parts.thing(["type"], type={"enum": ["SOFT", "HARD", "soft", "hard"]})
        ),
    ),
)

FORCE_COMPLETE: Schemas = (
    ((2, 1), parts.thing(["force_complete"], force_complete={"type": "null"})),
)

RESOLVE_MOVE: Schemas = (((2, 1), parts.thing([RESOLVE], **{RESOLVE: {"type": "null"}})),)

CHANGE_MOVE: Schemas = (
    ((2, 1), parts.thing([POLICY], **{POLICY: {**parts.POLICY, "minProperties": 1}})),
)
