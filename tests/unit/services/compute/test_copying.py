"""The copy of a cold move: it keeps to its bandwidth, goes on where it broke, and is checked."""

import threading
from typing import cast

import pytest

from common import clock
from common import errors
from common import objects
from services.compute import copying
from services.compute import pace
from services.compute.deps import Deps
from tests import factories

MIB = 1 << 20
DISK = objects.CopyFile(name="disk", path="/here/disk", size=3 * MIB, allocated=2 * MIB)


class Job:
    """What goes on in another thread: done, with these sums or this error."""

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
        self.copy_bandwidth = 0
        self.there: list[str] = []
        self.attempts: list[list[str] | errors.Error] = []
        self.silences: list[errors.Error] = []
        self.lands: list[list[str]] = []
        self.had: list[list[str]] = []
        self.told: list[objects.MigrationProgress] = []
        self.bytes = 2 * MIB
        self.takes = 0.0

    def __call__(self, _host: str) -> "Ground":
        """Give the destination's client."""
        return self

    def spawn(self, ask, *which: object) -> Job:
        """Ask the destination in a thread that ends at once."""
        try:
            return Job(ask(*which))
        except errors.Error as error:
            return Job(error)

    def start(self, _copy, _instance, _cold, _file, have, sent) -> Job:
        """Send the file in one piece."""
        self.had.append(have)
        self.clock.advance(self.takes)
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


def bring(
    ground: Ground, aborted: threading.Event | None = None, bandwidth: int = 0
) -> copying.Copying:
    """Copy one disk."""
    move = factories.migration(type="resize", destination="host2")
    cold = factories.cold_move(migration_uuid=move.uuid, bandwidth=bandwidth)
    deps = cast("Deps", ground)
    made = copying.Copying(deps, factories.instance(), move, cold, aborted or threading.Event())
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


def test_link_that_breaks_late_is_tried_again(ground):
    """However long the copy went well before: patience counts from the last byte."""
    ground.takes = 10 * pace.PATIENCE
    ground.attempts = [errors.Unavailable("the link broke"), ["a", "b"]]
    ground.lands = [["a"], ["a", "b"]]

    bring(ground)

    assert 2 == len(ground.had)


def test_link_that_stays_broken_is_given_up(ground):
    """Nothing more came over since it broke."""
    ground.takes = 0.6 * pace.PATIENCE
    ground.attempts = [errors.Unavailable("the link is gone")] * 9

    with pytest.raises(errors.Unavailable, match="gone"):
        bring(ground)

    assert 3 == len(ground.had)


def test_progress_never_goes_back(ground):
    """Neither when a copy breaks nor when a damaged one is made again."""
    ground.attempts = [["a", "b"], errors.Unavailable("the link broke"), ["a", "b"]]
    ground.lands = [["a", "x"], ["a"], ["a", "b"]]

    bring(ground)

    done = [told.disk_processed for told in ground.told]
    assert sorted(done) == done
    assert {2 * MIB} == {told.disk_total for told in ground.told}
    assert 2 * MIB == done[-1]


def test_time_left_is_told_by_the_rate(ground):
    """Half of it came in four seconds; of a copy that has not begun nothing is known."""
    ground.bytes, ground.takes = MIB, 4.0
    ground.attempts, ground.lands = [["a", "b"]], [["a", "b"]]

    bring(ground)

    told = ground.told[1]
    assert (MIB // 4, 4000, MIB) == (told.rate, told.eta_ms, told.disk_remaining)
    assert ground.told[0].eta_ms is None


@pytest.mark.parametrize(("asked", "waits"), [(0, True), (1000, False)])
def test_bandwidth_of_the_host_is_for_requests_without_one(ground, monkeypatch, asked, waits):
    """A MiB per second is what this host has; the request may say more."""
    waited: list[float] = []
    monkeypatch.setattr(pace.Meter, "_wait", lambda _meter, seconds: waited.append(seconds))
    ground.copy_bandwidth = 1
    ground.attempts, ground.lands = [["a", "b"]], [["a", "b"]]

    bring(ground, bandwidth=asked)

    assert waits == (max(waited) == pace.TURN)


class Hanging(Job):
    """What hangs in a connection whose other end is gone, while a user aborts the move."""

    def __init__(self, aborted: threading.Event) -> None:
        super().__init__([])
        self._aborted = aborted

    def wait(self, _seconds: float) -> bool:
        """Hear of the abort, and nothing else."""
        self._aborted.set()
        return False


@pytest.mark.parametrize("hangs", ["start", "spawn"])
def test_abort_is_heard_while_a_connection_hangs(ground, monkeypatch, hangs):
    """Nobody waits for the end of what hangs: the copy itself, or the destination's answer."""
    aborted = threading.Event()
    monkeypatch.setattr(ground, hangs, lambda *_: Hanging(aborted))

    with pytest.raises(errors.MoveAborted):
        bring(ground, aborted)
