import pytest

from common import errors
from common import states
from common.db import claims
from common.db import groups
from common.db import hosts
from common.db import moves
from common.db import servers
from tests import factories


@pytest.fixture
def fleet(database):
    """Three hosts with room for four cores each."""
    with database.write() as tx:
        for name in ("host1", "host2", "host3"):
            hosts.report(tx, factories.node(name))
    return database


def make(tx, policy=states.Affinity.APART, **values):
    return groups.create(tx, factories.server_group(policy=policy, **values))


def member(tx, group, host=None, **values):
    made = servers.create(tx, factories.instance(host=host, vm_state=states.Vm.ACTIVE, **values))
    groups.join(tx, group.uuid, made.uuid)
    return made.uuid


def allowed(tx, server):
    """Name the hosts that a guarded claim would take."""
    found = []
    for host in ("host1", "host2", "host3"):
        try:
            groups.guard(tx, server, host)
        except errors.GroupPolicy:
            continue
        found.append(host)
    return found


def test_a_group_is_given_as_it_was_made(fleet):
    with fleet.write() as tx:
        made = make(tx, rules={"max_server_per_host": 2})
        first, second = member(tx, made), member(tx, made)
        found = groups.get(tx, made.uuid)

        assert [first, second] == found.members
        assert ("anti-affinity", {"max_server_per_host": 2}) == (found.policy, found.rules)
        assert [found] == groups.find(tx)
        assert [found] == groups.find(tx, found.project_id)
        assert [] == groups.find(tx, "another")


def test_a_deleted_server_is_no_member(fleet):
    with fleet.write() as tx:
        made = make(tx)
        gone = member(tx, made)
        servers.change(tx, gone, vm_state=states.Vm.DELETED)

        assert [] == groups.get(tx, made.uuid).members


def test_the_members_of_a_deleted_group_stay(fleet):
    with fleet.write() as tx:
        made = make(tx)
        left = member(tx, made)
        groups.delete(tx, made.uuid)

        assert left == servers.get(tx, left).uuid
        assert groups.of(tx, left) is None
        with pytest.raises(errors.GroupNotFound, match=made.uuid):
            groups.delete(tx, made.uuid)
        with pytest.raises(errors.GroupNotFound, match=made.uuid):
            member(tx, made)


def test_a_server_without_a_group_may_go_anywhere(fleet):
    with fleet.write() as tx:
        assert ["host1", "host2", "host3"] == allowed(tx, "vm")


def test_members_apart_share_no_host(fleet):
    with fleet.write() as tx:
        made = make(tx)
        member(tx, made, "host1")
        other = member(tx, made)

        assert ["host2", "host3"] == allowed(tx, other)


def test_as_many_share_a_host_as_the_rule_says(fleet):
    with fleet.write() as tx:
        made = make(tx, rules={"max_server_per_host": 2})
        member(tx, made, "host1")
        member(tx, made, "host2")
        member(tx, made, "host2")
        other = member(tx, made)

        assert ["host1", "host3"] == allowed(tx, other)


def test_a_member_may_stay_where_it_is(fleet):
    """The policy is about the others."""
    with fleet.write() as tx:
        made = make(tx)
        only = member(tx, made, "host1")

        assert "host1" in allowed(tx, only)


def test_a_member_on_its_way_counts_at_both_ends(fleet):
    """Neither host may be given away while it can still end up there."""
    with fleet.write() as tx:
        made = make(tx)
        moving = member(tx, made, "host1")
        claims.claim(tx, "host2", moving, {claims.VCPU: 1})
        other = member(tx, made)

        assert ["host3"] == allowed(tx, other)


def test_a_member_that_may_go_back_counts_where_it_came_from(fleet):
    """A resized server lives at its destination, and its move holds room at the source."""
    with fleet.write() as tx:
        made = make(tx)
        resized = member(tx, made, "host2")
        move = moves.create(tx, factories.migration(instance_uuid=resized))
        claims.claim(tx, "host1", move.uuid, {claims.VCPU: 1})
        other = member(tx, made)

        assert ["host3"] == allowed(tx, other)


def test_members_together_follow_the_others(fleet):
    with fleet.write() as tx:
        made = make(tx, states.Affinity.TOGETHER)
        first = member(tx, made)
        anywhere = allowed(tx, first)
        claims.claim(tx, "host2", first, {claims.VCPU: 1})
        other = member(tx, made)

        assert ["host1", "host2", "host3"] == anywhere
        assert ["host2"] == allowed(tx, other)


def test_nobody_follows_a_member_on_its_way(fleet):
    """It may end on either host, so the other would be right on neither."""
    with fleet.write() as tx:
        made = make(tx, states.Affinity.TOGETHER)
        moving = member(tx, made, "host1")
        claims.claim(tx, "host2", moving, {claims.VCPU: 1})
        other = member(tx, made)

        assert [] == allowed(tx, other)


@pytest.mark.parametrize("policy", [states.Affinity.SOFT_APART, states.Affinity.SOFT_TOGETHER])
def test_a_soft_policy_refuses_nothing(fleet, policy):
    with fleet.write() as tx:
        made = make(tx, policy)
        member(tx, made, "host1")
        member(tx, made, "host2")
        other = member(tx, made)

        assert ["host1", "host2", "host3"] == allowed(tx, other)


def test_a_refusal_names_group_and_numbers(fleet):
    with fleet.write() as tx:
        made = make(tx)
        member(tx, made, "host1")
        other = member(tx, made)

        with pytest.raises(errors.GroupPolicy, match=f"host1: server group {made.uuid}.*1 of its"):
            groups.guard(tx, other, "host1")
