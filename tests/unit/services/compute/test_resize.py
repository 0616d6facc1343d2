"""The steps of a cold move on one host: each is done once, and told as often as it is asked for."""

from typing import cast

import pytest

from common import clock
from common import context
from common import errors
from common import objects
from common.config import load
from rpc import bus
from services.compute import cache
from services.compute import concurrency
from services.compute import resize
from services.compute.deps import Deps
from services.compute.reporter import Reporter
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world
from tests import factories
from tests import waiting

STEP = "confirm_resize"
METHOD = "discard"
ADMIN = context.admin()


class Counting(driver.Driver):
    """A driver that counts how often it discards."""

    done = 0

    def discard(self, instance: objects.Instance, cold: objects.ColdMove) -> None:
        """Count it, and do it."""
        self.done += 1
        super().discard(instance, cold)


class Source:
    """host1, which keeps a guest, and what it reports."""

    def __init__(self, folder) -> None:
        conf = load.private({"host": "host1", "image.cache": str(folder)})
        self.world = world.World(clock.SystemClock())
        self.reports: list[objects.StepReport] = []
        self.server = factories.instance()
        self.move = factories.migration(
            type="resize", status="confirming", destination="host2", cold=factories.cold_move()
        )
        self.driver = Counting(conf, self.world)
        self.resizes = resize.Resizes(
            Deps(
                conf,
                self.driver,
                cache.Cache(conf),
                concurrency.plain(),
                cast("Reporter", self),
                cast("bus.Bus", None),
                clock.SystemClock(),
            )
        )

    def step(self, _context: context.Context, report: objects.StepReport) -> None:
        """Take a report as the conductor would."""
        self.reports.append(report)

    def forget(self, _uuid: str) -> None:
        """Drop the progress of a step that has ended."""

    def tell(self, name: str = STEP, **values: object) -> None:
        """Tell the host a step."""
        self.resizes.start(ADMIN, self.server, self.move.replace(**values), name)

    def reported(self, times: int) -> objects.StepReport:
        """Wait for so many reports, and give the last."""
        waiting.until(lambda: len(self.reports) >= times, f"{times} reports have come")
        return self.reports[-1]


@pytest.fixture
def source(tmp_path) -> Source:
    return Source(tmp_path)


def test_step_is_done_and_reported(source):
    source.tell()

    told = source.reported(1)

    assert (source.move.uuid, STEP, "host1") == (told.migration_uuid, told.step, told.host)
    assert told.error_code is None
    assert source.move.cold == told.cold


def test_step_that_is_told_again_is_reported_again_and_done_once(source):
    """The first report may have been lost."""
    source.tell()
    first = source.reported(1)

    source.tell()

    assert first == source.reported(2)
    assert 1 == source.driver.done


def test_step_that_goes_on_is_left_alone(source):
    """Told twice, it is reported once."""
    held = source.world.hold("host1", METHOD)
    source.tell()
    waiting.until(held.begun.is_set, "the step has begun")

    source.tell()
    held.go.set()

    source.reported(1)
    assert (1, 1) == (source.driver.done, len(source.reports))


def test_step_of_a_later_generation_is_another_one(source):
    source.tell()
    source.reported(1)

    source.tell(generation=1)

    assert 1 == source.reported(2).generation
    assert 2 == source.driver.done


def test_step_that_failed_is_done_again(source):
    """Its report has the code and the sentence."""
    source.world.plant("host1", METHOD, errors.HypervisorError("not now"))
    source.tell()
    failed = source.reported(1)

    source.tell()

    assert (errors.HypervisorError.code, "not now") == (failed.error_code, failed.error_message)
    assert source.reported(2).error_code is None


def test_what_nobody_expected_is_told_without_a_traceback(source):
    """The sentence names the step and the host whose log has the reason."""
    source.world.plant("host1", METHOD, ZeroDivisionError("division by zero"))
    source.tell()

    told = source.reported(1)

    assert f"{STEP} failed unexpectedly: ZeroDivisionError" in told.error_message
    assert "the log of host1" in told.error_message


def test_only_copies_can_be_stopped(source):
    """Before, after, and while something else is done."""
    held = source.world.hold("host1", METHOD)
    with pytest.raises(errors.WrongState, match="copies nothing here"):
        source.resizes.abort(source.move.uuid)
    source.tell()
    waiting.until(held.begun.is_set, "the step has begun")

    with pytest.raises(errors.WrongState, match="copies nothing here"):
        source.resizes.abort(source.move.uuid)
    held.go.set()
    source.reported(1)


def test_only_so_many_steps_are_remembered(source, monkeypatch):
    """The oldest is forgotten; a repeat of it is done again, which is allowed."""
    monkeypatch.setattr(resize, "REMEMBERED", 1)
    for generation in (0, 1, 0):
        before = len(source.reports)
        source.tell(generation=generation)
        source.reported(before + 1)

    assert 3 == source.driver.done
