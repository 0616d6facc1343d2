"""What pre-checks of a move answer."""

from __future__ import annotations

from oslo_versionedobjects import fields
from oslo_versionedobjects.base import VersionedObjectRegistry

from common.objects import base
from common.objects.migration import LibvirtLiveMigrateData  # noqa: F401 - the field's type for mypy


@VersionedObjectRegistry.register
class CheckResult(base.Value):
    """One check's answer about one destination."""

    VERSION = "1.0"
    fields = {
        "name": fields.StringField(),
        "host": fields.StringField(),  # the destination, whoever looked
        "verdict": fields.StringField(),  # states.Verdict
        "reason": fields.StringField(default=""),
        "code": fields.StringField(default=""),  # of a fail: the error's
    }


@VersionedObjectRegistry.register
class CheckReport(base.Value):
    """All that one of the two hosts answered, and what it found out for the other."""

    VERSION = "1.0"
    fields = {
        "data": fields.ObjectField("LibvirtLiveMigrateData"),
        "results": fields.ListOfObjectsField("CheckResult", default=[]),
    }
