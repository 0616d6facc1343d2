"""A server and what was done to it."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects import loose
from common.objects import moment
from common.objects.catalog import Flavor  # noqa: F401 - the field's type for mypy
from common.objects.catalog import Image  # noqa: F401 - the field's type for mypy
from common.objects.catalog import Port  # noqa: F401 - the field's type for mypy


@VersionedObjectRegistry.register
class Instance(base.Value):
    """A server: what it should be, where it is, and what is being done to it.

    `run_token` is fresh for every start of the guest and stands in the
    domain's metadata; `generation` rises with every change of state. `hints`
    are what its creator told the scheduler, lists by name.
    """

    VERSION = "1.1"
    ADDED = {"1.1": {"hints": None, "fault_reasons": None}}
    fields = {
        "uuid": fields.StringField(),
        "name": fields.StringField(),
        "hostname": fields.StringField(default=""),
        "description": fields.StringField(nullable=True),
        "project_id": fields.StringField(),
        "user_id": fields.StringField(),
        "host": fields.StringField(nullable=True),
        "availability_zone": fields.StringField(nullable=True),
        "pinned_zone": fields.StringField(nullable=True),
        "vm_state": fields.StringField(default="building"),
        "task_state": fields.StringField(nullable=True),
        "power_state": fields.IntegerField(default=0),
        "generation": fields.IntegerField(default=0),
        "run_token": fields.StringField(default=""),
        "flavor": fields.ObjectField("Flavor"),
        "image": fields.ObjectField("Image", nullable=True),
        "kernel": fields.ObjectField("Image", nullable=True),
        "ramdisk": fields.ObjectField("Image", nullable=True),
        "ports": fields.ListOfObjectsField("Port", default=[]),
        "metadata": fields.DictOfStringsField(default={}),
        "hints": fields.DictOfListOfStringsField(nullable=True),
        "progress": fields.IntegerField(default=0),  # percent of the current task
        "fault_code": fields.StringField(nullable=True),
        "fault_message": fields.StringField(nullable=True),
        "fault_reasons": loose.ReasonsField(nullable=True),
        "fault_at": moment.MomentField(nullable=True),
        "created_at": moment.MomentField(nullable=True),
        "updated_at": moment.MomentField(nullable=True),
        "launched_at": moment.MomentField(nullable=True),
        "terminated_at": moment.MomentField(nullable=True),
    }


@VersionedObjectRegistry.register
class InstanceAction(base.Value):
    """One thing that somebody asked of a server."""

    VERSION = "1.0"
    fields = {
        "request_id": fields.StringField(),
        "instance_uuid": fields.StringField(),
        "action": fields.StringField(),
        "user_id": fields.StringField(),
        "project_id": fields.StringField(),
        "message": fields.StringField(nullable=True),
        "started_at": moment.MomentField(),
        "updated_at": moment.MomentField(nullable=True),
        "finished_at": moment.MomentField(nullable=True),
        "events": fields.ListOfObjectsField("InstanceEvent", default=[]),
    }


@VersionedObjectRegistry.register
class InstanceEvent(base.Value):
    """One part of an action on one host; a result of None is still going on."""

    VERSION = "1.0"
    fields = {
        "event": fields.StringField(),
        "host": fields.StringField(nullable=True),
        "started_at": moment.MomentField(),
        "finished_at": moment.MomentField(nullable=True),
        "result": fields.StringField(nullable=True),  # Success or Error
        "details": fields.StringField(nullable=True),
    }
