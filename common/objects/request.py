"""The question to the scheduler and its answer."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects.catalog import Flavor  # noqa: F401 - the field's type for mypy
from common.objects.catalog import Image  # noqa: F401 - the field's type for mypy


@VersionedObjectRegistry.register
class RequestSpec(base.Value):
    """What a server needs from a host.

    The claim is written for `consumer`. `requested_host` narrows the choice
    to one host and skips no filter.
    """

    VERSION = "1.0"
    fields = {
        "instance_uuid": fields.StringField(),
        "consumer": fields.StringField(),
        "flavor": fields.ObjectField("Flavor"),
        "image": fields.ObjectField("Image", nullable=True),
        "availability_zone": fields.StringField(nullable=True),
        "requested_host": fields.StringField(nullable=True),
        "ignore_hosts": fields.ListOfStringsField(default=[]),
    }


@VersionedObjectRegistry.register
class Selection(base.Value):
    """The chosen host, its claim already written, and why the others were refused."""

    VERSION = "1.0"
    fields = {
        "host": fields.StringField(),
        "consumer": fields.StringField(),
        "amounts": fields.DictOfIntegersField(),  # resource class: amount
        "refusals": fields.DictOfStringsField(default={}),  # host: reason
    }


@VersionedObjectRegistry.register
class NewServer(base.Value):
    """A request to create a server, as the API has understood it."""

    VERSION = "1.0"
    fields = {
        "name": fields.StringField(),
        "hostname": fields.StringField(default=""),
        "description": fields.StringField(nullable=True),
        "flavor": fields.ObjectField("Flavor"),
        "image": fields.ObjectField("Image", nullable=True),
        "kernel": fields.ObjectField("Image", nullable=True),
        "ramdisk": fields.ObjectField("Image", nullable=True),
        "networks": fields.ListOfStringsField(default=[]),  # network ids
        "availability_zone": fields.StringField(nullable=True),
        "requested_host": fields.StringField(nullable=True),
        "metadata": fields.DictOfStringsField(default={}),
    }
