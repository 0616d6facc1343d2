"""A cold move or resize: what both hosts must know of it, and what they report."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects import moment
from common.objects.catalog import Flavor  # noqa: F401 - the field's type for mypy
from common.objects.host import HostFacts  # noqa: F401 - the field's type for mypy


@VersionedObjectRegistry.register
class CopyFile(base.Value):
    """One file that travels: what it is called where it lands, and its path at the source."""

    VERSION = "1.0"
    fields = {
        "name": fields.StringField(),  # disk, disk.eph0 ..., or image.disk, which is below them
        "path": fields.StringField(),
        "size": fields.IntegerField(),  # bytes from its beginning to its end
        "allocated": fields.IntegerField(default=0),  # bytes that are no holes
    }


@VersionedObjectRegistry.register
class ColdMove(base.Value):
    """What source and destination learn of each other before and during a cold move.

    The source fills its part, then the destination; `was` is the vm_state to
    which the server returns: active or stopped.
    """

    VERSION = "1.0"
    fields = {
        "migration_uuid": fields.StringField(),
        "old_flavor": fields.ObjectField("Flavor"),
        "new_flavor": fields.ObjectField("Flavor"),
        "was": fields.StringField(),
        "zone": fields.StringField(nullable=True),  # what the request says of zones
        "alternates": fields.ListOfStringsField(default=[]),  # hosts that are claimed next
        "auto_confirm": fields.BooleanField(default=False),
        "then_delete": fields.BooleanField(default=False),  # the server is deleted when it ends
        "bandwidth": fields.IntegerField(default=0),  # MiB per second, 0: the host's own
        # filled by the source's survey
        "disks": fields.ListOfObjectsField("DiskInfo", default=[]),
        "machine_type": fields.StringField(default=""),
        "source_storage": fields.StringField(default=""),  # the same on hosts that share it
        "source_facts": fields.ObjectField("HostFacts", nullable=True),
        # filled by the destination's preparation
        "destination_address": fields.StringField(default=""),
        "destination_uri": fields.StringField(default=""),
        "destination_folder": fields.StringField(default=""),  # where the copies land
        # disk, kernel, ramdisk: images that the store has lost, and the source must give
        "needs_images": fields.ListOfStringsField(default=[]),
        # filled by the source's copy
        "copied_bytes": fields.IntegerField(default=0),
        "copied_running": fields.IntegerField(default=0),  # of these, before the guest was off
        "off_ms": fields.IntegerField(nullable=True),  # from power-off to the end of the copy
    }


@VersionedObjectRegistry.register
class StepReport(base.Value):
    """How one step of a cold move ended on its host; no error_code means well."""

    VERSION = "1.0"
    fields = {
        "migration_uuid": fields.StringField(),
        "generation": fields.IntegerField(),
        "step": fields.StringField(),
        "host": fields.StringField(),
        "started_at": moment.MomentField(),
        "finished_at": moment.MomentField(),
        "error_code": fields.StringField(nullable=True),
        "error_message": fields.StringField(nullable=True),
        "power_state": fields.IntegerField(nullable=True),
        "run_token": fields.StringField(nullable=True),  # of the guest as it is there now
        "cold": fields.ObjectField("ColdMove", nullable=True),
    }
