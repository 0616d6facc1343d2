"""What hosts have of a guest that a move has left behind, and what was made of it."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base


@VersionedObjectRegistry.register
class GuestSeen(base.Value):
    """What one host has of a guest, as its hypervisor says now.

    `power_state` is that of states.Power, and None when the host has nothing
    of the guest; NOSTATE is half of a guest, whose other half is elsewhere.
    """

    VERSION = "1.0"
    fields = {
        "host": fields.StringField(),
        "power_state": fields.IntegerField(nullable=True),
        "run_token": fields.StringField(default=""),
        "job": fields.BooleanField(default=False),  # a move out of this host goes on
        "asked": fields.BooleanField(default=True),  # False: its service is forced down
    }


@VersionedObjectRegistry.register
class Resolution(base.Value):
    """How a move that ended in `error` was settled: who runs the guest, and what was seen."""

    VERSION = "1.0"
    fields = {
        "migration_uuid": fields.StringField(),
        "outcome": fields.StringField(),  # undone or completed
        "host": fields.StringField(),
        "seen": fields.ListOfObjectsField("GuestSeen", default=[]),
        "notes": fields.ListOfStringsField(default=[]),  # what is left to do by hand
    }
