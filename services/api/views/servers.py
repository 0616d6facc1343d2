"""Servers as clients see them; each field with the microversion that brought it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import reasons
from common import states
from services.api import versions
from services.api.views import fields
from services.api.views import flavors

if TYPE_CHECKING:
    import datetime

    from common import objects
    from services.api.calls import Call

_RESIZE: dict[str, str] = dict.fromkeys(
    (
        states.Task.RESIZE_PREP,
        states.Task.RESIZE_MIGRATING,
        states.Task.RESIZE_FINISH,
    ),
    "RESIZE",
)

# vm_state: the status without a task that has one of its own, and the status of those tasks.
STATUS: dict[str, tuple[str, Mapping[str, str]]] = {
    states.Vm.BUILDING: ("BUILD", {}),
    states.Vm.ACTIVE: (
        "ACTIVE",
        {
            states.Task.REBOOTING: "REBOOT",
            states.Task.REBOOTING_HARD: "HARD_REBOOT",
            states.Task.MIGRATING: "MIGRATING",
            **_RESIZE,
        },
    ),
    states.Vm.PAUSED: ("PAUSED", {states.Task.MIGRATING: "MIGRATING"}),
    states.Vm.STOPPED: ("SHUTOFF", _RESIZE),
    states.Vm.RESIZED: ("VERIFY_RESIZE", {states.Task.RESIZE_REVERTING: "REVERT_RESIZE"}),
    states.Vm.ERROR: ("ERROR", {}),
    states.Vm.DELETED: ("DELETED", {}),
}

PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
FAULT = frozenset({"ERROR", "DELETED"})

# Our own: when a server confirms itself; only of one that waits for its user, for there are
# clients that refuse what they do not know.
CONFIRMS = "whimbrel:confirms_at"

# From here on an update shows the whole server.
WHOLE: versions.Version = (2, 75)


class Seen(NamedTuple):
    """A server, and what else is shown with it."""

    server: objects.Instance
    root: str
    host_status: str
    group: str | None = None
    confirms_at: datetime.datetime | None = None


def status(server: objects.Instance) -> str:
    """Give the one word for a server's state and task."""
    plain, during = STATUS[server.vm_state]
    return during.get(server.task_state or "", plain)


def states_of(word: str) -> tuple[list[str], list[str | None]]:
    """Give the vm_states and the tasks (None for no task) of servers with this status."""
    vm_states: list[str] = []
    tasks: list[str | None] = []
    for vm_state, (plain, during) in STATUS.items():
        if plain == word:
            vm_states.append(vm_state)
            tasks += [None, *(task for task in states.Task if task not in during)]
        special = [task for task, shown in during.items() if shown == word]
        if special:
            vm_states.append(vm_state)
            tasks += special
    return vm_states, tasks


def brief(call: Call, server: objects.Instance) -> dict[str, Any]:
    """Show no more than id, name and links."""
    return {"id": server.uuid, "name": server.name, "links": _links(call.root, server)}


def detail(call: Call, seen: Seen) -> dict[str, Any]:
    """Show everything this microversion has."""
    return _render(call, BASIC + EXTENDED, seen)


def listed(call: Call, seen: Seen) -> dict[str, Any]:
    """Show a server in a list: all but its groups."""
    shown = detail(call, seen)
    shown.pop("server_groups", None)
    return shown


def updated(call: Call, seen: Seen) -> dict[str, Any]:
    """Show the answer to an update."""
    return _render(call, BASIC + EXTENDED if call.version >= WHOLE else BASIC, seen)


def _render(call: Call, table: tuple[fields.Field, ...], seen: Seen) -> dict[str, Any]:
    server = seen.server
    shown = fields.render(table, seen, call.version, admin=call.admin)
    word = shown["status"]
    if server.vm_state == states.Vm.RESIZED:
        shown[CONFIRMS] = fields.seconds(seen.confirms_at)
    if word in PROGRESS:
        shown["progress"] = server.progress
    if word in FAULT and server.fault_message is not None:
        shown["fault"] = _fault(server)
    return shown


def _fault(server: objects.Instance) -> dict[str, Any]:
    """Show what went wrong; `reasons` is our own: who refused which host."""
    told = server.fault_reasons or {}
    lines = [f"{host}: {reasons.line(refusals)}" for host, refusals in sorted(told.items())]
    shown = {
        "code": 500,
        "created": fields.seconds(server.fault_at or server.updated_at or server.created_at),
        "message": server.fault_message,
        "details": "\n".join([server.fault_code or "", *lines]),
    }
    return {**shown, "reasons": told} if told else shown


def _links(root: str, server: objects.Instance) -> list[dict[str, str]]:
    return fields.both(root, f"/servers/{server.uuid}")


def _host_id(seen: Seen) -> str:
    """Let users tell two hosts apart without telling them their names, as Nova does."""
    server = seen.server
    if not server.host:
        return ""
    return hashlib.sha224(f"{server.project_id}{server.host}".encode()).hexdigest()


def _image(seen: Seen) -> object:
    image = seen.server.image
    if image is None:
        return ""
    bare = seen.root.removesuffix("/v2.1")
    return {"id": image.id, "links": [fields.link(f"{bare}/images/{image.id}", "bookmark")]}


def _flavor(seen: Seen) -> object:
    flavor = seen.server.flavor
    bare = seen.root.removesuffix("/v2.1")
    return {"id": flavor.id, "links": [fields.link(f"{bare}/flavors/{flavor.id}", "bookmark")]}


def _addresses(seen: Seen) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for port in ports(seen.server):
        if port.address:
            found.setdefault(port.network, []).append(
                {
                    "addr": port.address,
                    "version": 4,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": port.mac,
                }
            )
    return found


def ports(server: objects.Instance) -> list[objects.Port]:
    """Give the server's network cards."""
    # mypy's plugin takes these for another library's ports, or not, as its cache has it.
    found: list[Any] = server.ports
    return found


def addresses(server: objects.Instance) -> dict[str, list[dict[str, object]]]:
    """Give the addresses by network, without the fields that only servers show."""
    shown = _addresses(Seen(server, "", ""))
    return {
        network: [{"addr": row["addr"], "version": row["version"]} for row in rows]
        for network, rows in shown.items()
    }


def _of(name: str) -> Any:  # noqa: ANN401 - a function of a Seen
    return lambda seen: getattr(seen.server, name)


def _time(name: str, write: Any = fields.seconds) -> Any:  # noqa: ANN401 - a function of a Seen
    return lambda seen: write(getattr(seen.server, name))


def _id_of(name: str) -> Any:  # noqa: ANN401 - a function of a Seen
    return lambda seen: getattr(getattr(seen.server, name), "id", "")


F = fields.Field

BASIC = (
    F("id", _of("uuid")),
    F("name", _of("name")),
    F("status", lambda seen: status(seen.server)),
    F("tenant_id", _of("project_id")),
    F("user_id", _of("user_id")),
    F("metadata", lambda seen: dict(seen.server.metadata)),
    F("hostId", _host_id),
    F("image", _image),
    F("flavor", _flavor, until=(2, 46)),
    F("flavor", lambda seen: flavors.embedded(seen.server.flavor), since=(2, 47)),
    F("created", _time("created_at")),
    F("updated", lambda seen: fields.seconds(seen.server.updated_at or seen.server.created_at)),
    F("addresses", _addresses),
    F("accessIPv4", fields.constant("")),
    F("accessIPv6", fields.constant("")),
    F("links", lambda seen: _links(seen.root, seen.server)),
    F("OS-DCF:diskConfig", fields.constant("MANUAL")),
    F("locked", fields.constant(value=False), since=(2, 9)),
    F("description", _of("description"), since=(2, 19)),
    F("tags", fields.constant([]), since=(2, 26)),
    F("trusted_image_certificates", fields.constant(None), since=(2, 63)),
    F("server_groups", lambda seen: [seen.group] if seen.group else [], since=(2, 71)),
    F("locked_reason", fields.constant(None), since=(2, 73)),
)

EXTENDED = (
    F("OS-EXT-AZ:availability_zone", lambda seen: seen.server.availability_zone or ""),
    F("config_drive", fields.constant("")),
    F("key_name", fields.constant(None)),
    F("OS-SRV-USG:launched_at", _time("launched_at", fields.micros)),
    F("OS-SRV-USG:terminated_at", _time("terminated_at", fields.micros)),
    F("OS-EXT-STS:task_state", _of("task_state")),
    F("OS-EXT-STS:vm_state", _of("vm_state")),
    F("OS-EXT-STS:power_state", _of("power_state")),
    F("os-extended-volumes:volumes_attached", fields.constant([])),
    F("security_groups", fields.constant([])),
    F("OS-EXT-SRV-ATTR:host", _of("host"), admin=True),
    F("OS-EXT-SRV-ATTR:hypervisor_hostname", _of("host"), admin=True),
    F("OS-EXT-SRV-ATTR:instance_name", lambda seen: f"whimbrel-{seen.server.uuid}", admin=True),
    F("OS-EXT-SRV-ATTR:hostname", _of("hostname"), (2, 3), (2, 89), admin=True),
    F("OS-EXT-SRV-ATTR:hostname", _of("hostname"), (2, 90)),
    F("OS-EXT-SRV-ATTR:kernel_id", _id_of("kernel"), (2, 3), admin=True),
    F("OS-EXT-SRV-ATTR:ramdisk_id", _id_of("ramdisk"), (2, 3), admin=True),
    F("OS-EXT-SRV-ATTR:launch_index", fields.constant(0), (2, 3), admin=True),
    F("OS-EXT-SRV-ATTR:reservation_id", fields.constant(""), (2, 3), admin=True),
    F("OS-EXT-SRV-ATTR:root_device_name", fields.constant("/dev/vda"), (2, 3), admin=True),
    F("OS-EXT-SRV-ATTR:user_data", fields.constant(None), (2, 3), admin=True),
    F("host_status", lambda seen: seen.host_status, (2, 16), admin=True),
    F("pinned_availability_zone", _of("pinned_zone"), (2, 96)),
)
