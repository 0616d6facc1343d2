"""One move on its way: orders that fail, aborts, and what an earlier process has left."""

from concurrent import futures

import pytest

from common import errors
from common import objects
from common import states
from services.compute import concurrency
from services.compute.virt import driver as hypervisor
from services.compute.virt.simulated import driver
from tests import stage as stages
from tests import waiting

BUSY = errors.HypervisorError("cannot acquire state change lock")


def busy(make, **policy):
    """Give a move whose guest writes so much that it ends by a push only."""
    stage = make(memory_mb=2000, completion_timeout=3, ladder=[100, 150], **policy)
    stage.world.host("host1").guests[stage.server.uuid].dirty_mib = 1100.0
    return stage


def decided(stage):
    """Give every decision that was told, in order, each once."""
    told = {
        (step.step, step.attempt): step.details
        for report in stage.conductor.reports
        for step in report.steps
        if step.step.startswith("decide_")
    }
    return [(name.removeprefix("decide_"), details) for (name, _attempt), details in told.items()]


@pytest.mark.parametrize(
    ("order", "push"),
    [("set_downtime", "post-copy"), ("post_copy", "post-copy"), ("pause", "pause")],
)
def test_order_that_the_hypervisor_does_not_take_ends_no_move(make, order, push):
    """A lock that was not free, a QMP error: the guest goes on moving, and so does the move."""
    stage = busy(make, on_timeout=push, post_copy="on-timeout", allow_paused=True)
    stage.world.plant("host1", order, BUSY)

    stage.start()

    assert states.Move.COMPLETED == stage.over()
    assert ["host2"] == stage.world.running(stage.server.uuid)
    (refused,) = [details for name, details in decided(stage) if name == "refused"]
    assert BUSY.message in refused


def test_timeouts_abort_is_repeated(make):
    """A hypervisor that did not take the first order gets it again until the job has ended."""
    stage = make(memory_mb=20_000, completion_timeout=1, on_timeout="abort")
    stage.world.plant("host1", "abort", BUSY)

    stage.start()

    assert states.Move.CANCELLED == stage.over()
    assert "not finished within 1 s" in stage.conductor.reports[-1].error_message
    assert ["host1"] == stage.world.running(stage.server.uuid)


def test_force_that_fails_may_be_repeated(make):
    """Its operator hears why nothing was done, and the second order is taken."""
    stage = busy(make, allow_paused=True)
    stage.world.plant("host1", "pause", BUSY)
    stage.start()

    def force():
        try:
            stage.outgoing.find("m").force()
        except errors.WrongState:
            return False
        return True

    with pytest.raises(errors.HypervisorError, match="state change lock"):
        waiting.until(force, "it copies")
    waiting.until(force, "it is forced")

    assert states.Move.COMPLETED == stage.over()


def test_more_moves_than_native_threads(make):
    """Each brings its own: looks and orders of all go on in a pool of two."""
    with futures.ThreadPoolExecutor(2) as pool:
        plain = concurrency.plain()
        threads = concurrency.Threads(
            lambda act, *args: pool.submit(act, *args).result(), plain.alone, concurrency.Bell
        )
        stages_ = [make(memory_mb=20_000, threads=threads) for _ in range(6)]
        for stage in stages_:
            stage.start()
        for stage in stages_:
            waiting.until(stage.copies, "it is looked at")
            stage.outgoing.find("m").abort("aborted by a user")

        assert 6 * [states.Move.CANCELLED] == [stage.over() for stage in stages_]


@pytest.mark.parametrize("status", [states.Move.RUNNING, states.Move.POST_MIGRATING])
def test_percent_goes_on_where_an_earlier_process_was(make, status):
    """It never goes back, and a move that has arrived is done whoever saw it copied."""
    stage = make(memory_mb=2000)
    before = objects.MigrationProgress(migration_uuid="m", percent=60, memory_total=100)
    stage.migration = stage.migration.replace(status=status, progress=before)
    stage.conductor.row = stage.migration
    if status == states.Move.POST_MIGRATING:
        stage.drivers["host1"].migrate(stage.server, stage.migration.data, stage.migration.policy)
    look = stage.world.hold("host1", "job")
    stage.start()
    if status == states.Move.RUNNING:
        assert look.begun.wait(stages.PATIENCE)
        assert 60 == stage.reporter.post(before.replace(percent=5)).percent
    look.go.set()

    assert states.Move.COMPLETED == stage.over()
    assert 100 == stage.conductor.reports[-1].progress.percent


class Old(driver.Driver):
    """A hypervisor that cannot go on with a post-copy whose link broke."""

    def terms(self, instance, data, policy):
        return super().terms(instance, data, policy)._replace(recovers=False)


def test_broken_post_copy_that_cannot_be_mended_is_for_a_person(make):
    """Nobody tries for ever, and nothing is touched."""
    stage = make(memory_mb=20_000, kind=Old, post_copy="on-timeout")
    stage.start()
    waiting.until(stage.copies, "it copies")
    stage.outgoing.find("m").force()
    stage.world.cut.add("host2")

    assert states.Move.ERROR == stage.over()
    last = stage.conductor.reports[-1]
    assert "too old to go on" in last.error_message
    assert ("link_lost", "migrate") == (last.error_code, last.failed_step)


class Away(driver.Driver):
    """A hypervisor whose daemon does not answer when it is asked what it can combine."""

    def terms(self, instance, data, policy):
        raise errors.HypervisorError("cannot connect to libvirt")


def test_daemon_that_is_away_before_the_job_begins_ends_nothing_else(make):
    """The guest stands where it stood, and what was prepared for it is gone."""
    stage = make(memory_mb=2000, kind=Away)
    stage.start()

    assert states.Move.FAILED == stage.over()
    last = stage.conductor.reports[-1]
    assert ("hypervisor_error", "migrate", "host1") == (
        last.error_code,
        last.failed_step,
        last.failed_host,
    )
    assert ["host1"] == stage.world.running(stage.server.uuid)
    assert stage.server.uuid not in stage.world.host("host2").guests


def test_daemon_that_is_away_when_a_job_is_taken_up_again_decides_nothing(make):
    """The guest may be anywhere: neither half is touched."""
    stage = make(memory_mb=2000, kind=Away)
    stage.migration = stage.migration.replace(status=states.Move.RUNNING)
    stage.conductor.row = stage.migration
    stage.start()

    assert states.Move.ERROR == stage.over()


def test_abort_at_the_switch_says_that_it_is_too_late(make):
    """The guest runs at its destination already, and the source has not looked since."""
    stage = make(memory_mb=10_000, post_copy="on-timeout")
    stage.start()
    waiting.until(stage.copies, "it copies")
    look = stage.world.hold("host1", "job")
    assert look.begun.wait(stages.PATIENCE)
    stage.drivers["host1"].post_copy(stage.server.uuid)

    with pytest.raises(errors.WrongState, match=r"any more: .*in post-copy"):
        stage.outgoing.find("m").abort("aborted by a user")
    look.go.set()

    assert states.Move.COMPLETED == stage.over()


def test_abort_that_the_hypervisor_did_not_take_is_repeated(make):
    """Its user need not ask again."""
    stage = make(memory_mb=20_000)
    stage.start()
    waiting.until(stage.copies, "it copies")
    stage.world.plant("host1", "abort", BUSY)

    stage.outgoing.find("m").abort("aborted by a user")

    assert states.Move.CANCELLED == stage.over()


class Measuring(driver.Driver):
    """A hypervisor that knows at the destination how long the guest stood still."""

    def measured(self, uuid):
        return hypervisor.Measured(7, 900)


@pytest.mark.parametrize("status", [states.Move.RUNNING, states.Move.POST_MIGRATING])
def test_destination_tells_what_an_earlier_process_has_missed(make, status):
    """The job of a move that was taken up again has ended before anybody looked."""
    stage = make(kind=Measuring)
    stage.drivers["host1"].migrate(stage.server, stage.migration.data, stage.migration.policy)
    stage.conductor.row = stage.migration = stage.migration.replace(status=status)

    stage.start()

    assert states.Move.COMPLETED == stage.over()
    last = stage.conductor.reports[-1]
    assert (7, 900) == (last.downtime_ms, last.job_ms)


def test_switch_to_post_copy_is_journaled(make):
    """Once, when it was seen."""
    stage = busy(make, post_copy="on-timeout", on_timeout="post-copy")

    stage.start()
    stage.over()

    steps = [step for report in stage.conductor.reports for step in report.steps]
    assert ["done"] == [step.state for step in steps if step.step == "switch_to_post_copy"]
