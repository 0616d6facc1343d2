"""/flavors and their extra specs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import errors
from common import ids
from common import objects
from common.db import flavors
from services.api import paging
from services.api.schemas import parts
from services.api.views import flavors as views

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON


def list_flavors(call: Call) -> JSON:
    """Give id and name of the flavors asked for."""
    chosen, last = _find(call)
    return paging.answer(call, "flavors", [views.brief(call, one) for one in chosen], last)


def list_flavors_detail(call: Call) -> JSON:
    """Give the flavors asked for, whole."""
    chosen, last = _find(call)
    return paging.answer(call, "flavors", [views.detail(call, one) for one in chosen], last)


def show_flavor(call: Call, flavor_id: str) -> JSON:
    """Give one flavor by its id; clients look names up in the list."""
    return {"flavor": views.detail(call, _get(call, flavor_id))}


def create_flavor(call: Call) -> JSON:
    """Write a flavor, and give it as it is."""
    wanted = call.body["flavor"]
    identifier = wanted.get("id")
    if identifier in {None, "auto"}:
        identifier = ids.new()
    made = call.parts.conductor.create_flavor(
        call.context,
        objects.Flavor(
            id=str(identifier),
            name=wanted["name"],
            vcpus=int(wanted["vcpus"]),
            memory_mb=int(wanted["ram"]),
            root_gb=int(wanted["disk"]),
            ephemeral_gb=int(wanted.get("OS-FLV-EXT-DATA:ephemeral", 0)),
            swap_mb=int(wanted.get("swap", 0)),
            is_public=parts.truth(wanted.get("os-flavor-access:is_public", True)),
            description=wanted.get("description"),
        ),
    )
    return {"flavor": views.detail(call, made)}


def delete_flavor(call: Call, flavor_id: str) -> None:
    """Remove a flavor; servers keep their copies."""
    call.parts.conductor.delete_flavor(call.context, _get(call, flavor_id).id)


def list_specs(call: Call, flavor_id: str) -> JSON:
    """Give a flavor's extra specs."""
    return {"extra_specs": dict(_get(call, flavor_id).extra_specs)}


def create_specs(call: Call, flavor_id: str) -> JSON:
    """Add and change extra specs, and give those of the body."""
    wanted = {key: str(value) for key, value in call.body["extra_specs"].items()}
    _update(call, flavor_id, wanted, [])
    return {"extra_specs": wanted}


def show_spec(call: Call, flavor_id: str, key: str) -> JSON:
    """Give one extra spec."""
    return {key: _spec(call, flavor_id, key)}


def update_spec(call: Call, flavor_id: str, key: str) -> JSON:
    """Change one extra spec; the body is an object of that key alone."""
    if not isinstance(call.body, dict) or list(call.body) != [key]:
        raise errors.Invalid(f"{key} is missing: the body must be an object of that key alone")
    wanted = {key: str(call.body[key])}
    _update(call, flavor_id, wanted, [])
    return wanted


def delete_spec(call: Call, flavor_id: str, key: str) -> None:
    """Remove one extra spec."""
    _spec(call, flavor_id, key)
    _update(call, flavor_id, {}, [key])


def _update(call: Call, flavor_id: str, specs: dict[str, str], remove: list[str]) -> None:
    flavor = _get(call, flavor_id)
    call.parts.conductor.update_extra_specs(call.context, flavor.id, specs, remove)


def _spec(call: Call, flavor_id: str, key: str) -> str:
    specs = _get(call, flavor_id).extra_specs
    if key not in specs:
        raise errors.NotFound(f"flavor {flavor_id} has no extra spec {key}")
    return str(specs[key])


def _get(call: Call, flavor_id: str) -> objects.Flavor:
    with call.parts.database.read() as tx:
        found = flavors.get(tx, flavor_id)
    if found.id != flavor_id:
        raise errors.FlavorNotFound(f"flavor {flavor_id} could not be found; its id is {found.id}")
    return found


def _find(call: Call) -> tuple[list[objects.Flavor], str | None]:
    with call.parts.database.read() as tx:
        known = flavors.all(tx)
    ram, disk = _least(call, "minRam"), _least(call, "minDisk")
    public = _public(call)
    chosen = [
        flavor
        for flavor in known
        if flavor.memory_mb >= ram
        and flavor.root_gb >= disk
        and (public is None or flavor.is_public == public)
    ]
    return paging.cut(chosen, [flavor.id for flavor in chosen], call)


def _least(call: Call, name: str) -> int:
    wanted = call.request.args.get(name, "0")
    if not wanted.isascii() or not wanted.isdigit():
        raise errors.Invalid(f"{name} must be a whole number of 0 or more, not {wanted}")
    return int(wanted)


def _public(call: Call) -> bool | None:
    """Give which flavors are wanted: public ones unless an administrator says otherwise."""
    wanted = call.request.args.get("is_public", "true").lower()
    if not call.admin:
        return True
    if wanted == "none":
        return None
    return parts.truth(wanted)
