"""The files that are made from the code: `make docs` writes them, a test compares them.

The wire lock holds a line per RPC method and per object, with its version. A
line that changes while its version stays is refused: services of the last
release would misunderstand it. Before the first release, `--rewrite` writes
it all the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import sys
from typing import Any
from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_versionedobjects import base as versioned
from oslo_versionedobjects import fields as versioned_fields

from common import objects
from common import states
from rpc import compute
from rpc import conductor
from rpc import interface
from rpc import scheduler
from services.manage import sample as manage

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[1]
SAMPLE = "deploy/config/whimbrel.conf.sample"
STATES = "doc/states.md"
WIRE = "rpc/versions.lock"
INTERFACES = (conductor.Conductor, scheduler.Scheduler, compute.Compute)


def sample() -> str:
    """Give every option with its help and default, commented out."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        manage.run(cfg.ConfigOpts(), argparse.Namespace())
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines()) + "\n"


def wire() -> str:
    """Give the fingerprint of everything that crosses the bus."""
    return "\n".join([*_methods(), *_objects()]) + "\n"


def diagrams() -> str:
    """Draw which status may follow which, for each kind of move."""
    parts = ["# States of a move", "", "Generated from `common/states.py` by `make docs`.", ""]
    for title, table in (("Live", states.LIVE), ("Cold and resize", states.COLD)):
        parts += [f"## {title}", "", "```mermaid", "stateDiagram-v2", *_arrows(table), "```", ""]
    parts += ["## Operations on a server that stays", "", *_operations()]
    return "\n".join(parts) + "\n"


FILES: dict[str, Callable[[], str]] = {SAMPLE: sample, STATES: diagrams, WIRE: wire}


def unversioned(before: str, now: str) -> list[str]:
    """Give the names whose fingerprint changed while their version did not."""
    old, new = _rows(before), _rows(now)
    return sorted(
        name
        for name in old.keys() & new.keys()
        if old[name] != new[name] and old[name][0] == new[name][0]
    )


def main(arguments: list[str]) -> None:
    """Write every generated file, or refuse the one that breaks a promise."""
    locked = ROOT / WIRE
    changed = unversioned(locked.read_text() if locked.exists() else "", wire())
    if changed and "--rewrite" not in arguments:
        raise SystemExit(f"give a new VERSION to what changed on the wire: {', '.join(changed)}")
    for name, make in FILES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make())


def _rows(text: str) -> dict[str, tuple[str, str]]:
    """Read a lock: {name: (version, the rest)}."""
    found = {}
    for line in text.splitlines():
        name, version, rest = line.split(" ", 2)
        found[name] = (version, rest)
    return found


def _methods() -> Iterator[str]:
    for kind in INTERFACES:
        for line in interface.fingerprint(kind):
            yield f"{kind.TOPIC}.{line.partition('(')[0]} {kind.VERSION} {line}"


def _objects() -> Iterator[str]:
    for name in sorted(versioned.VersionedObjectRegistry.obj_classes()):
        kind = getattr(objects, name, None)
        if kind is None:  # other libraries register objects too
            continue
        fields = sorted(f"{field}: {_field(value)}" for field, value in kind.fields.items())
        yield f"{name} {kind.VERSION} {', '.join(fields)}"


def _field(field: versioned_fields.Field[Any]) -> str:
    """Describe a field, with the type of its elements that its own words leave out."""
    words = repr(field).replace(f"default={versioned_fields.UnspecifiedDefault}", "required")
    inner = getattr(field, "_type", None)
    element = getattr(inner, "_element_type", None)
    return f"{words} of {_field(element)}" if element else words + getattr(inner, "_obj_name", "")


def _arrows(table: dict[states.Move, frozenset[states.Move]]) -> Iterator[str]:
    yield f"    [*] --> {_label(states.Move.ACCEPTED)}"
    for before, following in table.items():
        for after in sorted(following):
            yield f"    {_label(before)} --> {_label(after)}"
    for end in sorted(states.TERMINAL & frozenset().union(*table.values())):
        yield f"    {_label(end)} --> [*]"


def _label(status: states.Move) -> str:
    """Give a name that mermaid takes for a state."""
    return status.name.lower()


def _operations() -> Iterator[str]:
    yield "| operation | allowed in | task meanwhile | state after |"
    yield "|---|---|---|---|"
    for name, row in states.OPERATIONS.items():
        allowed = ", ".join(sorted(row.allowed))
        yield f"| {name} | {allowed} | {row.during} | {row.then} |"


if __name__ == "__main__":
    main(sys.argv[1:])
