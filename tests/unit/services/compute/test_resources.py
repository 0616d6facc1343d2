"""The resource tracker: what is told of a host, and when."""

import threading

import pytest

from common import objects
from common.config import load
from services.compute import resources
from services.compute.virt import driver
from tests import factories

GIB = 1 << 30


def disk(path: str = "vm/disk", allocated: int = 0) -> objects.GrowingDisk:
    return objects.GrowingDisk(
        instance_uuid="vm",
        path=path,
        virtual_bytes=GIB,
        allocated_bytes=allocated,
        may_grow_bytes=GIB - allocated,
    )


def usage(**values) -> objects.HostUsage:
    return objects.HostUsage(**{"memory_free_mb": 2000, "disk_free_mb": 20000, **values})


def capacity(**values) -> driver.Capacity:
    given = {
        "facts": factories.facts(),
        "vcpus": 4,
        "memory_mb": 4096,
        "local_gb": 40,
        "disk_available_least": 20,
        "running_vms": 0,
        "storage": "here",
        "usage": usage(),
    }
    return driver.Capacity(**{**given, **values})


class Host:
    """A host whose next measurement a test names."""

    def __init__(self, **options: object) -> None:
        self.now = capacity()
        conf = load.private({"host": "host1", **options})
        self.allowed: list[float] = []
        self.tracker = resources.Tracker(
            conf, lambda: self.now, self.allowed.append, threading.Event()
        )

    def beat(self, **ratios: float) -> objects.ComputeNode | None:
        """Give what a heartbeat that arrives tells; the answer to it has these ratios."""
        node = self.tracker.update_available_resource()
        self.tracker.told(node, ratios)
        return node


def test_first_heartbeat_tells_all_that_is_configured_and_measured():
    host = Host(**{"compute.reserved_host_cpus": 1, "compute.disk_allocation_ratio": 1.5})

    node = host.beat()

    assert node is not None
    assert ("host1", 4, 1, 512, 1.5) == (
        node.host,
        node.vcpus,
        node.reserved_host_cpus,
        node.reserved_host_memory_mb,
        node.disk_allocation_ratio,
    )
    assert ("here", host.now.usage) == (node.storage, node.usage)


def test_disks_are_checked_with_the_ratio_that_the_conductor_answers():
    """With each heartbeat, though it has told nothing; a conductor that knows none has no say."""
    host = Host()

    host.beat()
    host.beat(disk_allocation_ratio=2.0, cpu_allocation_ratio=4.0)
    host.beat(disk_allocation_ratio=1.5)

    assert [2.0, 1.5] == host.allowed


def test_numbers_that_did_not_change_are_told_every_so_often():
    """A host that a restored database has forgotten is known again by then."""
    host = Host(**{"compute.report_all_every": 3})

    told = [host.beat() is not None for _ in range(7)]

    assert [True, False, False, True, False, False, True] == told


def test_numbers_whose_report_was_lost_are_told_again():
    host = Host()
    host.beat()
    host.now = capacity(running_vms=1)

    lost = host.tracker.update_available_resource()
    again = host.tracker.update_available_resource()

    assert lost is not None
    assert again is not None
    assert 1 == again.running_vms


@pytest.mark.parametrize(
    "changed",
    [
        {"disk_available_least": -1},
        {"usage": usage(guests=[objects.HostGuest(uuid="vm", power_state=4)])},
        {"usage": usage(foreign=[objects.ForeignGuest(uuid="x", name="x", memory_mb=1)])},
        {"usage": usage(disks=[disk()])},
        {"usage": usage(memory_free_mb=1000)},
        {"usage": usage(disk_free_mb=18000)},
        {"facts": factories.facts(bridges=["br-new"])},
    ],
)
def test_what_somebody_decides_by_is_told_at_once(changed):
    host = Host()
    host.beat()
    host.now = capacity(**changed)

    assert host.beat() is not None
    assert host.beat() is None


def test_what_only_drifts_waits():
    """A guest that writes to its disk is no news as long as nothing is decided by it."""
    host = Host()
    host.now = capacity(usage=usage(disks=[disk()]))
    host.beat()
    host.now = capacity(
        usage=usage(disks=[disk(allocated=100 << 20)], memory_free_mb=1900, disk_free_mb=19900)
    )

    assert host.beat() is None


def test_drift_is_counted_from_what_was_told():
    """A slow leak is told once it is no drift any more."""
    host = Host()
    host.beat()
    told = []
    for free in (1900, 1800, 1700):
        host.now = capacity(usage=usage(memory_free_mb=free))
        told.append(host.beat() is not None)

    assert [False, False, True] == told
