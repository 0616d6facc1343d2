"""What a policy's decisions become: orders to the hypervisor, in their order."""

import types

import pytest

from common import clock
from common import objects
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

    def terms(self, _instance, _data, policy):
        return driver.Terms(policy)

    def set_bandwidth(self, _uuid, mib):
        self.told.append(("bandwidth", mib))

    def set_downtime(self, _uuid, milliseconds):
        self.told.append(("downtime", milliseconds))

    def pause(self, _instance):
        self.told.append(("pause", 0))


@pytest.fixture
def hypervisor():
    return Driver()


@pytest.fixture
def steered(hypervisor):
    """A move of one GiB at 10 MiB per second at most, with one downtime."""
    deps = types.SimpleNamespace(
        driver=hypervisor,
        threads=concurrency.plain(),
        reporter=types.SimpleNamespace(note=lambda _step: None),
    )
    migration = factories.migration(
        policy=factories.policy(bandwidth=10, allow_paused=True), destination="host2"
    )
    notes = journal.Journal(clock.SystemClock(), migration)
    made = steering.Steering(deps, factories.instance(), migration, notes)  # type: ignore[arg-type] # the parts it needs
    made.begin()
    return made


def look(iteration):
    """One look at a job: disks are copied in iteration 0."""
    return objects.MigrationProgress(
        migration_uuid="m",
        iteration=iteration,
        memory_total=MEMORY,
        memory_remaining=MEMORY,
        rate=MEMORY,
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
