"""What a policy's decisions become: orders to the hypervisor, in their order."""

import types

import pytest

from common import clock
from common import errors
from common import objects
from common import states
from services.compute import concurrency
from services.compute import journal
from services.compute import steering
from services.compute.virt import driver
from tests import factories

MEMORY = 128 << 20


class Driver:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.power = states.Power.RUNNING
        self.refusal: errors.Error | None = None
        self.left_out: dict[str, str] = {}

    def terms(self, _instance, _data, policy):
        notes = ("no post-copy: too old",) if self.left_out else ()
        return driver.Terms(policy.replace(**self.left_out), notes)

    def guest(self, uuid):
        return driver.Guest(uuid, self.power, "token", permanent=True)

    def set_bandwidth(self, _uuid, mib):
        if self.refusal is not None:
            raise self.refusal
        self.told.append(("bandwidth", mib))

    def set_downtime(self, _uuid, milliseconds):
        self.told.append(("downtime", milliseconds))

    def pause(self, _instance):
        self.told.append(("pause", 0))


@pytest.fixture
def hypervisor():
    return Driver()


@pytest.fixture
def notes():
    """What was journaled."""
    return []


@pytest.fixture
def make(hypervisor, notes):
    return lambda **policy: steering_of(hypervisor, notes, policy)


@pytest.fixture
def steered(make):
    """A move of one GiB at 10 MiB per second at most, with one downtime."""
    made = make(bandwidth=10, allow_paused=True)
    made.begin()
    return made


def steering_of(hypervisor, notes, policy):
    deps = types.SimpleNamespace(
        driver=hypervisor,
        threads=concurrency.plain(),
        reporter=types.SimpleNamespace(note=notes.append),
    )
    migration = factories.migration(policy=factories.policy(**policy), destination="host2")
    book = journal.Journal(clock.SystemClock(), migration)
    server = factories.instance(vm_state=states.Vm.ACTIVE)
    return steering.Steering(deps, server, migration, book)  # type: ignore[arg-type] # the parts it needs


def told(notes):
    """Give what was journaled: the action, and its words with the numbers behind them."""
    return [(step.step.removeprefix("decide_"), step.details) for step in notes]


def look(iteration, **values):
    """One look at a job: disks are copied in iteration 0."""
    return objects.MigrationProgress(
        migration_uuid="m",
        iteration=iteration,
        memory_total=MEMORY,
        memory_remaining=MEMORY,
        **{"rate": MEMORY, **values},
    )


def test_downtime_of_the_beginning_is_not_set_twice(steered, hypervisor):
    """The hypervisor begins with it."""
    steered.observe(look(0), 1.0)
    steered.observe(look(1), 2.0)

    assert [] == hypervisor.told


def test_bandwidth_that_is_changed_before_memory_begins_is_set_again(steered, hypervisor):
    """libvirt sets the limit with which the job began once more, when the disks are over."""
    steered.observe(look(0), 1.0)
    steered.change(steered.policy.replace(bandwidth=40))
    for iteration in (0, 1, 1, 2):
        steered.observe(look(iteration), 2.0)

    assert [("bandwidth", 40), ("bandwidth", 40)] == hypervisor.told


def test_pause_lifts_the_limit_first(steered, hypervisor):
    """The guest waits for the rest: nothing is to keep it back."""
    steered.observe(look(1), 1.0)
    steered.force()
    steered.observe(look(1), 2.0)

    assert [("bandwidth", 0), ("pause", 0)] == hypervisor.told


def test_what_was_left_out_stays_out(steered):
    """A change speaks of what can be changed, not of what these hosts could not combine."""
    steered.change(steered.policy.replace(post_copy="on-stall", bandwidth=40))

    assert ("never", 40) == (steered.policy.post_copy, steered.policy.bandwidth)


def test_change_leaves_a_lifted_limit_alone(steered, hypervisor):
    """The guest stands still: another downtime does not slow it down again."""
    steered.observe(look(1), 1.0)
    steered.force()
    hypervisor.told.clear()
    steered.change(steered.policy.replace(downtime_ms=900))

    assert [("downtime", 900)] == hypervisor.told


def test_limit_that_is_asked_for_during_a_pause_holds(steered, hypervisor):
    """A person may."""
    steered.observe(look(1), 1.0)
    steered.force()
    hypervisor.told.clear()
    steered.change(steered.policy.replace(bandwidth=5))

    assert [("bandwidth", 5)] == hypervisor.told


def test_every_order_is_journaled(steered, notes):
    """With what there was before, and why."""
    steered.change(steered.policy.replace(bandwidth=40))
    steered.observe(look(1), 1.0)
    steered.force()

    by_operator = "an operator changed the bandwidth: 40 MiB/s from now on"
    assert [
        ("set-downtime", 'the move begins with 500 ms {"downtime_ms": 500}'),
        ("set-bandwidth", f'{by_operator} {{"bandwidth": 40, "before": 10}}'),
        ("set-bandwidth", 'memory begins: 40 MiB/s from now on {"bandwidth": 40, "before": 40}'),
        (
            "set-bandwidth",
            'the guest is to stand still: no limit from now on {"bandwidth": 0, "before": 40}',
        ),
    ] == [note for note in told(notes) if note[0] != "pause"]


def test_refused_limit_changes_nothing(steered, hypervisor, notes):
    """Who asked for it hears why, and the journal has it."""
    hypervisor.refusal = errors.HypervisorError("busy")

    with pytest.raises(errors.HypervisorError, match="busy"):
        steered.change(steered.policy.replace(bandwidth=40, downtime_ms=900))

    assert (10, 500) == (steered.policy.bandwidth, steered.policy.downtime_ms)
    assert [] == hypervisor.told
    assert (
        "refused",
        'set-bandwidth was not done: busy {"bandwidth": 40, "before": 10}',
    ) == told(notes)[-1]


def test_what_is_left_out_is_journaled(make, hypervisor, notes):
    """With what the policy wanted."""
    hypervisor.left_out = {"post_copy": "never"}
    make(post_copy="on-timeout").begin()

    assert (
        "left-out",
        'no post-copy: too old {"post_copy": "on-timeout"}',
    ) == told(notes)[0]


@pytest.mark.parametrize("source", ["journal", "job"])
def test_timeout_counts_from_the_jobs_begin(make, notes, source):
    """Whichever process began it, by the journal or by the hypervisor."""
    steered = make(completion_timeout=60, on_timeout="pause", allow_paused=True)
    steered.resume(59.0 if source == "journal" else 0.0)
    steered.observe(look(1, elapsed_ms=0 if source == "journal" else 61_000), 2.0)

    assert "pause" in [action for action, _details in told(notes)]


def test_pause_of_an_earlier_process_is_known(make, hypervisor):
    """It is not paused again, nor slowed down, and given up at the last moment."""
    hypervisor.power = states.Power.PAUSED
    steered = make(bandwidth=10, completion_timeout=60, on_timeout="pause", allow_paused=True)
    steered.resume(61.0)
    steered.observe(look(1), 1.0)
    steered.change(steered.policy.replace(downtime_ms=900))

    assert [("downtime", 500), ("downtime", 900)] == hypervisor.told
    with pytest.raises(errors.WrongState, match="stands still"):
        steered.force()
