"""What an audit found on a host that is not as the records say."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base


@VersionedObjectRegistry.register
class Finding(base.Value):
    """One thing that is not as it should be, and whether it has been put right."""

    VERSION = "1.0"
    fields = {
        "kind": fields.StringField(),  # common.db.findings
        "host": fields.StringField(),
        "subject": fields.StringField(default=""),  # of a server, guest or claim: its uuid
        "sentence": fields.StringField(),
        "repaired": fields.BooleanField(default=False),
    }
