import pytest

HOST = {
    "host": "host1",
    "availability_zone": "nova",
    "vcpus": 4,
    "vcpus_used": 1,
    "memory_mb": 4096,
    "memory_mb_used": 640,
    "local_gb": 20,
    "local_gb_used": 1,
    "running_vms": 1,
    "facts": {"hypervisor_type": "QEMU", "bridges": ["br-tenant"]},
    "service": {"up": True, "disabled": True, "disabled_reason": "new disk"},
}
SERVICE = {"id": "s-1", "binary": "nova-compute", "host": "host1", "status": "enabled"}


def test_a_host_list_shows_promised_of_all(api, whimbrel):
    """What is used is counted in promises, beside what there is."""
    api.answer("GET", "/whimbrel/hosts", {"hosts": [HOST]})

    row = whimbrel("host", "list", "-f", "json").json[0]

    assert ("up", "disabled", "640/4096") == (row["State"], row["Status"], row["Memory MiB"])


def test_a_host_shows_all_it_reports(api, whimbrel):
    """Programs get lists and numbers, not text."""
    api.answer("GET", "/whimbrel/hosts/host1", {"host": HOST})

    shown = whimbrel("host", "show", "host1", "-f", "json").json

    assert (["br-tenant"], 640, "new disk") == (
        shown["bridges"],
        shown["memory_mb_used"],
        shown["disabled_reason"],
    )


def test_disabling_finds_the_compute_of_a_host(api, whimbrel):
    """A host's name is enough, and the reason goes along."""
    other = {**SERVICE, "id": "s-2", "binary": "nova-conductor"}
    api.answer("GET", "/os-services", {"services": [other, SERVICE]})
    api.answer("PUT", "/os-services/s-1", {"service": {**SERVICE, "status": "disabled"}})

    typed = whimbrel("service", "disable", "host1", "--reason", "new disk", "-f", "json")

    assert "disabled" == typed.json["status"]
    assert {"status": "disabled", "disabled_reason": "new disk"} == api.of("PUT")[0].body


@pytest.mark.parametrize(("words", "forced"), [((), True), (("--unset",), False)])
def test_a_host_is_forced_down_and_that_is_taken_back(api, whimbrel, words, forced):
    """Only that is said of its compute service, and the answer shows it."""
    api.answer("GET", "/os-services", {"services": [SERVICE]})
    api.answer("PUT", "/os-services/s-1", {"service": {**SERVICE, "forced_down": forced}})

    typed = whimbrel("service", "force-down", "host1", *words, "-f", "json")

    assert forced is typed.json["forced_down"]
    assert {"forced_down": forced} == api.of("PUT")[0].body


def test_services_show_who_is_forced_down(api, whimbrel):
    """Beside the state, which is down for it too."""
    api.answer("GET", "/os-services", {"services": [{**SERVICE, "forced_down": True}]})

    assert whimbrel("service", "list", "-f", "json").json[0]["Forced down"] is True


def test_an_unknown_host_has_no_service(api, whimbrel):
    """Nothing is ordered for a host that nobody has heard of."""
    api.answer("GET", "/os-services", {"services": [SERVICE]})

    typed = whimbrel("service", "enable", "host9")

    assert 1 == typed.status
    assert (
        "error: no nova-compute service is called 'host9'; see: whimbrel service list\n"
        == typed.err
    )
