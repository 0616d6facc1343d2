"""The tree as text, for tests of its shape."""

import ast
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = ("common", "rpc", "services", "deploy", "tests")


class Module(NamedTuple):
    """One Python file of the project."""

    name: str
    text: str
    tree: ast.Module

    @property
    def migration(self) -> bool:
        """Whether this is a database migration, which lists a schema once and for all."""
        return "/migrations/versions/" in self.name


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    return list(_modules())


def _modules() -> Iterator[Module]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            yield Module(str(path.relative_to(ROOT)), text, ast.parse(text))
