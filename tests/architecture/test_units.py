"""The systemd units start what is installed."""

import configparser

import pytest

SERVICES = ("api", "conductor", "scheduler", "compute")


@pytest.mark.parametrize("service", SERVICES)
def test_unit_starts_its_service(root, service):
    """Each service has a unit, which runs its console script with the one configuration."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(root / "setup.cfg")
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(root / "deploy" / "systemd" / f"whimbrel-{service}.service")
    program, *arguments = unit["Service"]["ExecStart"].split()

    assert f"/opt/whimbrel/bin/whimbrel-{service}" == program
    assert ["--config-file", "/etc/whimbrel/whimbrel.conf"] == arguments
    assert f"whimbrel-{service} = " in setup["options.entry_points"]["console_scripts"]
