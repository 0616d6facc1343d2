"""/os-server-groups: servers that belong together or apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from common import ids
from common import objects
from common import states
from common.db import groups
from services.api import paging
from services.api import versions
from services.api.schemas import parts
from services.api.views import grouping as views

if TYPE_CHECKING:
    from common.db.engine import Tx
    from services.api.calls import Call
    from services.api.route import JSON

# From here on a group has one policy with rules, where it had a list of one.
ONE_POLICY: versions.Version = (2, 64)


def list_groups(call: Call) -> JSON:
    """Give the groups of the project, for administrators with `all_projects` those of all."""
    everybody = call.admin and parts.asked(call.request.args.get("all_projects"))
    begin = _offset(call)
    with call.parts.database.read() as tx:
        found = groups.find(tx, None if everybody else call.context.project_id)
    page = found[begin : begin + paging.limit(call)]
    return {"server_groups": [views.group(call, one) for one in page]}


def show_group(call: Call, group_id: str) -> JSON:
    """Give one group with its members, by its id; clients look names up in the list."""
    with call.parts.database.read() as tx:
        return {"server_group": views.group(call, find_group(call, tx, group_id))}


def create_group(call: Call) -> JSON:
    """Write a group without members; servers join one when they are created."""
    wanted = call.body["server_group"]
    policy = wanted["policy"] if call.version >= ONE_POLICY else wanted["policies"][0]
    rules = {name: int(value) for name, value in wanted.get("rules", {}).items()}
    if rules and policy != states.Affinity.APART:
        raise errors.Invalid(
            f"server_group.rules: only {states.Affinity.APART} takes rules, {policy} does not"
        )
    made = call.parts.conductor.create_server_group(
        call.context,
        objects.ServerGroup(
            uuid=ids.new(),
            name=wanted["name"],
            policy=policy,
            rules=rules,
            project_id=call.context.project_id or "",
            user_id=call.context.user_id or "",
        ),
    )
    return {"server_group": views.group(call, made)}


def delete_group(call: Call, group_id: str) -> None:
    """Remove a group; its members stay as they are, and free to go anywhere."""
    with call.parts.database.read() as tx:
        find_group(call, tx, group_id)
    call.parts.conductor.delete_server_group(call.context, group_id)


def find_group(call: Call, tx: Tx, uuid: str) -> objects.ServerGroup:
    """Give one of the user's groups; to others it does not exist."""
    found = groups.get(tx, uuid)
    if not call.admin and found.project_id != call.context.project_id:
        raise errors.GroupNotFound(groups.UNKNOWN.format(uuid))
    return found


def _offset(call: Call) -> int:
    wanted = call.request.args.get("offset", "0")
    if not wanted.isascii() or not wanted.isdigit() or len(wanted) > paging.DIGITS:
        raise errors.Invalid(f"offset must be a whole number of 0 or more, not {wanted}")
    return int(wanted)
