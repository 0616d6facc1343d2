"""Programs that OpenStack's users have, unmodified."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any
from typing import NamedTuple

import yaml

OPENSTACK = pathlib.Path(sys.executable).with_name("openstack")


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Openstack:
    """The openstack command, told of one cloud."""

    def __init__(self, folder: pathlib.Path, cloud: dict[str, Any]) -> None:
        self._clouds = folder / "clouds.yaml"
        self._clouds.write_text(yaml.safe_dump({"clouds": {"whimbrel": cloud}}))

    def run(self, *words: str) -> Said:
        """Run a command to its end."""
        environ = {
            **os.environ,
            "OS_CLIENT_CONFIG_FILE": str(self._clouds),
            "OS_CLOUD": "whimbrel",
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run(
            [OPENSTACK, *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ask(self, *words: str) -> Any:
        """Give what a command shows; its failure is the test's."""
        said = self.run(*words, "-f", "json")
        assert 0 == said.status, said.err
        return json.loads(said.out)

    def tell(self, *words: str) -> None:
        """Run a command that shows nothing; its failure is the test's."""
        said = self.run(*words)
        assert 0 == said.status, said.err

    def refused(self, *words: str) -> str:
        """Give what a command that must fail says."""
        said = self.run(*words)
        assert 0 != said.status, said.out
        return said.err
