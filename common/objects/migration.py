"""A move: its row, its journal, its progress, and what both hosts agreed on."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects import loose
from common.objects import moment
from common.objects.cold import ColdMove  # noqa: F401 - the field's type for mypy
from common.objects.host import HostFacts  # noqa: F401 - the field's type for mypy
from common.objects.policy import MigrationPolicy  # noqa: F401 - the field's type for mypy


@VersionedObjectRegistry.register
class Migration(base.Value):
    """One move of one server.

    `generation` rises each time somebody else takes the move over; a write
    or message with an older one is refused. `reasons` are those of every host
    that was refused on the way. `zone` is what the request for a live migration
    says of zones.
    """

    VERSION = "1.1"
    ADDED = {"1.1": {"reasons": None, "zone": None}}
    fields = {
        "id": fields.IntegerField(nullable=True),
        "uuid": fields.StringField(),
        "type": fields.StringField(),
        "status": fields.StringField(default="accepted"),
        "instance_uuid": fields.StringField(),
        "source": fields.StringField(),
        "destination": fields.StringField(nullable=True),
        "generation": fields.IntegerField(default=0),
        "owner": fields.StringField(nullable=True),
        "lease_until": moment.MomentField(nullable=True),
        "policy": fields.ObjectField("MigrationPolicy", nullable=True),
        "block_migration": fields.BooleanField(nullable=True),  # None: auto
        "disk_over_commit": fields.BooleanField(default=False),
        "requested_host": fields.StringField(nullable=True),
        "zone": fields.StringField(nullable=True),
        "request_id": fields.StringField(),
        "user_id": fields.StringField(),
        "project_id": fields.StringField(),
        "error_code": fields.StringField(nullable=True),
        "error_message": fields.StringField(nullable=True),
        "failed_step": fields.StringField(nullable=True),
        "failed_host": fields.StringField(nullable=True),
        "reasons": loose.ReasonsField(nullable=True),
        "progress": fields.ObjectField("MigrationProgress", nullable=True),
        "data": fields.ObjectField("LibvirtLiveMigrateData", nullable=True),
        "stage": fields.StringField(nullable=True),  # the step of a cold move that is being done
        "cold": fields.ObjectField("ColdMove", nullable=True),
        "confirm_at": moment.MomentField(nullable=True),  # it confirms itself then
        "downtime_ms": fields.IntegerField(nullable=True),
        "job_ms": fields.IntegerField(nullable=True),  # libvirt's own total
        "created_at": moment.MomentField(nullable=True),
        "updated_at": moment.MomentField(nullable=True),
        "finished_at": moment.MomentField(nullable=True),
    }


@VersionedObjectRegistry.register
class MigrationStep(base.Value):
    """One step in a move's journal: (move, step, host, attempt) happens once."""

    VERSION = "1.0"
    fields = {
        "migration_uuid": fields.StringField(),
        "step": fields.StringField(),
        "host": fields.StringField(),
        "attempt": fields.IntegerField(default=1),
        "state": fields.StringField(default="started"),
        "started_at": moment.MomentField(),
        "finished_at": moment.MomentField(nullable=True),
        "error_code": fields.StringField(nullable=True),
        "error": fields.StringField(nullable=True),
        "details": fields.StringField(nullable=True),  # a decision: its reason and numbers
    }


@VersionedObjectRegistry.register
class DiskProgress(base.Value):
    """How far one disk is copied, in bytes."""

    VERSION = "1.0"
    fields = {
        "target": fields.StringField(),  # vda
        "total": fields.IntegerField(default=0),
        "processed": fields.IntegerField(default=0),
        "remaining": fields.IntegerField(default=0),
    }


@VersionedObjectRegistry.register
class MigrationProgress(base.Value):
    """How far a running move is, in bytes; `percent` never goes back.

    `disks` are those that are copied, as far as the hypervisor tells of each.
    """

    VERSION = "1.2"
    ADDED = {"1.1": {"post_copy": False}, "1.2": {"disks": []}}
    fields = {
        "migration_uuid": fields.StringField(),
        "generation": fields.IntegerField(default=0),
        "percent": fields.IntegerField(default=0),
        "memory_total": fields.IntegerField(default=0),
        "memory_processed": fields.IntegerField(default=0),
        "memory_remaining": fields.IntegerField(default=0),
        "disk_total": fields.IntegerField(default=0),
        "disk_processed": fields.IntegerField(default=0),
        "disk_remaining": fields.IntegerField(default=0),
        "rate": fields.IntegerField(default=0),  # bytes per second
        "dirty_rate": fields.IntegerField(default=0),  # bytes per second
        "iteration": fields.IntegerField(default=0),
        "elapsed_ms": fields.IntegerField(default=0),
        "eta_ms": fields.IntegerField(nullable=True),
        "post_copy": fields.BooleanField(default=False),  # the guest runs at the destination
        "disks": fields.ListOfObjectsField("DiskProgress", default=[]),
    }


@VersionedObjectRegistry.register
class MoveReport(base.Value):
    """What a compute tells the conductor about its move, in one message.

    The status goes from `expected` to `status` if the generation still holds;
    `steps` are journal rows begun or ended since the last report.
    """

    VERSION = "1.0"
    fields = {
        "migration_uuid": fields.StringField(),
        "generation": fields.IntegerField(),
        "host": fields.StringField(),
        "expected": fields.ListOfStringsField(),
        "status": fields.StringField(),
        "power_state": fields.IntegerField(nullable=True),
        "steps": fields.ListOfObjectsField("MigrationStep", default=[]),
        "progress": fields.ObjectField("MigrationProgress", nullable=True),
        "downtime_ms": fields.IntegerField(nullable=True),
        "job_ms": fields.IntegerField(nullable=True),
        "error_code": fields.StringField(nullable=True),
        "error_message": fields.StringField(nullable=True),
        "failed_step": fields.StringField(nullable=True),
        "failed_host": fields.StringField(nullable=True),
    }


@VersionedObjectRegistry.register
class Arrival(base.Value):
    """A guest as its destination has taken it over, and what its hypervisor measured of the move.

    None where it tells nothing.
    """

    VERSION = "1.0"
    fields = {
        "power_state": fields.IntegerField(),
        "downtime_ms": fields.IntegerField(nullable=True),
        "job_ms": fields.IntegerField(nullable=True),
    }


@VersionedObjectRegistry.register
class DiskInfo(base.Value):
    """One disk of a guest as its host sees it."""

    VERSION = "1.0"
    fields = {
        "target": fields.StringField(),  # vda
        "path": fields.StringField(),
        "format": fields.StringField(),
        "virtual_bytes": fields.IntegerField(),
        "allocated_bytes": fields.IntegerField(),
        "image_id": fields.StringField(nullable=True),  # base image, if any
    }


@VersionedObjectRegistry.register
class LibvirtLiveMigrateData(base.Value):
    """What source and destination learn of each other before a live migration.

    The destination fills its part, then the source its own and decides
    `block_migration`; `created` lists the paths that this attempt made at the
    destination, and only those are removed on undo.
    """

    VERSION = "1.1"
    ADDED = {
        "1.1": {
            "unsafe": False,
            "destination_has_files": False,
            "destination_ports": [],
            "destination_instances": "",
            "destination_cache": "",
        }
    }
    fields = {
        "migration_uuid": fields.StringField(),
        "block_migration": fields.BooleanField(nullable=True),
        "disk_over_commit": fields.BooleanField(default=False),
        # filled by the destination's check
        "test_file": fields.StringField(nullable=True),  # name in instances_path
        "destination_address": fields.StringField(default=""),
        "destination_uri": fields.StringField(default=""),
        "destination_free_bytes": fields.IntegerField(default=0),
        "destination_facts": fields.ObjectField("HostFacts", nullable=True),
        "destination_has_files": fields.BooleanField(default=False),  # the server's directory
        "destination_ports": fields.ListOfIntegersField(default=[]),  # listen for a source's try
        "destination_instances": fields.StringField(default=""),  # its instances_path
        "destination_cache": fields.StringField(default=""),  # where its images are
        # filled by the source's check
        "is_shared": fields.BooleanField(nullable=True),
        "disks": fields.ListOfObjectsField("DiskInfo", default=[]),
        # filled by pre_live_migration
        "created": fields.ListOfStringsField(default=[]),
        "unsafe": fields.BooleanField(default=False),  # Whimbrel vouches for shared storage
    }
