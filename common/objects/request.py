"""The question to the scheduler and its answer."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects import loose
from common.objects.catalog import Flavor  # noqa: F401 - the field's type for mypy
from common.objects.catalog import Image  # noqa: F401 - the field's type for mypy


@VersionedObjectRegistry.register
class RequestSpec(base.Value):
    """What a server needs from a host.

    The claim is written for `consumer`. `requested_host` narrows the choice
    to one host and skips no filter. `hints` are lists by name: same_host and
    different_host hold server uuids, group one group's. `tried` are hosts that
    refused, with their reasons; `storage` names the hosts that reach the
    guest's disks, where not all do. `disk_storage` is the id of the place that
    they are in: a host that has it needs no room for them. With
    `disk_over_commit` only what they take now must fit, as the host itself
    will see.
    """

    VERSION = "1.1"
    ADDED = {
        "1.1": {
            "project_id": "",
            "hints": {},
            "tried": {},
            "local_disk": True,
            "storage": None,
            "disk_storage": "",
            "disk_over_commit": False,
            "alternates": 0,
        }
    }
    fields = {
        "instance_uuid": fields.StringField(),
        "consumer": fields.StringField(),
        "flavor": fields.ObjectField("Flavor"),
        "image": fields.ObjectField("Image", nullable=True),
        "availability_zone": fields.StringField(nullable=True),
        "requested_host": fields.StringField(nullable=True),
        "ignore_hosts": fields.ListOfStringsField(default=[]),
        "project_id": fields.StringField(default=""),
        "hints": fields.DictOfListOfStringsField(default={}),
        "tried": fields.DictOfStringsField(default={}),  # host: reason
        "local_disk": fields.BooleanField(default=True),
        "storage": fields.ListOfStringsField(nullable=True),  # hosts
        "disk_storage": fields.StringField(default=""),
        "disk_over_commit": fields.BooleanField(default=False),
        "alternates": fields.IntegerField(default=0),  # how many more hosts to name
    }


@VersionedObjectRegistry.register
class Selection(base.Value):
    """The chosen host, its claim already written, and why the others were refused.

    `alternates` are the next best, best first; nothing is claimed of them yet.
    """

    VERSION = "1.1"
    ADDED = {"1.1": {"alternates": []}}
    fields = {
        "host": fields.StringField(),
        "consumer": fields.StringField(),
        "amounts": fields.DictOfIntegersField(),  # resource class: amount
        "refusals": fields.DictOfStringsField(default={}),  # host: reason
        "alternates": fields.ListOfStringsField(default=[]),  # hosts
    }


@VersionedObjectRegistry.register
class Rank(base.Value):
    """What the scheduler thinks of one host: its scores, or the filter that refuses it.

    `scores` are by weigher, multiplied already; `score` is their sum.
    """

    VERSION = "1.0"
    fields = {
        "host": fields.StringField(),
        "score": fields.FloatField(nullable=True),  # None: refused
        "scores": loose.ScoresField(default={}),  # weigher: points
        "refusals": loose.ReasonsField(default={}),  # empty or of this host
    }


@VersionedObjectRegistry.register
class NewServer(base.Value):
    """A request to create a server, as the API has understood it."""

    VERSION = "1.1"
    ADDED = {"1.1": {"hints": {}}}
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
        "hints": fields.DictOfListOfStringsField(default={}),
    }
