"""The lab's links are made, and free subnets told from taken ones."""

import pytest

from deploy.lab import links
from deploy.lab import plan as plans

PORTS = plans.Ports(5680, 25680, 4380, 8774)
PLAN = plans.Plan("lab", "198.51.100.0/24", 2, PORTS, "secret")


def test_every_host_has_a_link_on_each_bridge():
    commands = links.root_commands(PLAN)

    for host in PLAN.hosts:
        assert f"link set {host.control_link} master lab-ctl up" in commands
        assert f"link set {host.tenant_link} master lab-ten up" in commands


def test_guests_share_a_bridge_inside_the_host():
    commands = links.inner_commands(PLAN, PLAN.hosts[0])

    assert "link set eth1 master br-tenant up" in commands
    assert "addr add 198.51.100.11/25 dev eth0" in commands


@pytest.mark.parametrize(
    ("local", "prefix", "taken"),
    [
        ("198.51.100.77", 32, True),
        ("198.51.0.1", 16, True),
        ("198.51.101.1", 24, False),
        ("10.0.0.1", 8, False),
    ],
)
def test_overlapping_networks_are_taken(local, prefix, taken):
    address = {"family": "inet", "local": local, "prefixlen": prefix}

    assert taken == links.overlaps(PLAN, address)


def test_other_families_do_not_count():
    assert not links.overlaps(PLAN, {"family": "inet6", "local": "fd00::2", "prefixlen": 64})


def test_rules_carry_the_labs_mark():
    """By it they are found again when the lab goes."""
    assert "whimbrel-lab:lab" in links.accept(PLAN, PLAN.control_bridge)
