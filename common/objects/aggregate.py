"""Hosts that belong together, and servers that belong together or apart."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects import moment


@VersionedObjectRegistry.register
class Aggregate(base.Value):
    """Hosts with something in common; with an availability zone it makes that zone."""

    VERSION = "1.0"
    fields = {
        "id": fields.IntegerField(nullable=True),
        "uuid": fields.StringField(),
        "name": fields.StringField(),
        "availability_zone": fields.StringField(nullable=True),
        "metadata": fields.DictOfStringsField(default={}),
        "hosts": fields.ListOfStringsField(default=[]),
        "created_at": moment.MomentField(nullable=True),
        "updated_at": moment.MomentField(nullable=True),
    }


@VersionedObjectRegistry.register
class ServerGroup(base.Value):
    """Servers with a policy about sharing hosts.

    The one rule there is, max_server_per_host, belongs to anti-affinity.
    """

    VERSION = "1.0"
    fields = {
        "id": fields.IntegerField(nullable=True),
        "uuid": fields.StringField(),
        "name": fields.StringField(),
        "policy": fields.StringField(),  # states.Affinity
        "rules": fields.DictOfIntegersField(default={}),
        "project_id": fields.StringField(),
        "user_id": fields.StringField(),
        "members": fields.ListOfStringsField(default=[]),  # servers that are not deleted
        "created_at": moment.MomentField(nullable=True),
    }
