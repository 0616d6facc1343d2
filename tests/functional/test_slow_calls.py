"""A conductor whose every worker waits for the checks of a move goes on with everything else."""

from concurrent import futures
from typing import Any

import pytest

from common import states
from tests import invariants
from tests import stage as stages

ONE_WORKER: dict[str, Any] = {"conductor.workers": 1}


@pytest.fixture
def stage(tmp_path):
    """Hosts with a conductor of one worker."""
    with stages.running(tmp_path, **ONE_WORKER) as stage:
        yield stage
        invariants.hold(stage)
        stage.clear()


def test_reports_are_taken_while_a_user_waits_for_checks(stage):
    """A build is ordered, done and reported while the one worker for such calls is taken."""
    server = stage.boot()
    held = stage.world.hold("host2", "check_destination")
    with futures.ThreadPoolExecutor(1) as user:
        waiting = user.submit(stage.migrate, server.uuid, "host2")
        assert held.begun.wait(stages.PATIENCE)

        other = stage.boot()

        assert states.Vm.ACTIVE == other.vm_state
        assert not waiting.done()
        held.go.set()
        assert states.Move.COMPLETED == stage.ended(waiting.result()).status
