"""What is looked at of many hosts: the best few, those that a wish prefers, and more if need be."""

import pytest

from common import clock
from common import context
from common import states
from common.config import load
from common.db import candidates
from common.db import claims
from common.db import groups
from common.db import hosts
from common.db import servers
from common.db import services
from services.scheduler.manager import Manager
from tests import factories
from tests.factories import NOW

# Only memory orders the hosts, and two are looked at first.
FEW = {"window": 2, "host_subset_size": 1, "cpu_weight_multiplier": 0, "disk_weight_multiplier": 0}


@pytest.fixture
def fleet(database):
    """Eight hosts, each with less memory than the one before."""
    with database.write() as tx:
        for number in range(8):
            write(tx, number)
    return database


def write(tx, number: int, **values: object) -> None:
    name = f"host{number}"
    services.report(tx, factories.service(name), NOW)
    hosts.report(tx, factories.node(name, memory_mb=9000 - 10 * number, **values))


def chosen(database, *, options: dict[str, object] | None = None, **values: object) -> str:
    conf = load.private(
        {f"scheduler.{key}": one for key, one in {**FEW, **(options or {})}.items()}
    )
    manager = Manager(conf, database, clock.HeldClock(NOW))
    found = manager.select_destinations(context.admin(), factories.spec(**values))
    with database.write() as tx:
        claims.release(tx, found.consumer)
    return str(found.host)


def group(database, policy: states.Affinity, *members: str) -> str:
    """Make a group with a server on each of these hosts, and give its uuid."""
    made = factories.server_group(policy=policy)
    with database.write() as tx:
        groups.create(tx, made)
        for host in members:
            member = servers.create(tx, factories.instance(host=host, vm_state=states.Vm.ACTIVE))
            groups.join(tx, made.uuid, member.uuid)
    return str(made.uuid)


@pytest.mark.parametrize("good", [0, 3, 7])
def test_looks_grow_wider_until_a_host_fits(fleet, good):
    """What only Python can tell refuses the whole window, and what is beyond it is found."""
    with fleet.write() as tx:
        for number in range(8):
            kind = {} if number == good else {"hypervisor_type": "LXC", "virt_type": "lxc"}
            write(tx, number, facts=factories.facts(**kind))

    image = factories.image(properties={"img_hv_type": "QEMU"})

    assert f"host{good}" == chosen(fleet, image=image)


def test_a_friend_is_seen_beyond_the_window(fleet):
    """A group that would like to be together finds its others, however little is free there."""
    together = group(fleet, states.Affinity.SOFT_TOGETHER, "host6")

    assert "host6" == chosen(
        fleet, hints={"group": [together]}, options={"soft_affinity_weight_multiplier": 9}
    )


def test_hosts_without_the_others_are_seen_beyond_the_window(fleet):
    """A group that would like to be apart is not kept on its own hosts by a window full of them."""
    apart = group(fleet, states.Affinity.SOFT_APART, "host0", "host1", "host2")

    assert "host3" == chosen(
        fleet, hints={"group": [apart]}, options={"soft_anti_affinity_weight_multiplier": 9}
    )


def test_a_wish_to_be_apart_is_weighed(fleet):
    """It may count less than memory does."""
    apart = group(fleet, states.Affinity.SOFT_APART, "host0", "host1")

    assert "host0" == chosen(
        fleet, hints={"group": [apart]}, options={"soft_anti_affinity_weight_multiplier": 0.001}
    )


@pytest.mark.parametrize(
    ("multiplier", "best"), [(-1000000.0, "host3"), (0, "host0")], ids=["counted", "not counted"]
)
def test_hosts_that_failed_do_not_fill_the_window(fleet, multiplier, best):
    with fleet.write() as tx:
        for name in ("host0", "host1", "host2"):
            candidates.count_failure(tx, name, NOW)

    assert best == chosen(fleet, options={"failure_weight_multiplier": multiplier})


def test_a_host_that_failed_is_better_than_none(fleet):
    """All have failed: the one that did least often is taken."""
    with fleet.write() as tx:
        for number in range(8):
            for _ in range(1 if number == 1 else 2):
                candidates.count_failure(tx, f"host{number}", NOW)

    assert "host1" == chosen(fleet)


HERE, THERE = "pool-here", "pool-there"


@pytest.fixture
def pools(fleet):
    """The three hosts with the least memory share a storage, the others another one."""
    with fleet.write() as tx:
        for number in range(8):
            write(tx, number, storage=HERE if number > 4 else THERE)
    return fleet


@pytest.mark.parametrize(
    ("asked", "best"),
    [
        ({"disk_storage": HERE}, "host5"),
        ({"disk_storage": HERE, "ignore_hosts": ["host5"]}, "host6"),
        ({"disk_storage": HERE, "ignore_hosts": ["host5", "host6", "host7"]}, "host0"),
        ({"disk_storage": HERE, "requested_host": "host1"}, "host1"),
        ({}, "host0"),
    ],
)
def test_hosts_of_the_disks_pool_come_first(pools, asked, best):
    """However much is free elsewhere; when none of them will do the others are asked."""
    assert best == chosen(pools, **asked)


def test_a_dry_run_lists_the_pool_first(pools):
    given = {f"scheduler.{key}": one for key, one in FEW.items()}
    manager = Manager(load.private(given), pools, clock.HeldClock(NOW))

    ranked = manager.rank(context.admin(), factories.spec(disk_storage=HERE))

    assert ["host5", "host6", "host7", "host0"] == [one.host for one in ranked][:4]
