"""The machine that runs the tests: what a developer's lacks skips them, what CI's lacks fails."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacks(what: str) -> NoReturn:
    """Skip the test, or have it fail where `CI` is set: there everything has to run."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
