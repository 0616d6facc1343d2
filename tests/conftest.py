"""What every test may rely on, and the rule that CI skips nothing."""

import logging
import os
from collections.abc import Generator
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.databases", "tests.integration.labs"]


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo the logging that a process's `main` sets up: its stream ends with the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where CI is set: what CI needs may not be skipped there."""
    if not os.environ.get("CI") or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"skipped where CI is set, which counts as a failure: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Refuse the skip of a test."""
    report = yield
    _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse the skip of a module."""
    report = yield
    _refuse(report)
    return report
