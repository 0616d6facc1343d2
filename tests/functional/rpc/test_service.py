"""A service reports while it serves: seen by the conductor's real tables over the bus."""

import pathlib

import pytest
import tenacity

from common.db import services
from services import together

SOON = tenacity.retry(
    wait=tenacity.wait_fixed(0.05), stop=tenacity.stop_after_delay(20), reraise=True
)


@pytest.fixture
def running(tmp_path):
    with together.running(pathlib.Path(tmp_path), hosts=["host1"]) as found:
        yield found


@SOON
def all_up(running) -> set[str]:
    """Give the services that are up, once the three kinds have reported."""
    with running.database.read() as tx:
        found = services.all(tx, running.world.clock.now(), 30)
    names = {service.binary for service in found if service.up}
    assert 3 == len(names)
    return names


def test_every_service_reports_itself(running):
    assert {"nova-conductor", "nova-scheduler", "nova-compute"} == all_up(running)
