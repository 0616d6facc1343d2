"""When the streams of a move are ended; what real ones do is in tests/integration."""

from types import SimpleNamespace

import pytest

from common import clock
from common import errors
from common import objects
from services.compute import concurrency
from services.compute import link
from services.compute.virt import driver
from tests import factories

LIMIT = 15
STAYED = driver.JobEnd(False, False, "the stream broke", None, None)
DATA = objects.LibvirtLiveMigrateData(
    migration_uuid="m", destination_address="host2", is_shared=False, block_migration=True
)


class Hypervisor:
    """Counts what goes over the streams as long as they are whole."""

    def __init__(self) -> None:
        self.flows = True
        self.answering = True
        self.moved = 0
        self.refusal: errors.Error | None = None
        self.ended = False

    def traffic(self, _uuid):
        self.moved += self.flows
        return self.moved

    def reaches(self, _data):
        return self.answering

    def cut_off(self, _uuid):
        if self.refusal is not None:
            raise self.refusal
        self.ended = True
        return 1


class Job:
    """Lasts so many looks, or until its streams are ended; a look takes its time."""

    def __init__(self, stage, looks) -> None:
        self.stage = stage
        self.looks = looks

    def wait(self, seconds):
        self.stage.clock.advance(seconds)
        self.looks -= 1
        return self.looks < 0 or self.stage.hypervisor.ended


class Stage:
    """A link between two hosts, and a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = clock.HeldClock()
        self.hypervisor = Hypervisor()
        self.migration = factories.migration(source="host1", destination="host2", data=DATA)
        deps = SimpleNamespace(
            clock=self.clock,
            driver=self.hypervisor,
            threads=concurrency.plain(),
            conf=SimpleNamespace(compute=SimpleNamespace(migration_link_timeout=LIMIT)),
        )
        self.link = link.Link(deps, factories.instance(), self.migration)  # type: ignore[arg-type] # of paper

    def guard(self, looks):
        """Let the job last so many seconds; gives how many it lasted."""
        job = Job(self, looks)
        self.link.guard(job)  # type: ignore[arg-type] # of paper
        return looks - job.looks - 1


@pytest.fixture
def stage():
    return Stage()


def test_streams_that_flow_are_left_alone(stage):
    """However long it takes, and also while the destination does not answer."""
    stage.hypervisor.answering = False

    assert 10 * LIMIT == stage.guard(10 * LIMIT)
    assert not stage.hypervisor.ended


def test_silence_alone_ends_nothing(stage):
    """A guest that waits for its disks sends nothing either."""
    stage.hypervisor.flows = False

    assert 2 * LIMIT == stage.guard(2 * LIMIT)
    assert stage.link.lost is None


def test_dead_link_is_ended_at_its_limit(stage):
    """Nothing goes over it and nobody answers: the reason names hosts and seconds."""
    stage.hypervisor.flows = stage.hypervisor.answering = False

    assert stage.guard(10 * LIMIT) in {LIMIT, LIMIT + 1}
    assert stage.hypervisor.ended
    told = stage.link.explain(STAYED, None)
    assert isinstance(told, errors.LinkLost)
    assert f"between host1 and host2 is dead: for {LIMIT} s" in told.message


def test_guest_that_runs_at_the_destination_keeps_its_streams(stage):
    """They bring the rest of its memory."""
    stage.hypervisor.flows = stage.hypervisor.answering = False
    stage.link.let_be()

    assert 3 * LIMIT == stage.guard(3 * LIMIT)
    assert not stage.hypervisor.ended


@pytest.mark.parametrize(("flows", "most"), [(False, link.STILL), (True, link.OBEY)])
def test_abort_is_helped(stage, flows, most):
    """Soon where nothing goes over the streams, later whatever goes over them."""
    stage.hypervisor.flows = flows
    stage.link.hurry()

    assert stage.guard(10 * LIMIT) in {most, most + 1}
    assert stage.hypervisor.ended


def test_post_copy_that_began_meanwhile_is_left_alone(stage):
    """The hypervisor knows it first."""
    stage.hypervisor.flows = stage.hypervisor.answering = False
    stage.hypervisor.refusal = errors.WrongState("it is in post-copy")

    assert 2 * LIMIT == stage.guard(2 * LIMIT)


def test_trouble_with_a_look_does_not_end_the_watch(stage, monkeypatch):
    """The next look may say more."""

    def broken(_uuid):
        raise errors.HypervisorError("no answer")

    monkeypatch.setattr(stage.hypervisor, "traffic", broken)

    assert 3 == stage.guard(3)


@pytest.mark.parametrize(
    ("error", "answering", "lost"),
    [
        (errors.NoAnswer("silence"), False, True),
        (errors.MoveAborted("by a user"), False, True),
        (errors.NoAnswer("silence"), True, False),
        (errors.NoDiskSpace("it is full"), False, False),
    ],
)
def test_link_is_blamed_for_silence_only(stage, error, answering, lost):
    """A destination that has refused did answer."""
    stage.hypervisor.answering = answering

    stage.link.blame(error)

    assert lost is (stage.link.lost is not None)


@pytest.mark.parametrize(
    ("cancelled", "aborted", "answering", "kind"),
    [
        (True, None, True, errors.MoveAborted),
        (False, "too slow", False, errors.MoveAborted),
        (False, None, False, errors.LinkLost),
        (False, None, True, errors.MoveFailed),
    ],
)
def test_end_is_explained_by_what_came_first(stage, cancelled, aborted, answering, kind):
    stage.hypervisor.answering = answering

    assert kind is type(stage.link.explain(STAYED._replace(cancelled=cancelled), aborted))
