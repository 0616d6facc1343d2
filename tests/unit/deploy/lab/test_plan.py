"""A lab's names, addresses and paths follow from its name, subnet and number of hosts."""

import json
from typing import Any

import pytest

from deploy.lab import errors
from deploy.lab import plan as plans

PORTS = plans.Ports(5680, 25680, 4380, 8774)


def make(name: str = "lab", subnet: str = "198.51.100.0/24", **others: Any) -> plans.Plan:
    return plans.Plan(name=name, subnet=subnet, count=2, ports=PORTS, password="secret", **others)


def test_hosts_are_in_the_lower_half_and_guests_in_the_upper():
    plan = make()

    assert ["198.51.100.11", "198.51.100.12"] == [host.address for host in plan.hosts]
    assert "198.51.100.1" == plan.controller_address
    assert "198.51.100.129" == plan.prober_address
    assert "198.51.100.128/25" == str(plan.tenant)


@pytest.mark.parametrize("name", ["lab", "eight-ch", "a-rather-long-name-of-32-letters"])
def test_interface_names_fit_the_kernel(name):
    """15 characters is what Linux takes, also for the last host."""
    plan = make(name)
    last = plans.Host(plan.short, 116, "198.51.100.126", plan.root)

    names = [plan.control_bridge, plan.tenant_bridge, last.control_link, last.tenant_link]

    assert all(len(each) <= 15 for each in names)


def test_long_names_with_equal_beginnings_differ():
    assert make("integration-one").short != make("integration-two").short


def test_plan_survives_its_file():
    plan = make(settings=("compute.limit=1",), shared=True)

    assert plan == plans.load(json.loads(json.dumps(plans.dump(plan))))


def test_bare_lab_has_no_whimbrel():
    expected = [("controller", "rabbitmq"), ("host1", "libvirtd"), ("host2", "libvirtd")]

    assert expected == make(bare=True).everything()


def test_unknown_host_names_the_known():
    with pytest.raises(errors.Unknown, match="it has: host1, host2"):
        make().host("host3")


@pytest.mark.parametrize(
    ("host", "service", "words"),
    [
        ("host9", "compute", "it has: controller, host1, host2"),
        ("host1", "api", "it has: libvirtd, compute"),
        ("controller", "compute", "it has: rabbitmq, conductor, scheduler, api"),
    ],
)
def test_misplaced_service_names_the_placed(host, service, words):
    with pytest.raises(errors.Unknown, match=words):
        make().check_service(host, service)


@pytest.mark.parametrize(
    ("name", "subnet", "count", "words"),
    [
        ("Lab", "198.51.100.0/24", 2, "cannot name a lab"),
        ("lab/../x", "198.51.100.0/24", 2, "cannot name a lab"),
        ("lab", "198.51.100.7/24", 2, "is no subnet"),
        ("lab", "somewhere", 2, "is no subnet"),
        ("lab", "198.51.100.0/24", 0, "do not fit"),
        ("lab", "198.51.100.0/24", 117, "1 to 116 do"),
        ("lab", "198.51.100.0/29", 1, "do not fit"),
    ],
)
def test_impossible_choices_are_refused(name, subnet, count, words):
    with pytest.raises(errors.Unknown, match=words):
        plans.check(name, subnet, count)


def test_last_host_that_fits_is_in_the_lower_half():
    """The largest number that is accepted gives no address outside, nor the broadcast one."""
    plans.check("lab", "198.51.100.0/24", 116)
    plan = plans.Plan("lab", "198.51.100.0/24", 116, PORTS, "secret")

    assert "198.51.100.126" == plan.hosts[-1].address


def test_guest_address_is_in_its_mac():
    assert "fa:16:c6:33:64:82" == plans.guest_mac("198.51.100.130")
