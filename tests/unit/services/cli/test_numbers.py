"""`whimbrel host show`: each number with what it is made of."""

import copy

import pytest

GIB = 1 << 30
UUID = "8f0f3c1e-0000-4000-8000-000000000001"
HOST = {
    "host": "host1",
    "vcpus": 16,
    "vcpus_used": 13,
    "memory_mb": 300000,
    "memory_mb_used": 291360,
    "free_ram_mb": 8640,
    "local_gb": 7,
    "local_gb_used": 6,
    "free_disk_gb": 1,
    "disk_available_least": -2,
    "reserved_host_cpus": 2,
    "reserved_host_memory_mb": 20000,
    "reserved_host_disk_mb": 1025,
    "foreign_vcpus": 3,
    "foreign_memory_mb": 0,
    "foreign_gb": 0,
    "cpu_allocation_ratio": 4.0,
    "ram_allocation_ratio": 1.0,
    "disk_allocation_ratio": 1.0,
    "allocations": {"VCPU": 8, "MEMORY_MB": 271360, "DISK_GB": 4},
    "over_promised": {},
    "shares_disks_with": ["host2", "host3"],
    "findings": [f"host1 has guest {UUID} (running), which is in no record"],
    "usage": {
        "memory_free_mb": 9000,
        "disk_free_mb": 2458,
        "disks": [
            {
                "instance_uuid": UUID,
                "path": f"/instances/{UUID}/disk",
                "virtual_bytes": 5 * GIB,
                "allocated_bytes": GIB,
                "may_grow_bytes": 4 * GIB,
            }
        ],
        "foreign": [{"uuid": UUID, "name": "legacy", "vcpus": 3, "memory_mb": 512, "disk_gb": 10}],
        "supported_instances": [
            {"architecture": "x86_64", "hypervisor_type": "kvm", "vm_mode": "hvm"}
        ],
        "cpu_info": {
            "arch": "x86_64",
            "vendor": "AMD",
            "model": "Milan",
            "cells": 2,
            "sockets": 1,
            "cores": 8,
            "threads": 2,
        },
    },
}


def show(api, whimbrel, *words: str, **values: object):
    api.answer("GET", "/whimbrel/hosts/host1", {"host": {**copy.deepcopy(HOST), **values}})
    return whimbrel("host", "show", "host1", *words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vcpus_used", "13 = 2 reserved + 3 foreign + 8 promised"),
        ("vcpus_left", "45 = (16 - 2 reserved) * 4.0 - 3 foreign - 8 promised"),
        ("memory_mb_used", "291360 = 20000 reserved + 271360 promised"),
        ("free_ram_mb", "8640 = 300000 - 20000 reserved - 271360 promised"),
        ("memory_mb_left", "8640 = (300000 - 20000 reserved) * 1.0 - 271360 promised"),
        ("local_gb_used", "6 = 2 reserved + 4 promised"),
        ("free_disk_gb", "1 = 7 - 2 reserved - 4 promised"),
        ("disk_available_least_gb", "-2 = 2.4 measured free - 4.0 that 1 disks may grow"),
    ],
)
def test_number_is_shown_with_its_inputs(api, whimbrel, name, words):
    lines = show(api, whimbrel).out.splitlines()

    (line,) = [line for line in lines if line.split("|")[1:2] == [f" {name} ".ljust(25)]]
    assert words == line.split("|")[2].strip()


def test_programs_get_the_number_alone(api, whimbrel):
    shown = show(api, whimbrel, "-f", "json").json

    assert (8640, -2, 45) == (
        shown["free_ram_mb"],
        shown["disk_available_least_gb"],
        shown["vcpus_left"],
    )


@pytest.mark.parametrize(
    ("least", "lines"),
    [(-2, [f"/instances/{UUID}/disk may grow 4.0 GiB (1.0 of 5.0), server {UUID}"]), (0, [])],
)
def test_disks_that_may_outgrow_the_file_system_are_named(api, whimbrel, least, lines):
    """Only where they may: else they are no trouble."""
    shown = show(api, whimbrel, "-f", "json", disk_available_least=least).json

    assert lines == shown["growing_disks"]


def test_foreign_guests_and_findings_are_shown(api, whimbrel):
    shown = show(api, whimbrel, "-f", "json").json

    assert [f"legacy ({UUID}): 3 vCPUs, 512 MiB, 10 GiB"] == shown["foreign_guests"]
    assert HOST["findings"] == shown["findings"]
    assert ["host2", "host3"] == shown["shares_disks_with"]
    assert ["x86_64/kvm/hvm"] == shown["supported_instances"]
    assert "x86_64 AMD Milan: 2 cells, 1 sockets, 8 cores, 2 threads" == shown["cpu_info"]


def test_over_promised_host_is_seen_in_both(api, whimbrel):
    over = {"MEMORY_MB": 3200, "VCPU": 1}
    api.answer("GET", "/whimbrel/hosts", {"hosts": [{**HOST, "over_promised": over}, HOST]})

    listed = whimbrel("host", "list", "-f", "json").json
    shown = show(api, whimbrel, "-f", "json", over_promised=over).json

    words = "vCPUs 1, memory 3200 MiB"
    assert [words, ""] == [row["Over-promised"] for row in listed]
    assert words == shown["over_promised"]


def test_host_that_never_told_its_disks_is_shown(api, whimbrel):
    """One whose compute is older than this command."""
    shown = show(api, whimbrel, "-f", "json", usage=None, disk_available_least=None).json

    assert (None, [], []) == (
        shown["disk_available_least_gb"],
        shown["growing_disks"],
        shown["foreign_guests"],
    )


@pytest.mark.parametrize(("words", "path"), [((), ""), (("host1",), "/host1")])
def test_audit_is_ordered_and_its_findings_listed(api, whimbrel, words, path):
    found = {"host": "host1", "kind": "power", "sentence": "it stopped", "repaired": True}
    api.answer("POST", f"/whimbrel/hosts{path}/audit", {"findings": [found]})

    rows = whimbrel("host", "audit", *words, "-f", "json").json

    assert [{"Host": "host1", "Kind": "power", "Found": "it stopped", "Put right": "yes"}] == rows
