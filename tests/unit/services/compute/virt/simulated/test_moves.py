"""Moves of simulated guests under orders: the same contract that real ones obey."""

import contextlib
import threading
import time

import pytest

from common import clock
from common import errors
from common import ids
from common import objects
from common import states
from common.config import load
from services.compute.virt import local
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world
from tests import factories

PATIENCE = 10
NO_FILES = local.Files(None, None, None)
BUSY = factories.policy(bandwidth=64, post_copy="on-timeout")


class Move:
    """One move from host1 to host2, in a thread."""

    def __init__(self, **policy) -> None:
        self.world = world.World(clock.SystemClock())
        self.host1, self.host2 = (self._driver(name) for name in ("host1", "host2"))
        self.server = factories.instance(flavor=factories.flavor(memory_mb=256), run_token="run")
        self.host1.build(self.server, NO_FILES)
        self.guest = self.world.host("host1").guests[self.server.uuid]
        self.policy = BUSY.replace(**policy)
        self.data = objects.LibvirtLiveMigrateData(
            migration_uuid=ids.new(), destination_address="host2"
        )
        self.end = None
        self._thread = threading.Thread()

    def start(self, verb="migrate"):
        """Begin, and see the job."""
        act = getattr(self.host1, verb)
        self._thread = threading.Thread(
            target=lambda: setattr(self, "end", act(self.server, self.data, self.policy))
        )
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while self._thread.is_alive() and not self.host1._jobs and time.monotonic() < deadline:
            self._thread.join(0.01)
        return self

    def wait(self):
        """Give the job's end."""
        self._thread.join(PATIENCE)
        return self.end

    def _driver(self, name):
        return driver.Driver(
            load.private({"host": name, "compute.driver": "simulated"}), self.world
        )


@pytest.fixture
def move():
    return Move()


def test_guest_that_writes_fast_arrives_by_post_copy_only(move):
    """It runs at the destination from the switch on, and nothing can be undone from then."""
    move.guest.dirty_mib = 100
    move.start()

    move.host1.post_copy(move.server.uuid)
    progress = move.host1.job(move.server.uuid)
    with pytest.raises(errors.WrongState, match="post-copy"):
        move.host1.abort(move.server.uuid)
    move.host1.set_bandwidth(move.server.uuid, 0)

    assert progress.post_copy
    assert (True, False) == (move.wait().gone, move.end.broken)
    assert ["host2"] == move.world.running(move.server.uuid)


def test_broken_move_waits_and_is_recovered(move):
    """A guest whose link is cut in post-copy stands still, and counts on afterwards."""
    move.start()
    move.host1.post_copy(move.server.uuid)
    move.world.cut.add("host2")
    broken = move.wait()
    waiting = move.guest.power
    still = move.start("recover").wait()
    move.world.cut.clear()
    move.policy = move.policy.replace(bandwidth=0)
    again = move.start("recover")
    with contextlib.suppress(errors.WrongState):
        move.host1.set_bandwidth(move.server.uuid, 0)

    assert (False, True) == (broken.gone, broken.broken)
    assert states.Power.PAUSED == waiting
    assert still.broken
    assert (True, False) == (again.wait().gone, again.end.broken)
    assert states.Power.RUNNING == move.guest.power
    with pytest.raises(errors.WrongState):
        move.host1.recover(move.server, move.data, move.policy)


@pytest.mark.parametrize("help_", ["bandwidth", "downtime", "pause"])
def test_busy_guest_is_helped_under_way(move, help_):
    """More bandwidth, more downtime, or standing still: each lets it arrive."""
    move.guest.dirty_mib = 60
    move.start()
    uuid = move.server.uuid

    {
        "bandwidth": lambda: move.host1.set_bandwidth(uuid, 0),
        "downtime": lambda: move.host1.set_downtime(uuid, 5000),
        "pause": lambda: move.host1.pause(move.server),
    }[help_]()

    assert move.wait().gone


def test_end_of_a_job_is_news(move):
    """Who waits is woken; and without a job time passes."""
    move.start()
    move.host1.set_bandwidth(move.server.uuid, 0)

    assert move.host1.wait_job(move.server.uuid, PATIENCE)
    assert move.wait().gone
    assert not move.host1.wait_job(move.server.uuid, 0.01)


@pytest.mark.parametrize("order", ["post_copy", "abort"])
def test_order_without_a_job_is_refused(move, order):
    """Too early or too late."""
    with pytest.raises(errors.WrongState):
        getattr(move.host1, order)(move.server.uuid)


def test_move_that_began_without_post_copy_cannot_switch():
    """Its terms said so."""
    move = Move(post_copy="never").start()

    with pytest.raises(errors.WrongState, match="without"):
        move.host1.post_copy(move.server.uuid)
    move.host1.abort(move.server.uuid)
    assert move.wait().cancelled
