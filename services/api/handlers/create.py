"""POST /servers: understanding what clients ask for."""

from __future__ import annotations

import re
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common.db import flavors
from common.db import networks
from services.api import route
from services.api.handlers import find
from services.api.handlers import hints

if TYPE_CHECKING:
    from common.db.engine import Tx
    from services.api.calls import Call

# Formats that a guest's disk can be made of; kernels and ramdisks are none.
BOOTABLE = frozenset({"raw", "qcow2"})
HOSTNAME = 63  # characters


class Place(NamedTuple):
    """Where a server is wanted; None leaves it to the scheduler."""

    zone: str | None
    host: str | None


def create_server(call: Call) -> route.Reply:
    """Write the server as building, and answer with its id at once."""
    server = call.parts.conductor.create_server(call.context, understand(call))
    return _reply(call, server)


def understand(call: Call) -> objects.NewServer:
    """Read what the body asks for, with all that it names."""
    wanted = call.body["server"]
    image = _image(call, wanted)
    with call.parts.database.read() as tx:
        place = _place(call, tx, wanted)
        flavor = _flavor(tx, wanted["flavorRef"])
        request = objects.NewServer(
            name=wanted["name"],
            hostname=wanted.get("hostname") or hostname(wanted["name"]),
            description=wanted.get("description"),
            flavor=flavor,
            image=image,
            kernel=_part(call, image, "kernel_id"),
            ramdisk=_part(call, image, "ramdisk_id"),
            networks=_networks(tx, wanted.get("networks", "auto")),
            availability_zone=place.zone,
            requested_host=place.host,
            metadata=wanted.get("metadata", {}),
            hints=hints.read(call, tx),
        )
    fits(flavor, image)
    return request


def hostname(name: str) -> str:
    """Make a host name of a server's name, as Nova does."""
    plain = re.sub(r"[^\w.-]+", "", re.sub(r"[ _]", "-", name)).lower().strip(".-")
    return plain.encode("ascii", "ignore").decode()[:HOSTNAME] or "server"


def _reply(call: Call, server: objects.Instance) -> route.Reply:
    href = f"{call.root}/servers/{server.uuid}"
    bookmark = f"{call.root.removesuffix('/v2.1')}/servers/{server.uuid}"
    shown = {
        "id": server.uuid,
        "links": [{"rel": "self", "href": href}, {"rel": "bookmark", "href": bookmark}],
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": "default"}],
    }
    return route.Reply({"server": shown}, {"Location": href})


def _image(call: Call, wanted: dict[str, Any]) -> objects.Image:
    """Find the image, which newer clients name as the first block device too."""
    disks = wanted.get("block_device_mapping_v2", [])
    reference = wanted.get("imageRef") or next((disk["uuid"] for disk in disks), "")
    if not reference:
        raise errors.Invalid("server.imageRef is missing: servers boot from an image here")
    if any(_last(disk["uuid"]) != _last(reference) for disk in disks):
        raise errors.Invalid(
            "server.block_device_mapping_v2[0].uuid must be the image of server.imageRef"
        )
    image = _stored(call, "server.imageRef", _last(reference))
    if image.disk_format not in BOOTABLE:
        raise errors.Invalid(
            f"server.imageRef: image {image.name} is a {image.disk_format}, which is no disk "
            "to boot from"
        )
    return image


def _part(call: Call, image: objects.Image, name: str) -> objects.Image | None:
    """Find the kernel or ramdisk that an image is booted with."""
    key = image.properties.get(name)
    return _stored(call, f"{name} of image {image.name}", key) if key else None


def _stored(call: Call, field: str, key: str) -> objects.Image:
    try:
        return call.parts.images.get(key)
    except errors.ImageNotFound as unknown:
        raise errors.Invalid(f"{field}: {unknown}") from unknown


def _flavor(tx: Tx, reference: str | int) -> objects.Flavor:
    try:
        return flavors.get(tx, _last(str(reference)))
    except errors.FlavorNotFound as unknown:
        raise errors.Invalid(f"server.flavorRef: {unknown}") from unknown


def fits(flavor: objects.Flavor, image: objects.Image) -> None:
    """Refuse a flavor that is too small for the image; a root disk of 0 GiB is as large as it."""
    if flavor.root_gb and flavor.root_gb < image.min_disk:
        raise errors.Invalid(
            f"flavor {flavor.name} has {flavor.root_gb} GiB of disk and image {image.name} "
            f"needs {image.min_disk}; choose a larger flavor"
        )
    if flavor.memory_mb < image.min_ram:
        raise errors.Invalid(
            f"flavor {flavor.name} has {flavor.memory_mb} MiB of memory and image {image.name} "
            f"needs {image.min_ram}; choose a larger flavor"
        )


def _networks(tx: Tx, wanted: str | list[dict[str, str]]) -> list[str]:
    if wanted == "none":
        return []
    if isinstance(wanted, list):
        return [
            _network(tx, f"server.networks[{number}].uuid", row["uuid"])
            for number, row in enumerate(wanted)
        ]
    known = networks.all(tx)
    if len(known) > 1:
        names = ", ".join(sorted(network.name for network in known))
        raise errors.Invalid(
            f"server.networks: several networks exist ({names}); name those to use, or none"
        )
    return [network.id for network in known]


def _network(tx: Tx, field: str, key: str) -> str:
    try:
        return str(networks.get(tx, key).id)
    except errors.NetworkNotFound as unknown:
        raise errors.Invalid(f"{field}: {unknown}") from unknown


def _place(call: Call, tx: Tx, wanted: dict[str, Any]) -> Place:
    """Read ZONE, the older ZONE:HOST[:NODE], and the newer host or hypervisor_hostname."""
    zone, _, rest = wanted.get("availability_zone", "").partition(":")
    hosts = {
        host
        for host in (
            *rest.split(":"),
            wanted.get("host"),
            wanted.get("hypervisor_hostname"),
        )
        if host
    }
    if len(hosts) > 1:
        raise errors.Invalid(
            f"server.host: several hosts are named ({', '.join(sorted(hosts))}); name one"
        )
    host = next(iter(hosts), None)
    if host is not None:
        call.enforce("servers:place")
    _check_place(call, tx, zone or None, host)
    return Place(zone or None, host)


def _check_place(call: Call, tx: Tx, zone: str | None, host: str | None) -> None:
    if zone is None and host is None:
        return
    known = {node.host: node.availability_zone for node in find.all_hosts(call, tx)}
    if host is not None and host not in known:
        raise errors.Invalid(
            f"server.host: no host is named {host}; see: whimbrel host list", host=host
        )
    if zone is not None and zone not in known.values():
        zones = ", ".join(sorted(set(known.values()))) or "none yet"
        raise errors.Invalid(
            f"server.availability_zone: no host is in zone {zone}; there are {zones}"
        )


def _last(reference: str) -> str:
    """Take a URL for its last part."""
    return reference.rstrip("/").rpartition("/")[2]
