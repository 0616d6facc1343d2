"""Services, hypervisors, zones, hosts and limits."""

import pytest

from common.db import claims

NUMBERS = {
    *("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb"),
    *("local_gb_used", "free_disk_gb", "disk_available_least", "running_vms"),
    *("current_workload", "cpu_info"),
}
ALWAYS = {
    *("id", "hypervisor_hostname", "state", "status", "host_ip", "hypervisor_type"),
    *("hypervisor_version", "service"),
}


@pytest.fixture
def two(api):
    """An API with a host that is up and one that is down."""
    api.host("down")
    api.parts.clock.advance(31)
    api.host("up", address="198.51.100.2", availability_zone="nova", running_vms=3)
    return api


def services(api, query: str = "", version: str = "2.1") -> dict[str, dict[str, object]]:
    return {row["host"]: row for row in api.get(f"/os-services{query}", version)["services"]}


def test_service_is_down_after_its_silence(two):
    found = services(two)

    assert ("up", "down") == (found["up"]["state"], found["down"]["state"])
    assert {"up"} == services(two, "?host=up").keys()
    assert {} == services(two, "?binary=nova-conductor")


@pytest.mark.parametrize(
    ("version", "kind", "forced"), [("2.1", int, False), ("2.11", int, True), ("2.53", str, True)]
)
def test_service_has_the_fields_of_its_microversion(two, version, kind, forced):
    found = services(two, version=version)["up"]

    assert isinstance(found["id"], kind)
    assert forced == ("forced_down" in found)


def test_service_is_disabled_with_a_reason_and_enabled(two):
    path = f"/os-services/{services(two, version='2.53')['up']['id']}"
    body = {"status": "disabled", "disabled_reason": "broken fan"}

    disabled = two.ask("PUT", path, body, version="2.53").json["service"]
    enabled = two.ask("PUT", path, {"status": "enabled"}, version="2.53").json["service"]
    forced = two.ask("PUT", path, {"forced_down": True}, version="2.53").json["service"]

    assert ("disabled", "broken fan") == (disabled["status"], disabled["disabled_reason"])
    assert ("enabled", None) == (enabled["status"], enabled["disabled_reason"])
    assert (True, "down") == (forced["forced_down"], forced["state"])


@pytest.mark.parametrize(
    ("verb", "more", "answer"),
    [
        ("disable", {}, {"status": "disabled"}),
        ("enable", {}, {"status": "enabled"}),
        (
            "disable-log-reason",
            {"disabled_reason": "fan"},
            {"status": "disabled", "disabled_reason": "fan"},
        ),
        ("force-down", {"forced_down": True}, {"forced_down": True}),
    ],
)
def test_service_is_changed_as_old_clients_ask(two, verb, more, answer):
    who = {"host": "up", "binary": "nova-compute"}

    response = two.ask("PUT", f"/os-services/{verb}", {**who, **more}, version="2.11")

    assert {"service": who | answer} == response.json


@pytest.mark.parametrize(
    ("key", "body", "version", "status", "word"),
    [
        ("enable", {"host": "x", "binary": "nova-compute"}, "2.1", 404, "x"),
        ("enable", {"host": "up"}, "2.1", 400, "binary is missing"),
        ("explode", {"host": "up", "binary": "nova-compute"}, "2.1", 404, "explode"),
        ("force-down", {"host": "up", "binary": "nova-compute"}, "2.11", 400, "forced_down"),
        ("unknown", {"status": "enabled"}, "2.53", 404, "unknown"),
        ("unknown", {"status": "tired"}, "2.53", 400, "status"),
        ("unknown", {}, "2.53", 400, "status"),
        ("unknown", {"status": "enabled", "disabled_reason": "x"}, "2.53", 400, "reason"),
    ],
)
def test_change_of_a_service_is_refused(two, key, body, version, status, word):
    assert word in two.refuse("PUT", f"/os-services/{key}", body, status, version)


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("2.1", ALWAYS | NUMBERS),
        ("2.53", ALWAYS | NUMBERS),
        ("2.87", ALWAYS | NUMBERS),
        ("2.88", ALWAYS | {"uptime"}),
    ],
)
def test_hypervisor_has_exactly_the_fields_of_its_microversion(two, version, fields):
    down, up = two.get("/os-hypervisors/detail", version)["hypervisors"]

    assert fields == up.keys()
    assert ("up", "198.51.100.2") == (up["state"], up["host_ip"])
    assert ("down", None) == (down["state"], down["host_ip"])
    assert {"hypervisor": up} == two.get(f"/os-hypervisors/{up['id']}", version)


@pytest.mark.parametrize(("version", "kind"), [("2.27", str), ("2.28", dict)])
def test_cpu_info_is_an_object_from_2_28(two, version, kind):
    (_, up) = two.get("/os-hypervisors/detail", version)["hypervisors"]

    assert isinstance(up["cpu_info"], kind)


def test_hypervisor_shows_its_servers_when_asked(two):
    server = two.server(host="up")

    found = two.get("/os-hypervisors?with_servers=true", "2.53")["hypervisors"]
    always = two.get("/os-hypervisors?with_servers=true", "2.75")["hypervisors"]
    (old,) = two.get("/os-hypervisors/up/servers")["hypervisors"]

    assert [{"uuid": server.uuid, "name": "vm"}] == found[1]["servers"] == old["servers"]
    assert "servers" not in found[0]
    assert [] == always[0]["servers"]


def test_hypervisors_are_found_by_name_and_paged(two):
    (named,) = two.get("/os-hypervisors?hypervisor_hostname_pattern=u", "2.53")["hypervisors"]
    first = two.get("/os-hypervisors?limit=1", "2.53")

    assert "up" == named["hypervisor_hostname"]
    assert first["hypervisors"][0]["id"] in first["hypervisors_links"][0]["href"]
    assert "up" == two.get("/os-hypervisors/u/search")["hypervisors"][0]["hypervisor_hostname"]
    two.get("/os-hypervisors/x/search", status=404)
    two.get("/os-hypervisors/u/search", "2.53", status=404)


def test_hypervisor_statistics_are_sums(two):
    total = two.get("/os-hypervisors/statistics")["hypervisor_statistics"]

    assert (2, 8, 3) == (total["count"], total["vcpus"], total["running_vms"])
    two.get("/os-hypervisors/statistics", "2.88", status=404)


def test_uptime_can_be_taken_apart_by_clients(two):
    shown = two.get("/os-hypervisors/1/uptime")["hypervisor"]["uptime"]

    assert " load average: 0.00, 0.00, 0.00" in shown
    two.get("/os-hypervisors/9/uptime", status=404)


def test_zones_are_those_of_hosts(two):
    two.host("far", availability_zone="mars")

    zones = two.get("/os-availability-zone")["availabilityZoneInfo"]
    (mars, _nova) = two.get("/os-availability-zone/detail")["availabilityZoneInfo"]

    assert ["mars", "nova"] == [zone["zoneName"] for zone in zones]
    assert [None, None] == [zone["hosts"] for zone in zones]
    assert {"far"} == mars["hosts"].keys()
    assert mars["hosts"]["far"]["nova-compute"]["available"]


@pytest.mark.parametrize("prefix", ["/v2.1", ""])
def test_whole_host_has_promised_and_measured_numbers(two, prefix):
    server = two.server(host="up")
    with two.database.write() as tx:
        claims.claim(tx, "up", server.uuid, claims.amounts(server.flavor))

    shown = two.client.get(f"{prefix}/whimbrel/hosts/up").json["host"]
    listed = two.client.get(f"{prefix}/whimbrel/hosts").json["hosts"]

    assert (512, 3584, 3) == (shown["memory_mb_used"], shown["free_ram_mb"], shown["running_vms"])
    assert {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1} == shown["allocations"]
    assert ("x86_64", True) == (shown["facts"]["architecture"], shown["service"]["up"])
    assert [] == shown.pop("shares_disks_with")
    assert (None, []) == (shown.pop("usage"), shown.pop("findings"))
    assert shown in listed
    assert 404 == two.client.get(f"{prefix}/whimbrel/hosts/unknown").status_code


def test_hosts_that_share_their_disks_are_named(api):
    for name, storage in (("one", "nfs"), ("two", "nfs"), ("alone", "")):
        api.host(name, storage=storage)

    shown = [api.get(f"/whimbrel/hosts/{name}")["host"] for name in ("one", "alone")]

    assert [["two"], []] == [host["shares_disks_with"] for host in shown]


def test_limits_tell_what_is_used(two):
    two.server()

    limits = two.get("/limits")["limits"]["absolute"]

    assert (1, 1, 512, -1) == (
        limits["totalInstancesUsed"],
        limits["totalCoresUsed"],
        limits["totalRAMUsed"],
        limits["maxTotalInstances"],
    )


def test_what_does_not_exist_is_an_empty_list(api):
    assert {"keypairs": []} == api.get("/os-keypairs")
