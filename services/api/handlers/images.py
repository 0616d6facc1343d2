"""Images in the dialect of OpenStack's image service; read-only."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from common import errors
from services.api import paging

if TYPE_CHECKING:
    from common import objects
    from services.api.calls import Call
    from services.api.route import JSON

KERNELS = frozenset({"aki", "ari"})


def list_images(call: Call) -> JSON:
    """Give the images asked for, by name or by ids."""
    wanted = call.request.args
    name, ids = wanted.get("name"), wanted.get("id", "").removeprefix("in:")
    chosen = [
        image
        for image in call.parts.images.all()
        if name in {None, image.name} and (not ids or image.id in ids.split(","))
    ]
    page, last = paging.cut(chosen, [image.id for image in chosen], call)
    shown: JSON = {
        "images": [_show(image) for image in page],
        "first": call.request.path,
        "schema": "/v2/schemas/images",
    }
    if page and len(page) == paging.limit(call):
        shown["next"] = f"{call.request.path}?limit={len(page)}&marker={last}"
    return shown


def show_image(call: Call, image_id: str) -> JSON:
    """Give one image by its id; clients look names up in the list."""
    image = call.parts.images.get(image_id)
    if image.id != image_id:
        raise errors.ImageNotFound(f"no image has the id {image_id}; {image.id} has that name")
    return _show(image)


def _show(image: objects.Image) -> dict[str, Any]:
    kernel = image.disk_format in KERNELS
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": "active",
        "visibility": "public",
        "protected": False,
        "os_hidden": False,
        "owner": None,
        "tags": [],
        "size": image.size,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": "sha256",
        "os_hash_value": image.checksum,
        "disk_format": image.disk_format,
        "container_format": image.disk_format if kernel else "bare",
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "created_at": "1970-01-01T00:00:00Z",
        "updated_at": "1970-01-01T00:00:00Z",
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }
