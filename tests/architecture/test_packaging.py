"""The package can be installed, and its names are its own."""

import configparser
import pathlib
import re
import subprocess
import sys
from importlib import metadata

import pytest

SETUP = configparser.ConfigParser()
SETUP.read(pathlib.Path(__file__).parents[2] / "setup.cfg")
SCRIPTS = SETUP["options.entry_points"]["console_scripts"].split("\n")[1:]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==", re.MULTILINE)
WANTED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


@pytest.mark.parametrize("name", ["common", "rpc", "services"])
def test_rooms_are_nobody_elses(name):
    """No other distribution in the venv installs a package of this name."""
    owners = metadata.packages_distributions()[name]

    assert ["whimbrel"] == sorted(set(owners))


@pytest.mark.parametrize("script", [line.partition(" = ")[0] for line in SCRIPTS])
def test_every_command_explains_itself(script):
    """Each installed command answers --help with a usage line and success."""
    program = pathlib.Path(sys.executable).with_name(script)

    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, "" if "usage" in done.stdout.lower() else done.stdout)


@pytest.mark.parametrize("layer", ["runtime", "compute", "dev"])
def test_every_requirement_is_pinned(root, layer):
    """What a .in file asks for is in the lock beside it."""
    wanted = WANTED.findall((root / f"requirements/{layer}.in").read_text())
    pinned = PINNED.findall((root / f"requirements/{layer}.txt").read_text())

    assert set() == set(map(_canonical, wanted)) - set(map(_canonical, pinned))


@pytest.mark.parametrize("layer", ["runtime", "compute", "dev"])
def test_locks_name_no_host(root, layer):
    """A lock is installed from whatever index its user has."""
    text = (root / f"requirements/{layer}.txt").read_text()

    assert "://" not in text
    assert "--index-url" not in text


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
