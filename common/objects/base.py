"""The base of every versioned value.

A change of fields raises VERSION's minor number and adds fields only, with a
default. Then both directions hold: an older message is filled up by
`upgrade`, and a newer sender can speak one version back with `downgrade`.
"""

from __future__ import annotations

from typing import Any
from typing import ClassVar
from typing import Self

from oslo_versionedobjects import base
from oslo_versionedobjects import exception


class Value(base.VersionedObject, base.ComparableVersionedObject):
    """A value on the wire: compared by content, made whole, never saved.

    `ADDED` names, per version, the fields that came with it and their defaults.
    """

    OBJ_PROJECT_NAMESPACE = "whimbrel"
    OBJ_SERIAL_NAMESPACE = "whimbrel"
    VERSION = "1.0"
    ADDED: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - a field takes what it coerces
        """Set the given fields; others take their default, a nullable one None."""
        super().__init__(**values)
        self.obj_set_defaults()
        for name, field in self.fields.items():
            if field.nullable and not self.obj_attr_is_set(name):
                setattr(self, name, None)

    def replace(self, **values: Any) -> Self:  # noqa: ANN401 - a field takes what it coerces
        """Give a copy with other values in these fields."""
        copy = self.obj_clone()
        for name, value in values.items():
            setattr(copy, name, value)
        copy.obj_reset_changes()
        return copy

    def obj_make_compatible(self, primitive: dict[str, Any], target_version: str) -> None:
        """Take out what the target version does not know yet; values inside are left alone."""
        for version, added in self.ADDED.items():
            if _number(version) > _number(target_version):
                for name in added:
                    primitive.pop(name, None)

    @classmethod
    def obj_class_from_name(cls, objname: str, objver: str) -> type[Any]:
        """Find the class; any minor version of the same major one will do."""
        try:
            found: type[Any] = super().obj_class_from_name(objname, objver)
        except exception.IncompatibleObjectVersion as wrong:
            if _number(objver)[0] != _number(wrong.kwargs["supported"])[0]:
                raise
            found = super().obj_class_from_name(objname, wrong.kwargs["supported"])
        return found

    @classmethod
    def _obj_from_primitive(cls, context: object, objver: str, primitive: dict[str, Any]) -> Self:
        """Read the fields this version knows; the missing ones have their defaults."""
        found: Self = super()._obj_from_primitive(context, objver, primitive)
        found.VERSION = cls.VERSION
        return found


def downgrade(primitive: dict[str, Any], version: str) -> dict[str, Any]:
    """Give a value that is on the wire already as an older version knows it."""
    (kind,) = base.VersionedObjectRegistry.obj_classes()[primitive["whimbrel.name"]]
    data = dict(primitive["whimbrel.data"])
    kind().obj_make_compatible(data, version)
    changes = [name for name in primitive.get("whimbrel.changes", []) if name in data]
    return {
        **primitive,
        "whimbrel.version": version,
        "whimbrel.data": data,
        "whimbrel.changes": changes,
    }


def _number(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
