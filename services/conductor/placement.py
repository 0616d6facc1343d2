"""What the scheduler is asked for a server: the same for its build, its moves and a dry run.

A server belongs to a zone: the one it was created in, whether or not anybody
named it. No move leaves the zone unless the request says so, and one that did
takes the server into the zone where it arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import objects
from common.db import hosts

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

    from common.db.engine import Tx

# What a request says to have any zone.
ANY = "any"


def spec(
    conf: ConfigOpts, instance: objects.Instance, *, zone: str | None = None, **values: object
) -> objects.RequestSpec:
    """Ask for a host for the server; `zone` is what the request says of zones, if anything."""
    return objects.RequestSpec(
        instance_uuid=instance.uuid,
        consumer=instance.uuid,
        flavor=instance.flavor,
        image=instance.image,
        project_id=instance.project_id,
        availability_zone=bounds(conf, instance, zone),
        hints=instance.hints or {},
        **values,
    )


def disks(
    tx: Tx,
    instance: objects.Instance,
    requested_host: str | None,
    *,
    block_migration: bool | None,
    disk_over_commit: bool,
) -> dict[str, object]:
    """Give what a live migration wants of a host for the server's disks.

    Copies need room; what both hosts keep in one place needs none. A host
    that is named is left to the checks, which say more of its storage.
    """
    if block_migration:
        return {"disk_over_commit": disk_over_commit}
    where = hosts.storage(tx, str(instance.host))
    if block_migration is None:
        return {"disk_over_commit": disk_over_commit, "disk_storage": where}
    reach = hosts.sharing(tx, str(instance.host)) if where and requested_host is None else None
    return {"local_disk": False, "disk_storage": where, "storage": reach}


def bounds(conf: ConfigOpts, instance: objects.Instance, zone: str | None) -> str | None:
    """Give the zone in which a host is looked for; None is any."""
    if zone is not None:
        return None if zone == ANY else zone
    return home(conf, instance)


def home(conf: ConfigOpts, instance: objects.Instance) -> str | None:
    """Give the zone that the server belongs to, or None.

    One that was built while zones were not kept belongs to where it is.
    """
    landed = instance.launched_at is not None and conf.conductor.keep_zone
    return instance.pinned_zone or (instance.availability_zone if landed else None)


def landed(conf: ConfigOpts, instance: objects.Instance) -> dict[str, object]:
    """Give what is written of the zone of a server that was built."""
    return {"pinned_zone": instance.availability_zone} if conf.conductor.keep_zone else {}


def arrived(instance: objects.Instance, zone: str) -> dict[str, object]:
    """Give what is written of the zone of a server that was moved."""
    bound = {"pinned_zone": zone} if instance.pinned_zone is not None else {}
    return {"availability_zone": zone, **bound}
