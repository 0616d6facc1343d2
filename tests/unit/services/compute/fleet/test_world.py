import pytest

from common import clock
from common import errors
from common import objects
from common import states
from common.config import load
from services.compute.fleet import topology
from services.compute.fleet import world as worlds
from services.compute.virt.simulated import driver
from tests import factories

NAMES = ("n1", "n2")


@pytest.fixture
def halves(tmp_path):
    """Two processes' views of one world of two hosts, one host each."""
    made = [worlds.World(clock.HeldClock(), folder=str(tmp_path), own={name}) for name in NAMES]
    hosts = topology.parse(
        {"groups": [{"name": "n{number}", "count": 2, "pool": "p", "fails": {"pause": 1.0}}]}, "t"
    ).members()
    for one in made:
        worlds.furnish(one, hosts, str(tmp_path))
    return made


def drive(world, host):
    return driver.Driver(load.private({"host": host}), world)


def test_guest_goes_to_a_host_of_another_process(halves):
    """It runs at the source until it has gone, and then at the destination alone."""
    here, there = drive(halves[0], "n1"), drive(halves[1], "n2")
    instance = factories.instance()
    here.power_on(instance, None)
    data = objects.LibvirtLiveMigrateData(
        migration_uuid="m", destination_address="n2", is_shared=True
    )

    end = here.migrate(instance, data, factories.policy())

    assert end.gone
    assert here.guest(instance.uuid) is None
    assert states.Power.RUNNING == there.finish(instance, data)
    assert [instance.uuid] == [guest.uuid for guest in there.guests()]


def test_pool_is_seen_by_every_process(halves):
    """A test file that the destination leaves in the pool is seen at the source."""
    halves[1].host("n2").files.add("probe")

    seen = "probe" in halves[0].host("n1").files
    halves[0].host("n1").files.discard("probe")

    assert seen
    assert "probe" not in halves[1].host("n2").files


def test_host_fails_as_often_as_its_topology_says(halves):
    """A chance of one is always; what it does not name never fails."""
    here = drive(halves[0], "n1")
    instance = factories.instance()
    here.power_on(instance, None)

    with pytest.raises(errors.HypervisorError, match="n1: pause fails now and then"):
        here.pause(instance)
