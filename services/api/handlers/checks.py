"""The dry run of a live migration: every host, every check, and nothing moved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from common import errors
from services.api.handlers import find
from services.api.schemas import parts

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON

AUTO = "auto"
POLICY = "policy"
FIELD = f"{POLICY}."
NAME = re.compile(parts.HOST["pattern"])


def check_migrate(call: Call, server_id: str) -> JSON:
    """Give what every check says of moving a server, to `host` or to every other host.

    `block_migration` is true, false or auto; `disk_over_commit` true or false;
    `zone` lets it leave its own, for one by name or for any; `policy` names a
    preset, and `policy.FIELD` a value of it.
    """
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
    found = call.parts.conductor.check_migrate(
        call.context,
        server_id,
        name(call, "host"),
        block_migration=block(call),
        disk_over_commit=over_commit(call),
        zone=name(call, "zone"),
        policy=_policy(call),
    )
    return {"checks": [_shown(result) for result in found]}


def _shown(result: objects.CheckResult) -> JSON:
    return {name: getattr(result, name) for name in ("host", "name", "verdict", "reason", "code")}


def block(call: Call) -> bool | None:
    """Give whether disks are copied; None leaves it to the hosts."""
    given = _choice(call, "block_migration", AUTO)
    return None if given == AUTO else parts.truth(given)


def over_commit(call: Call) -> bool:
    """Give whether room for disks is judged by what they use now."""
    return parts.truth(_choice(call, "disk_over_commit", "false"))


def name(call: Call, kind: str) -> str | None:
    """Give a host or zone that the query names, if any."""
    given = call.request.args.get(kind)
    if given is not None and not NAME.match(given):
        raise errors.Invalid(f"{kind} is {given!r}, which is no name of a {kind}")
    return given


def _policy(call: Call) -> dict[str, str]:
    """Give what the query says of the policy, as the conductor takes it."""
    named = {
        name.removeprefix(FIELD): value
        for name, value in call.request.args.items()
        if name.startswith(FIELD)
    }
    preset = call.request.args.get(POLICY)
    return named if preset is None else {POLICY: preset, **named}


def _choice(call: Call, name: str, default: str) -> str:
    """Give a query parameter that is a BOOLEAN, or its default."""
    given = call.request.args.get(name, default)
    if given != default and given not in parts.BOOLEAN["enum"]:
        words = "true, false or auto" if default == AUTO else "true or false"
        raise errors.Invalid(f"{name} is {given!r}; it must be {words}")
    return given
