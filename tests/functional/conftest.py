"""One set of services per module, clean for each test, and judged after each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import invariants
from tests import stage as stages


@pytest.fixture(scope="module")
def local_services(tmp_path_factory) -> Iterator[stages.Stage]:
    """Three hosts with local disks; starting and ending them costs seconds."""
    with stages.running(tmp_path_factory.mktemp("local")) as stage:
        yield stage


@pytest.fixture(scope="module")
def shared_services(tmp_path_factory) -> Iterator[stages.Stage]:
    """Three hosts that share their disks; never beside others, for there is one bus."""
    with stages.running(tmp_path_factory.mktemp("shared"), shared_storage=True) as stage:
        yield stage


@pytest.fixture
def stage(local_services) -> Iterator[stages.Stage]:
    """Give empty hosts with local disks; every invariant must hold at the end."""
    yield from _judged(local_services)


@pytest.fixture
def shared_stage(shared_services) -> Iterator[stages.Stage]:
    """Give empty hosts with shared disks; every invariant must hold at the end."""
    yield from _judged(shared_services)


def _judged(stage: stages.Stage) -> Iterator[stages.Stage]:
    yield stage
    try:
        invariants.hold(stage)
    finally:
        stage.clear()
    assert {} == stage.everything_held()
