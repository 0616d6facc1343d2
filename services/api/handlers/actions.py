"""POST /servers/{id}/action: one row per action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from werkzeug import exceptions

from common import errors
from services.api import route
from services.api import schemas
from services.api import versions
from services.api.handlers import find
from services.api.handlers import policies
from services.api.handlers import relocation
from services.api.schemas import actions as bodies
from services.api.schemas import parts
from services.api.schemas import relocation as cold

if TYPE_CHECKING:
    from services.api.calls import Call

# From here on the checks of a live migration are made after the answer.
ASYNCHRONOUS: versions.Version = (2, 34)
AUTO_BLOCK: versions.Version = (2, 25)

Act = Callable[["Call", str, Any], "route.Reply | None"]


class Action(NamedTuple):
    """What an action does, who may do it and what its body is like."""

    act: Act
    rule: str = "servers:write"
    schema: schemas.Schemas | None = None


def act_on_server(call: Call, server_id: str) -> route.Reply | None:
    """Do the one action that the body names."""
    name = schemas.only_key(call.body)
    action = ACTIONS.get(name)
    if action is None:
        raise errors.Invalid(f"there is no such action: {name}")
    call.enforce(action.rule)
    schemas.check(call.body, action.schema, call.version)
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
    return action.act(call, server_id, call.body[name])


def live_migrate(call: Call, server_id: str, wanted: dict[str, Any]) -> route.Reply:
    """Move a running server; below 2.34 what speaks against it is the answer.

    Location tells which migration was begun, where Nova's clients must guess.
    """
    old = call.version < AUTO_BLOCK
    block = wanted["block_migration"]
    move = call.parts.conductor.live_migrate(
        call.context,
        server_id,
        host=wanted["host"],
        block_migration=None if block == "auto" else parts.truth(block),
        disk_over_commit=old and parts.truth(wanted["disk_over_commit"]),
        policy=policies.strings(wanted.get(bodies.POLICY, {})),
        wait=call.version < ASYNCHRONOUS,
        zone=wanted.get(bodies.ZONE),
    )
    return route.Reply(None, {"Location": f"{call.root}/os-migrations/{move.uuid}"})


def _operation(name: str) -> Act:
    """Make the action that is one of states.OPERATIONS."""

    def act(call: Call, server_id: str, _wanted: object) -> None:
        call.parts.conductor.operate(call.context, server_id, name)

    return act


def _reboot(call: Call, server_id: str, wanted: dict[str, str]) -> None:
    operation = f"reboot_{wanted['type'].lower()}"
    call.parts.conductor.operate(call.context, server_id, operation)


def _not_built(name: str) -> Act:
    def act(_call: Call, server_id: str, _wanted: object) -> None:
        raise exceptions.NotImplemented(
            f"server {server_id} stays as it is: {name} is not built yet"
        )

    return act


# Actions of Nova that clients know and that are not built yet.
LATER = (
    "changePassword",
    "createBackup",
    "createImage",
    "evacuate",
    "lock",
    "os-getConsoleOutput",
    "os-getVNCConsole",
    "os-resetState",
    "rebuild",
    "rescue",
    "restore",
    "resume",
    "shelve",
    "shelveOffload",
    "suspend",
    "trigger_crash_dump",
    "unlock",
    "unrescue",
    "unshelve",
)

ACTIONS: dict[str, Action] = {
    "os-migrateLive": Action(live_migrate, "servers:move", bodies.LIVE_MIGRATE),
    "migrate": Action(relocation.migrate, "servers:move", cold.MIGRATE),
    "resize": Action(relocation.resize, "servers:write", cold.RESIZE),
    "confirmResize": Action(relocation.confirm, "servers:write", cold.CONFIRM_RESIZE),
    "revertResize": Action(relocation.revert, "servers:write", cold.REVERT_RESIZE),
    "os-stop": Action(_operation("stop")),
    "os-start": Action(_operation("start")),
    "reboot": Action(_reboot, schema=bodies.REBOOT),
    "pause": Action(_operation("pause")),
    "unpause": Action(_operation("unpause")),
    "forceDelete": Action(_operation("delete")),
    **{name: Action(_not_built(name)) for name in LATER},
}
