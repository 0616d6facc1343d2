"""/servers: list, show, change, delete."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from common import errors
from common import states
from common.db import confirmations
from common.db import groups
from common.db import servers
from services.api import paging
from services.api.handlers import find
from services.api.schemas import parts
from services.api.views import servers as views

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON

# Query parameter: the filter it is; parameters that are in no row are ignored, as Nova does.
FILTERS = {
    "uuid": "uuid",
    "name": "name_regex",
    "host": "host",
    "node": "host",
    "flavor": "flavor",
    "image": "image",
    "availability_zone": "availability_zone",
    "vm_state": "vm_state",
    "task_state": "task_state",
    "power_state": "power_state",
    "user_id": "user_id",
}

# Filters that only administrators may use; Nova ignores them from others.
ADMINS = frozenset({"host", "node", "vm_state", "task_state", "power_state", "user_id"})


def list_servers(call: Call) -> JSON:
    """Give id and name of the servers asked for."""
    found = _find(call)
    rows = [views.brief(call, server) for server in found]
    return paging.answer(call, "servers", rows, found[-1].uuid if found else None)


def list_servers_detail(call: Call) -> JSON:
    """Give the servers asked for, whole."""
    found = _find(call)
    with call.parts.database.read() as tx:
        hosts = find.host_statuses(call, tx)
        times = confirmations.times(tx, [server.uuid for server in found if _resized(server)])
    rows = [
        views.listed(
            call,
            views.Seen(
                server,
                call.root,
                hosts.get(server.host or "", ""),
                confirms_at=times.get(server.uuid),
            ),
        )
        for server in found
    ]
    return paging.answer(call, "servers", rows, found[-1].uuid if found else None)


def show_server(call: Call, server_id: str) -> JSON:
    """Give one server, whole."""
    return {"server": views.detail(call, _read(call, server_id))}


def update_server(call: Call, server_id: str) -> JSON:
    """Change name or description."""
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
    wanted = call.body["server"]
    changes = {key: wanted[key] or "" for key in ("name", "description") if key in wanted}
    if changes:
        call.parts.conductor.update_server(call.context, server_id, changes)
    return {"server": views.updated(call, _read(call, server_id))}


def delete_server(call: Call, server_id: str) -> None:
    """Begin to remove a server; it is gone when a show answers 404."""
    with call.parts.database.read() as tx:
        find.server(call, tx, server_id)
    call.parts.conductor.operate(call.context, server_id, "delete")


def list_addresses(call: Call, server_id: str) -> JSON:
    """Give a server's addresses by network."""
    with call.parts.database.read() as tx:
        server = find.server(call, tx, server_id)
    return {"addresses": views.addresses(server)}


def _resized(server: objects.Instance) -> bool:
    return bool(server.vm_state == states.Vm.RESIZED)


def _read(call: Call, server_id: str) -> views.Seen:
    """Give a server with the state of its host, its group, and when it confirms itself."""
    with call.parts.database.read() as tx:
        server = find.server(call, tx, server_id)
        hosts = find.host_statuses(call, tx)
        group = groups.of(tx, server_id)
        times = confirmations.times(tx, [server_id] if _resized(server) else [])
    status = hosts.get(server.host or "", "")
    return views.Seen(server, call.root, status, group, times.get(server_id))


def _find(call: Call) -> list[objects.Instance]:
    limit = paging.limit(call)
    filters = _filters(call)
    if limit == 0 or filters is None:
        return []
    with call.parts.database.read() as tx:
        return servers.find(
            tx,
            limit=limit,
            marker=paging.marker(call),
            deleted=_deleted(call),
            **filters,
        )


def _filters(call: Call) -> dict[str, Any] | None:
    """Give the filters for the database, or None when nothing can match them."""
    filters: dict[str, Any] = {}
    for name, wanted in call.request.args.items():
        known = FILTERS.get(name)
        if known is not None and (call.admin or name not in ADMINS):
            filters[known] = _value(name, wanted)
    since = paging.moment(call, "changes-since")
    if since is not None:
        filters["changes_since"] = since
    if not (call.admin and parts.asked(call.request.args.get("all_tenants"))):
        filters["project_id"] = call.context.project_id
    elif "project_id" in call.request.args:
        filters["project_id"] = call.request.args["project_id"]
    return _by_status(call, filters)


def _by_status(call: Call, filters: dict[str, Any]) -> dict[str, Any] | None:
    wanted = call.request.args.get("status")
    if wanted is None:
        return filters
    vm_states, tasks = views.states_of(wanted.upper())
    if not vm_states:
        return None
    return {**filters, "vm_state": vm_states, "task_state": tasks}


def _value(name: str, wanted: str) -> object:
    """Take a reference for its last part; clients send image and flavor as URLs too."""
    if name in {"image", "flavor"}:
        return wanted.rstrip("/").rpartition("/")[2]
    if name != "power_state":
        return wanted
    power = find.number(wanted)
    if power is None:
        raise errors.Invalid(f"power_state must be one of Nova's numbers, not {wanted}")
    return power


def _deleted(call: Call) -> bool | None:
    """Give whether deleted servers are wanted: only they, or with changes-since both."""
    if "deleted" in call.request.args:
        return call.admin and parts.asked(call.request.args.get("deleted"))
    return None if "changes-since" in call.request.args else False
