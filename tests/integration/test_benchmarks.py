"""Benchmarks at their smallest, so that none of them rots."""

import pytest

from tests.benchmarks import drain
from tests.benchmarks import messages
from tests.benchmarks import migration
from tests.benchmarks import noticing
from tests.benchmarks import scheduling
from tests.integration import labs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

SHORT = migration.BUSY[0]._replace(turns=1, terms=migration.capped(64, 60))


def medians(tables):
    """Give every line's smallest value, by its name."""
    return {one.name: min(one.values) for table in tables.values() for one in table}


def test_scheduling():
    """Hosts as a real cluster has them are chosen, and refused, on both databases."""
    found = scheduling.measure(counts=(101,), requests=2)

    assert 2 == len(found)
    for figures in found.values():
        names = {one.name for one in figures}
        assert {"101 hosts, none fits", "101 hosts, one in a hundred fits"} <= names
        assert all(min(one.values) > 0 for one in figures)


def test_idle_guest(lab: labs.Lab):
    """Both ways of moving a guest are measured, alike."""
    found = medians(migration.measure(lab, turns=1))

    assert found["ours, accepted to completed"] > found["of ours: libvirt's own job"] > 0
    assert found["virsh migrate, wall"] > 0
    assert found["virsh: downtime by libvirt"] > 0


def test_busy_guest(lab: labs.Lab):
    """A guest that writes all the time arrives both ways."""
    found = medians(migration.measure_busy(lab, (SHORT,)))

    assert found["ours / virsh"] > 0
    assert found["ours: downtime by libvirt"] > 0


def test_drain(lab: labs.Lab):
    """Two guests leave a host one after the other, both ways."""
    found = medians(drain.measure(lab, guests=2, limits=(1,)))

    assert found["ours / virsh"] > 0
    assert found["a free slot waits for its next move"] > 0


def test_messages(lab: labs.Lab):
    """Each message of a move is seen on the broker, and there are no more than there need be."""
    plain, queued, switched = messages.measure(lab, moves=1).values()
    found = medians({"plain": plain})

    assert 2 == found["live_migrate"]
    assert 1 == found["live_migration"]
    assert found["all but progress"] <= 15
    assert medians({"queued": queued})["all but progress"] <= 16
    assert medians({"switched": switched})["all but progress"] <= 17


def test_noticing(lab: labs.Lab):
    """libvirt's event of each departure, and compute's note of it, are both found."""
    (found,) = noticing.measure(lab, turns=1).values()

    assert [2] == [len(figure.values) for figure in found]
