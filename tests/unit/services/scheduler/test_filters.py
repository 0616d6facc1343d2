import json

import pytest

from common import errors
from common.config import load
from common.db import claims
from common.db.hosts import Room
from services.scheduler import request
from services.scheduler.filters import table
from tests import factories

GOOD = Room(
    name="host1",
    zone="nova",
    up=True,
    silent=3.0,
    forced_down=False,
    disabled=False,
    disabled_reason=None,
    facts=json.dumps(
        factories.facts(
            virt_type="kvm",
            cpu="<cpu><model>Milan</model><feature name='avx'/><feature name='sse'/></cpu>",
        ).obj_to_primitive()
    ),
    amounts={
        claims.VCPU: claims.Amount(4, 0, 1.0, 3),
        claims.MEMORY_MB: claims.Amount(4096, 512, 1.0, 3072),
        claims.DISK_GB: claims.Amount(40, 0, 2.0, 79),
    },
)
WANTED = request.Request(
    consumer="vm",
    amounts={claims.VCPU: 1, claims.MEMORY_MB: 512, claims.DISK_GB: 1},
    zone="nova",
    requested_host="host1",
    ignored=frozenset({"host2"}),
    server="vm",
)


@pytest.mark.parametrize("name", table.FILTERS)
def test_a_host_that_just_fits_passes(name):
    assert table.FILTERS[name].refuse(GOOD, WANTED) is None


@pytest.mark.parametrize(
    ("name", "host", "wanted", "reason"),
    [
        (
            "ComputeFilter",
            {"up": False, "silent": 41.6},
            {},
            "its compute service is down, last seen 42 s ago",
        ),
        (
            "ComputeFilter",
            {"up": False, "silent": None},
            {},
            "its compute service has never reported",
        ),
        (
            "ComputeFilter",
            {"up": False, "forced_down": True},
            {},
            (
                "its compute service is forced down "
                "(to take that back: whimbrel service force-down host1 --unset)"
            ),
        ),
        ("ComputeFilter", {"disabled": True}, {}, "it is disabled: no reason was given"),
        (
            "ComputeFilter",
            {"disabled": True, "disabled_reason": "fan"},
            {},
            "it is disabled: fan",
        ),
        (
            "AvailabilityZoneFilter",
            {"zone": "west"},
            {},
            "it is in availability zone west, nova is wanted",
        ),
        (
            "RetryFilter",
            {},
            {"tried": {"host1": "no bridge"}},
            "it was tried already: no bridge",
        ),
        (
            "RamFilter",
            {},
            {"amounts": {claims.MEMORY_MB: 513}},
            "needs 513 MB, 512 MB free of 3584",
        ),
        ("CoreFilter", {}, {"amounts": {claims.VCPU: 2}}, "needs 2 vCPUs, 1 free of 4"),
        (
            "DiskFilter",
            {},
            {"amounts": {claims.DISK_GB: 2}},
            "needs 2 GB of disk, 1 GB free of 80",
        ),
        ("DiskFilter", {"amounts": {}}, {}, "needs 1 GB of disk, 0 GB free of 0"),
        (
            "IoOpsFilter",
            {"io_ops": 8},
            {},
            "8 servers are built, moved or resized there, 8 may be",
        ),
        ("NumInstancesFilter", {"instances": 500}, {}, "500 servers are there, 500 may be"),
        (
            "SameHostFilter",
            {},
            {"same_hosts": frozenset({"host3", "host2"})},
            "the servers of the hint same_host are on host2, host3",
        ),
        (
            "SameHostFilter",
            {},
            {"same_hosts": frozenset()},
            "the servers of the hint same_host are on no host",
        ),
        (
            "DifferentHostFilter",
            {},
            {"different_hosts": frozenset({"host1"})},
            "it has a server of the hint different_host",
        ),
        (
            "StoragePoolFilter",
            {},
            {"storage": frozenset({"host7"})},
            "it does not reach the guest's disks; host7 does",
        ),
        (
            "ComputeCapabilitiesFilter",
            {},
            {"extra_specs": {"capabilities:hypervisor_version": ">= 8000000"}},
            "hypervisor_version is 7002000, the flavor wants >= 8000000",
        ),
        (
            "ComputeCapabilitiesFilter",
            {},
            {"extra_specs": {"cpu_info:features": "<all-in> avx amx"}},
            "cpu_info:features is avx, sse, the flavor wants <all-in> avx amx",
        ),
        (
            "ComputeCapabilitiesFilter",
            {},
            {"extra_specs": {"capabilities:colour": "red"}},
            "colour is unknown, the flavor wants red",
        ),
        (
            "ImagePropertiesFilter",
            {},
            {"image": {"hw_architecture": "aarch64"}},
            "its architecture is x86_64, the image wants aarch64",
        ),
        (
            "ImagePropertiesFilter",
            {},
            {"image": {"img_hv_type": "xen"}},
            "its hypervisor is QEMU (kvm), the image wants xen",
        ),
        (
            "ImagePropertiesFilter",
            {},
            {"image": {"img_hv_requested_version": ">=7,<7.2"}},
            "its hypervisor is of version 7.2.0, the image wants >=7,<7.2",
        ),
    ],
)
def test_a_refusal_says_why(name, host, wanted, reason):
    amounts = {**WANTED.amounts, **wanted.get("amounts", {})}
    asked = WANTED._replace(**{**wanted, "amounts": amounts})

    assert reason == table.FILTERS[name].refuse(GOOD._replace(**host), asked)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ComputeCapabilitiesFilter", {"extra_specs": {"hw:mem_page_size": "large"}}),
        ("ComputeCapabilitiesFilter", {"extra_specs": {"colour": "red"}}),
        ("ComputeCapabilitiesFilter", {"extra_specs": {"hypervisor_type": "QEMU"}}),
        ("ComputeCapabilitiesFilter", {"extra_specs": {"capabilities:cpu_info:model": "Milan"}}),
        ("ImagePropertiesFilter", {"image": {"architecture": "amd64", "hypervisor_type": "kvm"}}),
        ("ImagePropertiesFilter", {"image": {"img_hv_requested_version": ">=7,!=7.1"}}),
        ("SameHostFilter", {"same_hosts": frozenset({"host1", "host2"})}),
        ("StoragePoolFilter", {"storage": frozenset({"host1", "host2"})}),
    ],
)
def test_what_is_wanted_and_there_passes(name, wanted):
    assert table.FILTERS[name].refuse(GOOD, WANTED._replace(**wanted)) is None


def test_without_wishes_any_host_will_do():
    anything = WANTED._replace(zone=None, requested_host=None)
    chosen = table.choose(table.FILTERS)

    assert table.refusal(chosen, GOOD._replace(zone="x"), anything) is None


def test_the_first_filter_gives_the_reason():
    chosen = table.choose(["AvailabilityZoneFilter", "ComputeFilter"])

    refusal = table.refusal(chosen, GOOD._replace(up=False, zone="west"), WANTED)

    assert refusal is not None
    assert "AvailabilityZoneFilter" == refusal[0]


def test_an_unknown_filter_is_named():
    with pytest.raises(errors.Invalid, match="colour"):
        table.choose(["RamFilter", "colour"])


def test_a_specification_is_read_whole(database):
    spec = factories.spec(
        consumer="vm", availability_zone="nova", requested_host="host1", ignore_hosts=["host2"]
    )

    with database.read() as tx:
        found = request.read(tx, spec, load.private({}), factories.NOW)

    assert WANTED == found._replace(seen_since=None)
