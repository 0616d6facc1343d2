"""Version documents: what is here, and in which versions; everybody may read them."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from services.api import versions

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON

UPDATED = "2013-07-23T11:33:21Z"
MEDIA = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}


def list_versions(call: Call) -> JSON:
    """Give the versions of the compute API; one root tells of one service only."""
    return {"versions": [_oldest(call), _current(call)]}


def show_version(call: Call) -> JSON:
    """Give the version that is here."""
    return {"version": {**_current(call), "media-types": [MEDIA]}}


def show_oldest_version(call: Call) -> JSON:
    """Give the version that Nova had before microversions, as its list names it."""
    return {"version": {**_oldest(call), "media-types": [MEDIA]}}


def list_image_versions(call: Call) -> JSON:
    """Give the version of the image dialect."""
    href = f"{call.request.host_url}image/v2/"
    return {"versions": [{"id": "v2.9", "status": "CURRENT", "links": _self(href)}]}


def show_network_version(call: Call) -> JSON:
    """Give the version of the network dialect."""
    href = f"{call.request.host_url}network/v2.0"
    return {"version": {"id": "v2.0", "status": "CURRENT", "links": _self(href)}}


def _current(call: Call) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": versions.text(versions.MAX),
        "min_version": versions.text(versions.MIN),
        "updated": UPDATED,
        "links": _self(f"{call.root}/"),
    }


def _oldest(call: Call) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "DEPRECATED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": _self(f"{call.request.host_url}v2/"),
    }


def _self(href: str) -> list[dict[str, str]]:
    return [{"rel": "self", "href": href}]
