"""Each service is told what it needs, and no more."""

import configparser
from typing import Any

import pytest

from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.lab import services

PORTS = plans.Ports(5680, 25680, 4380, 8774)


def make(**others: Any) -> plans.Plan:
    return plans.Plan("lab", "198.51.100.0/24", 2, PORTS, "secret", **others)


def test_compute_does_not_know_the_database():
    """What it cannot reach it cannot come to depend on."""
    assert "database" not in services.options(make(), "host1", "compute")


@pytest.mark.parametrize("service", ["conductor", "scheduler", "api"])
def test_controller_services_know_the_database(service):
    options = services.options(make(database="postgresql://db/whimbrel"), "controller", service)

    assert {"connection": "postgresql://db/whimbrel"} == options["database"]


def test_compute_tells_peers_its_own_address():
    options = services.options(make(), "host2", "compute")

    assert "198.51.100.12" == options["libvirt"]["migration_address"]


@pytest.mark.parametrize(("shared", "trusted"), [(True, "true"), (False, "false")])
def test_probe_is_trusted_only_where_storage_is_shared(shared, trusted):
    options = services.options(make(shared=shared), "host1", "compute")

    assert trusted == options["libvirt"]["trust_shared_probe"]


@pytest.mark.parametrize(("tls", "scheme"), [(True, "tls"), (False, "tcp")])
@pytest.mark.parametrize("service", ["conductor", "compute"])
def test_plain_tcp_is_written_down(tls, scheme, service):
    """It is nobody's default; who makes the policies is told as well as who carries them out."""
    options = services.options(make(tls=tls), "host1", service)

    assert (scheme, str(tls).lower()) == (
        options["libvirt"]["live_migration_scheme"],
        options["libvirt"]["live_migration_with_native_tls"],
    )


def test_settings_win_and_keep_their_neighbours():
    plan = make(settings=("service.heartbeat=9", "libvirt.a=b", "new.url=x=y"))

    options = services.options(plan, "host1", "compute")

    assert {"heartbeat": "9", "down_after": "10"} == options["service"]
    assert "qemu:///system" == options["libvirt"]["uri"]
    assert {"url": "x=y"} == options["new"]


@pytest.mark.parametrize("setting", ["", "key=value", "section.key", ".key=1", "section.=1"])
def test_malformed_setting_is_refused(setting):
    with pytest.raises(errors.Unknown, match=r"section\.key=value"):
        services.check_setting(setting)


def test_rendered_settings_are_read_back():
    """Percent signs of passwords and URLs are kept as they are."""
    options = {"DEFAULT": {"transport_url": "rabbit://a:%40b@c/"}, "api": {"port": "1"}}
    parser = configparser.RawConfigParser()

    parser.read_string(services.render(options))

    assert "rabbit://a:%40b@c/" == parser["DEFAULT"]["transport_url"]
    assert "1" == parser["api"]["port"]


def test_absent_program_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("WHIMBREL_BIN", str(tmp_path))

    with pytest.raises(errors.Missing, match="make setup"):
        services.program("whimbrel-api")
