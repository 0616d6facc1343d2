import subprocess
import sys
from importlib import metadata

import pytest
import yaml

COMMANDS = metadata.entry_points(group="whimbrel.cli")


@pytest.mark.parametrize("point", COMMANDS, ids=lambda point: point.name)
def test_every_command_loads_and_says_what_it_does(point):
    """A row of setup.cfg leads to a class whose first line is its help."""
    assert (point.load().__doc__ or "").endswith(".")


@pytest.mark.parametrize("words", [(), ("help",)])
def test_no_command_shows_the_commands(whimbrel, words):
    """Whoever types the name alone learns what there is."""
    assert "server live-migrate" in whimbrel(*words).out


def test_help_is_of_the_command(whimbrel):
    """--help behind a command explains that command."""
    out = whimbrel("server", "live-migrate", "--help").out

    assert "--block-migration" in out


def test_clouds_name_this_endpoint(whimbrel, api):
    """What is printed is what the unmodified openstack client needs."""
    cloud = yaml.safe_load(whimbrel("clouds").out)["clouds"]["whimbrel"]

    assert {
        "auth_type": "none",
        "auth": {"endpoint": f"{api.url}/v2.1"},
        "compute_api_version": "2.96",
        "identity_api_version": "3",
        "identity_endpoint_override": f"{api.url}/v2.1",
        "image_endpoint_override": f"{api.url}/image/v2",
        "network_endpoint_override": f"{api.url}/network/v2.0",
    } == cloud
    assert [] == api.asked


def test_clouds_carry_user_and_password(whimbrel):
    """With http_basic the file is complete."""
    typed = whimbrel("--username", "ada", "--password", "x", "clouds")
    cloud = yaml.safe_load(typed.out)["clouds"]["whimbrel"]

    assert "http_basic" == cloud["auth_type"]
    assert {"username": "ada", "password": "x"}.items() <= cloud["auth"].items()


def test_listing_starts_light():
    """A list needs neither progress bars nor an interactive shell nor another room."""
    code = (
        "import sys, services.cli.main, services.cli.servers;"
        "print([n for n in ('rich', 'cmd2', 'yaml', 'common', 'rpc') if n in sys.modules])"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert b"[]\n" == loaded.stdout
