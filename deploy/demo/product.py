"""Whimbrel's own command, run as a person would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.demo import errors

COMMAND = Path(sys.executable).with_name("whimbrel")


class Product:
    """The command, pointed at one endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._environ = {**os.environ, "WHIMBREL_ENDPOINT": endpoint}

    def order(self, *words: str) -> dict[str, Any]:
        """Show and run a command that changes something; its result."""
        print(f"  $ whimbrel {' '.join(words)}", flush=True)
        return self.ask(*words)

    def ask(self, *words: str) -> dict[str, Any]:
        """The result of a command, which is not shown; CommandFailed if it fails."""
        done = subprocess.run(
            [str(COMMAND), *words, "-f", "json"],
            env=self._environ,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise errors.CommandFailed(f"whimbrel {' '.join(words)} ended with {done.returncode}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found
