"""Column types that every database takes in the same way."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext import compiler
from sqlalchemy.sql import functions

from common.objects import base


class Moment(sa.types.TypeDecorator[datetime.datetime]):
    """A time: aware in Python, UTC without a zone and with microseconds in the table."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """MySQL and MariaDB drop the fraction of a second unless told otherwise."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: sa.Dialect
    ) -> datetime.datetime | None:
        """Turn any aware time into UTC; a naive one is taken for UTC."""
        if value is None or value.tzinfo is None:
            return value
        return value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: datetime.datetime | None, dialect: sa.Dialect
    ) -> datetime.datetime | None:
        """Say that it is UTC."""
        return None if value is None else value.replace(tzinfo=datetime.UTC)


class Stored(sa.types.TypeDecorator[base.Value]):
    """A versioned object as JSON; an older version of it is still understood when read."""

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: base.Value | None, dialect: sa.Dialect) -> object:
        """Write the object with its name and version."""
        return None if value is None else value.obj_to_primitive()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> base.Value | None:  # noqa: ANN401 - JSON
        """Make the object again."""
        if value is None:
            return None
        found: base.Value = base.Value.obj_from_primitive(value)
        found.obj_reset_changes(recursive=True)
        return found


class Whole(functions.FunctionElement[int]):
    """The integer part of a number: of one below 0, SQLite gives the next above."""

    name = "whole"
    type = sa.Integer()
    inherit_cache = True


@compiler.compiles(Whole)
def _floor(element: Whole, compile_: Any, **options: object) -> str:  # noqa: ANN401 - untyped
    return f"CAST(FLOOR({compile_.process(element.clauses, **options)}) AS INTEGER)"


@compiler.compiles(Whole, "mysql", "mariadb")
def _signed(element: Whole, compile_: Any, **options: object) -> str:  # noqa: ANN401 - untyped
    return f"FLOOR({compile_.process(element.clauses, **options)})"


@compiler.compiles(Whole, "sqlite")
def _cut(element: Whole, compile_: Any, **options: object) -> str:  # noqa: ANN401 - untyped
    return f"CAST({compile_.process(element.clauses, **options)} AS INTEGER)"
