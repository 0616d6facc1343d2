"""What every command shares: the API it asks, and columns declared as tables."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import cast
from typing import Protocol

from cliff import columns
from cliff import command
from cliff import lister
from cliff import show

from services.cli import api

Column = tuple[str, Callable[[api.Row], object]]
Listed = tuple[Sequence[str], Iterable[Sequence[object]]]
Shown = tuple[Sequence[str], Iterable[object]]


class Program(Protocol):
    """What commands need of the application that runs them."""

    client: api.Api


class Asking(command.Command):
    """A command that talks to the API."""

    @property
    def client(self) -> api.Api:
        """The API named by the command line or the environment."""
        return cast("Program", self.app).client

    def get_epilog(self) -> str:
        """Give no text below the options; cliff's own way reads every installed package."""
        return ""

    def note(self, words: str) -> None:
        """Tell the person something that is not the result: on the error stream."""
        print(words, file=self.app.stderr)


class Act(Asking):
    """A command whose result is its exit status."""


class List(Asking, lister.Lister):
    """A command that prints rows."""


class Show(Asking, show.ShowOne):
    """A command that prints one object."""


class Pairs(columns.FormattableColumn[dict[str, object]]):
    """A mapping: one `name=value` a line for people, itself for programs."""

    def human_readable(self) -> str:
        """Give sorted lines."""
        return "\n".join(f"{name}={value}" for name, value in sorted(self._value.items()))


class Lines(columns.FormattableColumn[list[str]]):
    """Several texts: one a line for people, a list for programs."""

    def human_readable(self) -> str:
        """Give the lines."""
        return "\n".join(self._value)


def at(*path: str) -> Callable[[api.Row], object]:
    """Make a column's reader of a value some keys deep; None where a key is absent."""

    def read(row: api.Row) -> object:
        value: object = row
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return read


def listed(table: Sequence[Column], rows: Iterable[api.Row]) -> Listed:
    """Give cliff the header and the cells of a list."""
    return [name for name, _ in table], [[read(row) for _, read in table] for row in rows]


def shown(table: Sequence[Column], row: api.Row) -> Shown:
    """Give cliff the names and values of one object."""
    return [name for name, _ in table], [read(row) for _, read in table]


def lower(table: Sequence[Column]) -> Sequence[Column]:
    """Give the columns of a list under the names that one object shows."""
    return [(name.lower().replace(" ", "_"), read) for name, read in table]
