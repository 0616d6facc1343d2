"""The source's part of a move, with a simulated hypervisor and a conductor of paper.

What all services make of it together is in tests/functional.
"""

import datetime
from concurrent import futures
from typing import cast

import pytest

from common import clock
from common import context
from common import errors
from common import objects
from common import states
from common.config import load
from rpc import bus
from rpc import conductor
from services.compute import cache
from services.compute import concurrency
from services.compute import live_migration
from services.compute.deps import Deps
from services.compute.reporter import Reporter
from services.compute.virt import driver as hypervisor
from services.compute.virt import local
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world as worlds
from tests import factories
from tests import stage as stages
from tests import waiting

FILES = local.Files(None, None, None)


class Conductor:
    """Keeps the move's row as the real one does: status by compare-and-swap."""

    def __init__(self, migration) -> None:
        self.row = migration
        self.reports: list[objects.MoveReport] = []
        self.calls: list[list[objects.MoveReport]] = []

    def move_report(self, context, report, earlier=()):
        self.calls.append([*earlier, report])
        for one in earlier:
            if self.row.status in one.expected:
                self.reports.append(one)
                self.row = self.row.replace(status=one.status)
        self.reports.append(report)
        if self.row.status == report.status:
            return self.row
        if self.row.status not in report.expected:
            raise errors.StaleWrite(f"it is {self.row.status}")
        self.row = self.row.replace(status=report.status)
        return self.row


class Peer:
    """The destination's compute, straight on its driver."""

    def __init__(self, made: driver.Driver) -> None:
        self.driver = made
        self.calls: list[str] = []

    def pre_live_migration(self, context, instance, migration):
        self.calls.append("prepare")
        return self.driver.prepare(instance, migration.data, FILES)

    def post_live_migration_at_destination(self, context, instance, migration):
        self.calls.append("finish")
        power = self.driver.finish(instance, migration.data)
        measured = self.driver.measured(instance.uuid)
        return objects.Arrival(power_state=int(power), **measured._asdict())

    def rollback_live_migration_at_destination(self, context, instance, migration):
        self.calls.append("undo")
        self.driver.undo(instance, migration.data)


class Bus:
    """Leads to the one peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def client(self, kind, server):
        assert "host2" == server
        return self.peer


class Stage:
    """A guest on host1 that is to go to host2, and who is asked about it."""

    def __init__(self, tmp_path, memory_mb=64, threads=None, kind=driver.Driver, **policy) -> None:
        self.world = worlds.World(clock.SystemClock())
        conf = {
            host: load.private(
                {
                    "host": host,
                    "simulated.rate": 2000.0,
                    "image.cache": str(tmp_path),
                }
            )
            for host in ("host1", "host2")
        }
        self.drivers = drivers = {host: kind(conf[host], self.world) for host in conf}
        self.server = factories.instance(flavor=factories.flavor(memory_mb=memory_mb))
        drivers["host1"].build(self.server, FILES)
        data = objects.LibvirtLiveMigrateData(
            migration_uuid="m", destination_address="host2", is_shared=False, block_migration=True
        )
        self.migration = factories.migration(
            uuid="m",
            status=states.Move.PREPARING,
            destination="host2",
            data=data,
            policy=factories.policy(**policy),
        )
        self.conductor = Conductor(self.migration)
        self.peer = Peer(drivers["host2"])
        self.reporter = Reporter("host1", cast("conductor.Conductor", self.conductor))
        self.outgoing = live_migration.Outgoing(
            Deps(
                conf["host1"],
                drivers["host1"],
                cache.Cache(conf["host1"]),
                threads or concurrency.plain(),
                self.reporter,
                cast("bus.Bus", Bus(self.peer)),
                clock.SystemClock(),
            )
        )

    def leased(self, seconds):
        """Give the move with a lease that lasts so long yet."""
        until = clock.SystemClock().now() + datetime.timedelta(seconds=seconds)
        return self.migration.replace(lease_until=until)

    def start(self):
        self.outgoing.start(context.admin(), self.server, self.migration)

    def copies(self):
        """Tell whether the source has seen how far the move is."""
        return self.reporter.arrived("m") is not None

    def over(self):
        """Wait until the source has forgotten the move."""

        def gone():
            try:
                self.outgoing.find("m")
            except errors.WrongState:
                return True
            return False

        waiting.until(lambda: self.conductor.row.status in states.TERMINAL, "the move ended")
        waiting.until(gone, "the source is done with it")
        return self.conductor.row.status


@pytest.fixture
def make(tmp_path):
    return lambda **values: Stage(tmp_path, **values)


def test_reports_come_in_order(make):
    """Running, post-migrating, completed; each once, with the steps since."""
    stage = make()

    stage.start()

    assert states.Move.COMPLETED == stage.over()
    assert ["running", "post-migrating", "completed"] == [
        report.status for report in stage.conductor.reports
    ]
    assert ["prepare", "finish"] == stage.peer.calls
    assert ["host2"] == stage.world.running(stage.server.uuid)


def test_leased_move_begins_without_asking(make):
    """While the lease lasts the conductor is told once, at the end, all that happened."""
    stage = make()
    stage.migration = stage.leased(60)

    stage.start()

    assert states.Move.COMPLETED == stage.over()
    (told,) = stage.conductor.calls
    assert ["running", "post-migrating", "completed"] == [report.status for report in told]


def test_move_of_an_old_lease_asks_before_it_begins(make):
    """Another may have ended it: nothing begins before the conductor agrees."""
    stage = make()
    stage.migration = stage.leased(5)
    stage.conductor.row = stage.migration.replace(status=states.Move.FAILED)

    stage.start()
    stage.over()

    assert [["running"]] == [[one.status for one in told] for told in stage.conductor.calls]
    assert ["prepare", "undo"] == stage.peer.calls
    assert ["host1"] == stage.world.running(stage.server.uuid)


def test_job_that_was_begun_unheard_is_taken_up_again(make):
    """A source that was killed before its first report prepares nothing anew."""
    stage = make()
    stage.start()
    stage.over()
    stage.peer.calls.clear()
    again = stage.leased(-1).replace(uuid="n")
    stage.conductor.row = again.replace(status=states.Move.RUNNING)

    stage.outgoing.start(context.admin(), stage.server, again)
    waiting.until(lambda: stage.conductor.row.status in states.TERMINAL, "the move ended")

    assert states.Move.COMPLETED == stage.conductor.row.status
    assert ["finish"] == stage.peer.calls


def test_move_that_takes_too_long_is_aborted(make):
    """The policy's time is over: the guest stays, and the reason says so."""
    stage = make(memory_mb=20_000, completion_timeout=1, on_timeout="abort")

    stage.start()

    assert states.Move.CANCELLED == stage.over()
    assert "not finished within 1 s" in stage.conductor.reports[-1].error_message
    assert ["host1"] == stage.world.running(stage.server.uuid)


@pytest.mark.parametrize("status", [states.Move.RUNNING, states.Move.POST_MIGRATING])
def test_move_is_taken_up_again(make, status):
    """A source that was killed goes on where its row says it was, and prepares nothing anew."""
    stage = make()
    stage.start()
    stage.over()
    stage.peer.calls.clear()
    again = stage.migration.replace(uuid="n", status=status)
    stage.conductor.row = again

    stage.outgoing.start(context.admin(), stage.server, again)
    waiting.until(lambda: stage.conductor.row.status in states.TERMINAL, "the move ended")

    assert states.Move.COMPLETED == stage.conductor.row.status
    assert ["finish"] == stage.peer.calls
    assert ["host2"] == stage.world.running(stage.server.uuid)


def test_another_decision_takes_the_preparation_back(make):
    """The row was cancelled while the destination got ready: nothing begins."""
    stage = make()
    stage.conductor.row = stage.migration.replace(status=states.Move.CANCELLED)

    stage.start()
    stage.over()

    assert ["prepare", "undo"] == stage.peer.calls
    assert set() == stage.world.host("host2").files
    assert ["host1"] == stage.world.running(stage.server.uuid)


def test_destination_without_an_answer_fails_the_move(make):
    """Told to undo until it has."""
    stage = make()
    stage.world.plant("host2", "prepare", errors.NoAnswer("host2 did not answer"))
    stage.world.plant("host2", "undo", errors.NoAnswer("host2 did not answer"))

    stage.start()

    assert states.Move.FAILED == stage.over()
    last = stage.conductor.reports[-1]
    assert ("no_answer", "pre_live_migration", "host2") == (
        last.error_code,
        last.failed_step,
        last.failed_host,
    )
    assert ["failed", "done"] == [step.state for step in last.steps]


def test_abort_waits_for_no_preparation(make):
    """The source undoes at once what its destination still makes, and nothing begins."""
    stage = make()
    held = stage.world.hold("host2", "prepare")
    stage.start()
    assert held.begun.wait(stages.PATIENCE)

    stage.outgoing.find("m").abort("aborted by a user")

    assert states.Move.CANCELLED == stage.over()
    last = stage.conductor.reports[-1]
    assert ("aborted by a user", "pre_live_migration") == (last.error_message, last.failed_step)
    assert ["prepare", "undo"] == stage.peer.calls
    assert ["host1"] == stage.world.running(stage.server.uuid)
    held.go.set()


def test_abort_is_what_is_told_although_nobody_answers(make):
    """Which of the two was noticed first does not matter to who aborted it."""
    stage = make()
    held = stage.world.hold("host2", "prepare")
    stage.world.plant("host2", "prepare", errors.NoAnswer("it gave no sign of life"))
    stage.start()
    assert held.begun.wait(stages.PATIENCE)

    stage.outgoing.find("m").abort("aborted by a user")
    held.go.set()

    assert states.Move.CANCELLED == stage.over()


def test_abort_of_what_does_not_go_on_is_refused(make):
    """The sentence names the move."""
    with pytest.raises(errors.WrongState, match="m is not going on"):
        make().outgoing.find("m")


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
