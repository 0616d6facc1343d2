import collections
import pathlib

import pytest
import yaml

from common import errors
from services.compute.fleet import member
from services.compute.fleet import topology

SAMPLES = pathlib.Path(__file__).parents[5] / "deploy" / "scale"


def parse(text):
    return topology.parse(yaml.safe_load(text), "t.yaml")


def refusal(text):
    with pytest.raises(errors.Invalid) as raised:
        parse(text)
    return str(raised.value)


def group(more="", name="n{number}", count=2):
    return f'groups: [{{name: "{name}", count: {count}{more}}}]'


def test_group_stands_for_as_many_hosts():
    """Names come of the pattern, and sizes and zones become the options of each compute."""
    found = parse(group(", zone: north, vcpus: 8, ratios: {vcpus: 2.0}", name="n{number:03}"))

    assert ["n001", "n002"] == [host.name for host in found.members()]
    assert {
        "compute.availability_zone": "north",
        "simulated.vcpus": 8,
        "compute.cpu_allocation_ratio": 2.0,
    } == found.members()[0].options


def test_list_gives_each_host_its_own_size():
    found = parse(group(", vcpus: [5, 10]"))

    assert [5, 10] == [host.options["simulated.vcpus"] for host in found.members()]


def test_defaults_are_filled_in_key_by_key():
    """A group that says one number of a table keeps the other defaults of it."""
    found = parse(
        "defaults: {zone: z, reserved: {vcpus: 1, memory_mb: 512}}\n"
        + group(", reserved: {vcpus: 3}")
    )

    assert {
        "compute.availability_zone": "z",
        "compute.reserved_host_cpus": 3,
        "compute.reserved_host_memory_mb": 512,
    } == found.members()[0].options


def test_behaviour_is_taken_over():
    found = parse(group(", pool: ssd, slow: {build: 0.5}, fails: {migrate: 0.1}, features: [tls]"))

    (host, _) = found.members()

    assert ("ssd", ("tls",)) == (host.pool, host.features)
    assert ({"build": 0.5}, {"migrate": 0.1}) == (host.slow, host.fails)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "t.yaml: [] is not of type 'object'"),
        ("{}", "t.yaml: 'groups' is a required property"),
        (group(count=0), "t.yaml: groups[0].count: 0 is less than the minimum of 1"),
        (group(", vcpus: many"), "groups[0].vcpus: 'many' is not of type 'integer', 'array'"),
        (group(", vcpus: 0"), "groups[0].vcpus: 0 is less than the minimum of 1"),
        (group(", vcpus: [4]"), "vcpus lists 1 numbers for 2 hosts; list one for each, or give"),
        (group(", ram: 4"), "'ram' was unexpected"),
        (group(", fails: {build: 2}"), "groups[0].fails.build: 2 is greater than the maximum of 1"),
        (group(", fails: {fly: 1}"), "'fly' is not one of ['build', "),
        (group(", aggregates: [rack]"), "no aggregate is named rack; under aggregates there are: "),
        (group(name="same"), "two hosts are named same; names need {number}"),
        (group(name="n{index}"), "the name is no pattern; write it like rack1-{number:03}"),
        (group(name="-{number}"), "'-1' cannot be a host's name"),
        ("defaults: {count: 3}\n" + group(), "defaults"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text, words):
    assert words in refusal(text)


def test_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("groups: [")

    with pytest.raises(errors.Invalid, match=r"bad\.yaml is not YAML"):
        topology.read(str(path))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(errors.Invalid, match=r"no\.yaml cannot be read"):
        topology.read(str(tmp_path / "no.yaml"))


def test_resizing_keeps_proportions_and_every_group():
    found = topology.read(str(SAMPLES / "thousand.yaml"))

    counts = [row["count"] for row in topology.resized(found, 100).groups]

    assert 100 == sum(counts)
    assert sorted(counts, reverse=True) == counts
    assert 1 <= counts[-1] <= 3


def test_resizing_below_the_number_of_groups_is_refused():
    found = topology.read(str(SAMPLES / "thousand.yaml"))

    with pytest.raises(errors.Invalid, match="has 5 groups of hosts, so 3 hosts are too few"):
        topology.resized(found, 3)


def test_group_that_lists_its_hosts_is_not_resized():
    found = topology.read(str(SAMPLES / "ten-hosts.yaml"))

    with pytest.raises(errors.Invalid, match="lists vcpus, memory_mb host by host"):
        topology.resized(found, 20)


@pytest.mark.parametrize(
    ("name", "hosts"), [("two-zones", 40), ("ten-hosts", 10), ("thousand", 1000)]
)
def test_samples_are_sound(name, hosts):
    found = topology.read(str(SAMPLES / f"{name}.yaml"))

    assert hosts == found.size == len(found.members())


def test_ten_hosts_slope_both_ways():
    """Where memory is plenty processors are few, and the other way round."""
    found = topology.read(str(SAMPLES / "ten-hosts.yaml"))
    sizes = [
        (host.options["simulated.memory_mb"], host.options["simulated.vcpus"])
        for host in found.members()
    ]

    assert [((11 - n) * 10240, n * 5) for n in range(1, 11)] == sizes


def test_parts_share_every_zone():
    """Two processes have no host in common, and each has hosts of every zone."""
    hosts = topology.read(str(SAMPLES / "two-zones.yaml")).members()

    halves = [member.part(hosts, number, 2) for number in (1, 2)]

    assert {host.name for host in hosts} == {host.name for half in halves for host in half}
    zones = [
        collections.Counter(host.options["compute.availability_zone"] for host in half)
        for half in halves
    ]
    assert [{"north": 10, "south": 10}] * 2 == zones
