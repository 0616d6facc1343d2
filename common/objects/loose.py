"""Plain JSON on the wire, where its shape is written elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oslo_versionedobjects import fields

if TYPE_CHECKING:
    from oslo_versionedobjects import base


class Reasons(fields.FieldType[dict[str, list[dict[str, str]]]]):
    """The reasons of refused hosts, as common.reasons writes them."""

    def coerce(
        self, obj: base.VersionedObject | None, attr: str, value: object
    ) -> dict[str, list[dict[str, str]]]:
        """Take a dictionary as it is."""
        del obj
        if not isinstance(value, dict):
            raise TypeError(f"{attr} is a dictionary, not {value!r}")
        return value


class ReasonsField(fields.AutoTypedField[dict[str, list[dict[str, str]]]]):
    """A field that holds {host: [{"filter": ..., "reason": ...}]}."""

    AUTO_TYPE = Reasons()


class ScoresField(fields.AutoTypedField[dict[str, float]]):
    """A field that holds numbers by name."""

    AUTO_TYPE = fields.Dict(fields.Float())
