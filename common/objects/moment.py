"""A time on the wire with its microseconds: steps of a move last milliseconds."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from oslo_versionedobjects import fields

if TYPE_CHECKING:
    from oslo_versionedobjects import base


class Moment(fields.DateTime):
    """ISO 8601 text with microseconds; oslo's own field cuts them off."""

    def to_primitive(self, obj: base.VersionedObject, attr: str, value: datetime.datetime) -> str:
        """Give the text, in UTC."""
        del obj, attr
        return value.astimezone(datetime.UTC).isoformat(timespec="microseconds")

    def from_primitive(
        self, obj: base.VersionedObject, attr: str, value: object
    ) -> datetime.datetime:
        """Read the text."""
        del obj, attr
        return datetime.datetime.fromisoformat(str(value))


class MomentField(fields.AutoTypedField[datetime.datetime]):
    """A field that holds a time in UTC."""

    AUTO_TYPE = Moment()
