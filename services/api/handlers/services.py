"""/os-services: who reports, and what an operator says about them."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common.db import hosts
from common.db import zones
from services.api import versions
from services.api.handlers import find
from services.api.schemas import parts
from services.api.views import hosts as views

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON


BY_UUID: versions.Version = (2, 53)


class Change(NamedTuple):
    """What is changed of a service; None leaves it as it is."""

    disabled: bool | None = None
    reason: str | None = None
    forced_down: bool | None = None


def list_services(call: Call) -> JSON:
    """Give the services of a host or binary, or all."""
    with call.parts.database.read() as tx:
        found = find.all_services(call, tx)
        given = {(host, hosts.BINARY): zone for host, zone in zones.given(tx).items()}
    host, binary = call.request.args.get("host"), call.request.args.get("binary")
    return {
        "services": [
            views.service(call, service, given.get((service.host, service.binary)))
            for service in found
            if host in {None, service.host} and binary in {None, service.binary}
        ]
    }


def update_service(call: Call, service_id: str) -> JSON:
    """Enable, disable or force down a service; before 2.53 the path names what to do."""
    if call.version < BY_UUID:
        return _update_by_host(call, service_id)
    wanted = call.body
    status, reason = wanted.get("status"), wanted.get("disabled_reason")
    if status is None and "forced_down" not in wanted:
        raise errors.Invalid("status or forced_down is missing: there is nothing to change")
    if reason is not None and status != "disabled":
        raise errors.Invalid("disabled_reason is given, so status must be disabled")
    change = Change(
        disabled=None if status is None else status == "disabled",
        reason=reason,
        forced_down=_truth(wanted, "forced_down"),
    )
    return {"service": views.service(call, _write(call, service_id, change))}


def _update_by_host(call: Call, verb: str) -> JSON:
    shown = OLD_VERBS.get(verb)
    if shown is None:
        raise errors.NotFound(f"there is no os-services/{verb}; there are {', '.join(OLD_VERBS)}")
    host, binary = call.body["host"], call.body["binary"]
    with call.parts.database.read() as tx:
        service = find.service(call, tx, host, binary)
    change = _old_change(verb, call.body)
    _write(call, service.uuid, change)
    answer: dict[str, Any] = {"host": host, "binary": binary}
    values = {
        "status": "disabled" if change.disabled else "enabled",
        "disabled_reason": change.reason,
        "forced_down": change.forced_down,
    }
    return {"service": answer | {name: values[name] for name in shown}}


# Verb: what its answer shows beside host and binary.
OLD_VERBS = {
    "enable": ("status",),
    "disable": ("status",),
    "disable-log-reason": ("status", "disabled_reason"),
    "force-down": ("forced_down",),
}


def _old_change(verb: str, body: dict[str, Any]) -> Change:
    if verb == "enable":
        return Change(disabled=False)
    if verb == "disable":
        return Change(disabled=True)
    if verb == "disable-log-reason":
        if "disabled_reason" not in body:
            raise errors.Invalid("disabled_reason is missing")
        return Change(disabled=True, reason=body["disabled_reason"])
    if "forced_down" not in body:
        raise errors.Invalid("forced_down is missing")
    return Change(forced_down=_truth(body, "forced_down"))


def _truth(body: dict[str, Any], name: str) -> bool | None:
    return parts.truth(body[name]) if name in body else None


def _write(call: Call, uuid: str, change: Change) -> objects.Service:
    return call.parts.conductor.update_service(
        call.context,
        uuid,
        disabled=change.disabled,
        reason=change.reason,
        forced_down=change.forced_down,
    )
