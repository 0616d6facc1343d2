"""Flavors as clients see them."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from services.api.views import fields

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call


class Seen(NamedTuple):
    """A flavor, and the root of its links."""

    flavor: objects.Flavor
    root: str


def brief(call: Call, flavor: objects.Flavor) -> dict[str, Any]:
    """Show no more than id, name and links."""
    return fields.render(BRIEF, Seen(flavor, call.root), call.version)


def detail(call: Call, flavor: objects.Flavor) -> dict[str, Any]:
    """Show everything this microversion has."""
    return fields.render(DETAIL, Seen(flavor, call.root), call.version)


def embedded(flavor: objects.Flavor) -> dict[str, Any]:
    """Show the copy that a server keeps: it has no id, for the flavor may be gone."""
    return {
        "vcpus": flavor.vcpus,
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "ephemeral": flavor.ephemeral_gb,
        "swap": flavor.swap_mb,
        "original_name": flavor.name,
        "extra_specs": dict(flavor.extra_specs),
    }


def _of(name: str) -> Any:  # noqa: ANN401 - a function of a Seen
    return lambda seen: getattr(seen.flavor, name)


F = fields.Field

BRIEF = (
    F("id", _of("id")),
    F("name", _of("name")),
    F("links", lambda seen: fields.both(seen.root, f"/flavors/{seen.flavor.id}")),
    F("description", _of("description"), since=(2, 55)),
)

DETAIL = (
    *BRIEF,
    F("ram", _of("memory_mb")),
    F("disk", _of("root_gb")),
    F("vcpus", _of("vcpus")),
    F("swap", lambda seen: seen.flavor.swap_mb or "", until=(2, 74)),
    F("swap", _of("swap_mb"), since=(2, 75)),
    F("OS-FLV-EXT-DATA:ephemeral", _of("ephemeral_gb")),
    F("OS-FLV-DISABLED:disabled", _of("disabled")),
    F("os-flavor-access:is_public", _of("is_public")),
    F("rxtx_factor", fields.constant(1.0)),
    F("extra_specs", lambda seen: dict(seen.flavor.extra_specs), since=(2, 61)),
)
