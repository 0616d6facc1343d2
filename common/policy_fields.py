"""The fields of a migration policy as people write them: allowed values, ranges, units."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from common import errors

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})


class Whole(NamedTuple):
    """A whole number within a range."""

    least: int
    most: int
    unit: str

    @property
    def allowed(self) -> str:
        """What may be written."""
        return f"a whole number from {self.least} to {self.most} ({self.unit})"

    def read(self, given: object) -> int:
        """Read a number, or raise ValueError or TypeError."""
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise TypeError
        number = int(given)
        if not self.least <= number <= self.most:
            raise ValueError
        return number


class Rungs(NamedTuple):
    """Whole numbers that rise, as a list or with commas between them."""

    each: Whole

    @property
    def allowed(self) -> str:
        """What may be written."""
        return f"rising numbers, like 100,150,200, each {self.each.allowed}"

    def read(self, given: object) -> list[int]:
        """Read the rungs, or raise ValueError or TypeError; none is fine."""
        if isinstance(given, str):
            given = [part for part in given.split(",") if part.strip()]
        if not isinstance(given, list | tuple):
            raise TypeError
        rungs = [self.each.read(part) for part in given]
        if rungs != sorted(rungs):
            raise ValueError
        return rungs


class Word(NamedTuple):
    """One of several words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What may be written."""
        return " or ".join(self.words)

    def read(self, given: object) -> str:
        """Read a word, or raise ValueError."""
        if given not in self.words:
            raise ValueError
        return str(given)


class Flag(NamedTuple):
    """Yes or no."""

    allowed: str = "true or false"

    def read(self, given: object) -> bool:
        """Read a flag, or raise ValueError."""
        if isinstance(given, bool):
            return given
        word = str(given).strip().lower()
        if word not in TRUE | FALSE:
            raise ValueError
        return word in TRUE


Kind = Whole | Rungs | Word | Flag

DOWNTIME = Whole(10, 60_000, "ms")
PERCENT = Whole(1, 99, "percent")
WEEK = 7 * 24 * 3600

FIELDS: Mapping[str, Kind] = types.MappingProxyType(
    {
        "downtime_ms": DOWNTIME,
        "ladder": Rungs(DOWNTIME),
        "completion_timeout": Whole(0, WEEK, "s, 0 for none"),
        "completion_timeout_per_gib": Whole(0, WEEK, "s, 0 for none"),
        "on_timeout": Word(("abort", "post-copy", "pause")),
        "auto_converge": Flag(),
        "auto_converge_initial": PERCENT,
        "auto_converge_increment": PERCENT,
        "post_copy": Word(("never", "on-timeout", "on-stall")),
        # Auto-converge acts every iteration or 5 s: a shorter window would not see it work.
        "stall_window": Whole(10, 3600, "s"),
        "allow_paused": Flag(),
        "parallel_connections": Whole(1, 255, "connections"),
        "bandwidth": Whole(0, 1_000_000, "MiB/s, 0 without limit"),
        "compression": Word(("none", "xbzrle", "zlib", "zstd")),
        "tls": Flag(),
    }
)


def read(name: str, given: object, said: str) -> Any:  # noqa: ANN401 - each field has its own type
    """Read one field's value, or raise Invalid; `said` names the field as its author knows it."""
    kind = FIELDS[name]
    try:
        return kind.read(given)
    except (TypeError, ValueError):
        raise errors.Invalid(f"{said} is {given!r}; allowed is {kind.allowed}") from None


def write(value: object) -> str:
    """Write a field's value as `read` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
