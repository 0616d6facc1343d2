"""What a machine lacks: a developer's tests are skipped for it, CI's fail."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip the test, or have it fail where `CI` is set: there everything has to run."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
