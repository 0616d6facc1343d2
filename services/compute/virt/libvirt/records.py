"""What one move made on this host, written down before it is made.

A record says what a later undo() or leave() of that move may remove. Without
one nothing is removed, so that a late or repeated message does no harm.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from common import errors
from common import ids


class Role(StrEnum):
    """This host's part in the move."""

    COMING = "move"
    LEAVING = "leave"
    COLD = "cold"


class Record(NamedTuple):
    """One move's mark on this host; `paths` are its directories and files."""

    migration: str
    instance: str
    paths: list[str]


def write(instances: Path, role: Role, record: Record) -> None:
    """Keep a record, whole or not at all."""
    target = _path(instances, role, record.migration)
    fresh = target.with_suffix(".new")
    try:
        fresh.write_text(json.dumps(record._asdict()))
        fresh.rename(target)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def read(instances: Path, role: Role, migration: str) -> Record | None:
    """Give the move's record, or None when it made nothing here or it was all removed."""
    return _load(_path(instances, role, migration))


def drop(instances: Path, role: Role, migration: str) -> None:
    """Forget the move; a repeat is fine."""
    _path(instances, role, migration).unlink(missing_ok=True)


def drop_all(instances: Path, role: Role, instance: str, *, but: str = "") -> None:
    """Forget every move of one server in which this host had that role, `but` the one named."""
    for path in instances.glob(f".whimbrel-{role}-*.json"):
        record = _load(path)
        if record is not None and record.instance == instance and record.migration != but:
            path.unlink(missing_ok=True)


def any_of(instances: Path, role: Role) -> bool:
    """Tell whether any move has this host in that role."""
    return any(instances.glob(f".whimbrel-{role}-*.json"))


def _path(instances: Path, role: Role, migration: str) -> Path:
    if not ids.is_uuid(migration):
        raise errors.Invalid(f"{migration!r} is no migration id")
    return instances / f".whimbrel-{role}-{migration}.json"


def _load(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
