"""The conductor's part of aggregates and server groups."""

import logging

from common import context
from common import objects
from common import states
from common.db import groups
from services.conductor import placement
from tests import factories


def test_a_host_that_promises_too_much_by_its_aggregate_is_told_of(stage, caplog):
    """At once, not with its next report."""
    stage.server()
    made = stage.manager.create_aggregate(context.admin(), factories.aggregate())
    stage.manager.add_aggregate_host(context.admin(), made.id, "host1")

    with caplog.at_level(logging.WARNING):
        stage.manager.describe_aggregate(
            context.admin(), made.id, {"ram_allocation_ratio": "0.001"}
        )

    assert "host1 is over-promised" in caplog.text


def test_a_host_is_told_the_ratios_that_are_counted_with(stage):
    """Its aggregate's in the answer to its next heartbeat, and its own again without it."""
    made = stage.manager.create_aggregate(
        context.admin(), factories.aggregate(metadata={"disk_allocation_ratio": "2.0"})
    )
    stage.manager.add_aggregate_host(context.admin(), made.id, "host1")

    inside = beat(stage, "host1")
    stage.manager.remove_aggregate_host(context.admin(), made.id, "host1")

    assert (2.0, 1.0) == (inside["disk_allocation_ratio"], inside["ram_allocation_ratio"])
    assert 1.0 == beat(stage, "host1")["disk_allocation_ratio"]


def test_only_hosts_of_guests_are_told_ratios(stage):
    answers = [
        stage.manager.report(context.admin(), factories.service(host, binary=binary), None)
        for host, binary in (("host1", "nova-conductor"), ("host9", "nova-compute"))
    ]

    assert [{}, {}] == answers


def beat(stage, host):
    """Have a host report without numbers, and give the answer."""
    return stage.manager.report(context.admin(), factories.service(host), None)


def test_a_member_leaves_its_group_when_it_is_deleted(stage):
    group = stage.manager.create_server_group(context.admin(), factories.server_group())
    request = objects.NewServer(name="vm", flavor=factories.flavor(), hints={"group": [group.uuid]})
    server = stage.manager.create_server(context.admin(), request)
    with stage.deps.database.read() as tx:
        joined = groups.of(tx, server.uuid)

    stage.manager.operate(context.admin(), server.uuid, "delete")

    with stage.deps.database.read() as tx:
        assert (group.uuid, None) == (joined, groups.of(tx, server.uuid))


def test_a_server_belongs_where_it_landed(stage):
    """One from before zones were kept belongs to where it is; Nova's way binds only by name."""
    ran = {"availability_zone": "west", "launched_at": factories.NOW}
    unbound = factories.instance(vm_state=states.Vm.ACTIVE, **ran)
    bound = unbound.replace(pinned_zone="east")
    building = factories.instance(availability_zone="west")
    conf = stage.deps.conf

    kept = [placement.home(conf, one) for one in (unbound, bound, building)]
    conf.set_override("keep_zone", override=False, group="conductor")

    assert ["west", "east", None] == kept
    assert [None, "east", None] == [placement.home(conf, one) for one in (unbound, bound, building)]
    assert {} == placement.landed(conf, unbound)
    assert {"availability_zone": "north"} == placement.arrived(unbound, "north")
    assert {"availability_zone": "north", "pinned_zone": "north"} == placement.arrived(
        bound, "north"
    )


def test_a_request_may_say_which_zone(stage):
    """One by name, or any."""
    server = factories.instance(pinned_zone="west")

    asked = [placement.bounds(stage.deps.conf, server, zone) for zone in (None, "east", "any")]

    assert ["west", "east", None] == asked
