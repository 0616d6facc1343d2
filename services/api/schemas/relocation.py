"""Bodies of the actions that move or resize a server which may be off."""

from __future__ import annotations

from services.api.schemas import actions
from services.api.schemas import grouping
from services.api.schemas import parts
from services.api.schemas.check import Schema
from services.api.schemas.check import Schemas

# Own keys beside Nova's: no name of Nova's has a colon.
CONFIRM = "whimbrel:confirm"
BANDWIDTH = "whimbrel:bandwidth"
HOST = "whimbrel:host"

_OWN: dict[str, Schema] = {
    actions.ZONE: grouping.ZONE,
    CONFIRM: {"type": "boolean"},
    BANDWIDTH: {"type": "integer", "minimum": 0, "maximum": 1_000_000},
}
_HOST: Schema = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}

MIGRATE: Schemas = (
    (
        (2, 56),
        parts.inside("migrate", {**parts.thing(host=_HOST, **_OWN), "type": ["object", "null"]}),
    ),
    ((2, 1), parts.inside("migrate", {})),
)

RESIZE: Schemas = (
    (
        (2, 1),
        parts.inside(
            "resize",
            parts.thing(
                ["flavorRef"],
                flavorRef={"type": ["string", "integer"], "minLength": 1},
                **{"OS-DCF:diskConfig": parts.DISK_CONFIG, HOST: _HOST},
                **_OWN,
            ),
        ),
    ),
)

CONFIRM_RESIZE: Schemas = (
    ((2, 1), parts.thing(["confirmResize"], confirmResize={"type": "null"})),
)
REVERT_RESIZE: Schemas = (((2, 1), parts.thing(["revertResize"], revertResize={"type": "null"})),)
