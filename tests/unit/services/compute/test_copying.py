"""The copy of a cold move: it keeps to its bandwidth, goes on where it broke, and is checked."""

import threading
from typing import cast

import pytest

from common import clock
from common import errors
from common import objects
from services.compute import copying
from services.compute.deps import Deps
from tests import factories

MIB = copying.MIB
DISK = objects.CopyFile(name="disk", path="/here/disk", size=3 * MIB, allocated=2 * MIB)


class Job:
    """A copy in its thread: done, with these sums or this error."""

    def __init__(self, ended: list[str] | errors.Error) -> None:
        self._ended = ended

    def wait(self, _seconds: float) -> bool:
        """It has ended."""
        return True

    def result(self) -> list[str]:
        """Give or raise how it ended."""
        if isinstance(self._ended, errors.Error):
            raise self._ended
        return self._ended


class Ground:
    """Two hosts: the driver of this one, and what has landed at the other."""

    def __init__(self) -> None:
        self.clock = clock.HeldClock()
        self.peer = self.driver = self.threads = self.reporter = self
        self.conf = self.compute = self
        self.shutdown_timeout = 60
        self.there: list[str] = []
        self.attempts: list[list[str] | errors.Error] = []
        self.silences: list[errors.Error] = []
        self.lands: list[list[str]] = []
        self.had: list[list[str]] = []
        self.told: list[objects.MigrationProgress] = []
        self.bytes = 2 * MIB

    def __call__(self, _host: str) -> "Ground":
        """Give the destination's client."""
        return self

    def start(self, _copy, _instance, _cold, _file, have, sent) -> Job:
        """Send the file in one piece."""
        self.had.append(have)
        sent(self.bytes)
        ended = self.attempts.pop(0)
        if self.lands:
            self.there = self.lands.pop(0)
        return Job(ended)

    def copy(self) -> None:
        """Is never called here: start() stands for the thread that would."""
        raise AssertionError

    def landed(self, *_which: object) -> list[str]:
        """Give what is at the destination, unless it has died meanwhile."""
        if self.silences:
            raise self.silences.pop()
        return self.there

    def post(self, progress: objects.MigrationProgress) -> None:
        """Take a look at how far it is."""
        self.told.append(progress)


@pytest.fixture
def ground(monkeypatch) -> Ground:
    """Hosts between which nobody waits for a link to come back."""
    monkeypatch.setattr(copying, "FIRST", 0)
    return Ground()


def bring(ground: Ground) -> copying.Copying:
    """Copy one disk."""
    move = factories.migration(type="resize", destination="host2")
    cold = factories.cold_move(migration_uuid=move.uuid)
    deps = cast("Deps", ground)
    made = copying.Copying(deps, factories.instance(), move, cold, threading.Event())
    made._bring([DISK])
    return made


def test_file_that_lands_as_it_is_has_arrived(ground):
    ground.attempts, ground.lands = [["a", "b"]], [["a", "b"]]

    bring(ground)

    last = ground.told[-1]
    assert [[]] == ground.had
    assert (2 * MIB, 2 * MIB, 0) == (last.disk_processed, last.disk_total, last.disk_remaining)


def test_broken_copy_goes_on_where_it_broke(ground):
    """What had landed is not sent again, nor counted twice."""
    ground.attempts = [errors.NoAnswer("the link broke"), ["a", "b"]]
    ground.lands = [["a"], ["a", "b"]]

    made = bring(ground)

    assert [[], ["a"]] == ground.had
    assert 2 * MIB == made._meter.done


def test_destination_that_dies_while_it_is_asked_is_asked_again(ground):
    """Nothing was sent yet that would be sent twice."""
    ground.silences = [errors.NoAnswer("it gave no sign of life")]
    ground.attempts, ground.lands = [["a", "b"]], [["a", "b"]]

    bring(ground)

    assert [[]] == ground.had


def test_damaged_chunk_is_sent_again(ground):
    """The second try is told which chunks are there, and mends the other."""
    ground.attempts = [["a", "b"], ["a", "b"]]
    ground.lands = [["a", "x"], ["a", "b"]]

    bring(ground)

    assert [[], ["a", "x"]] == ground.had


def test_copy_that_never_lands_whole_fails_with_numbers(ground):
    ground.attempts = [["a", "b"]] * copying.TRIES
    ground.lands = [["a", "x"]] * copying.TRIES

    with pytest.raises(errors.MoveFailed, match=r"disk does not arrive.* 1 of 2 chunks"):
        bring(ground)


def test_missing_end_is_damage(ground):
    """A file that is shorter at the destination is not the same."""
    ground.attempts = [["a", "b"]] * copying.TRIES
    ground.lands = [["a"]] * copying.TRIES

    with pytest.raises(errors.MoveFailed, match="1 of 2 chunks"):
        bring(ground)


def test_refusal_is_no_broken_link(ground):
    """A full disk is not tried again."""
    ground.attempts = [errors.NoDiskSpace("host2 is full")]

    with pytest.raises(errors.NoDiskSpace):
        bring(ground)

    assert 1 == len(ground.had)


class Waiting(copying.Meter):
    """A meter whose waits move the held clock."""

    def __init__(self, held: clock.HeldClock, bandwidth: int) -> None:
        super().__init__(held, bandwidth, threading.Event())
        self._held = held
        self.longest = 0.0

    def _wait(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self._held.advance(seconds)


@pytest.mark.parametrize(("bandwidth", "seconds"), [(0, 0.0), (10, 3.0), (100, 0.3)])
def test_meter_keeps_to_its_bandwidth(bandwidth, seconds):
    """Thirty MiB take so long; without a bandwidth nobody waits."""
    meter = Waiting(clock.HeldClock(), bandwidth)

    for _ in range(30):
        meter.sent(MIB)

    assert seconds == pytest.approx(meter.seconds())
    assert 30 * MIB == meter.done


def test_meter_waits_in_short_turns():
    """So that an abort is heard within a second."""
    meter = Waiting(clock.HeldClock(), 1)

    meter.sent(60 * MIB)

    assert 1.0 == meter.longest


def test_slow_link_is_not_held_up():
    """Nobody waits who is behind his bandwidth."""
    held = clock.HeldClock()
    meter = Waiting(held, 10)
    held.advance(60)

    meter.sent(MIB)

    assert 0.0 == meter.longest


def test_aborted_meter_ends_the_copy():
    aborted = threading.Event()
    meter = copying.Meter(clock.HeldClock(), 0, aborted)
    aborted.set()

    with pytest.raises(errors.MoveAborted):
        meter.sent(1)

    assert 0 == meter.done
