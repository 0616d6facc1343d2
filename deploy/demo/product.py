"""Whimbrel's own command, run as a person would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.demo import errors

Row = dict[str, Any]
COMMAND = Path(sys.executable).with_name("whimbrel")


class Product:
    """The command, pointed at one endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._environ = {**os.environ, "WHIMBREL_ENDPOINT": endpoint}

    def order(self, *words: str) -> Row:
        """Show and run a command that changes something; its result."""
        print(f"  $ whimbrel {' '.join(words)}", flush=True)
        return self.ask(*words)

    def ask(self, *words: str) -> Row:
        """The object that a command, itself not shown, prints; CommandFailed if it fails."""
        found: Row = json.loads(self._run(*words))
        return found

    def rows(self, *words: str) -> list[Row]:
        """The rows that a command, itself not shown, prints; CommandFailed if it fails."""
        found: list[Row] = json.loads(self._run(*words))
        return found

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [str(COMMAND), *words, "-f", "json"],
            env=self._environ,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise errors.CommandFailed(f"whimbrel {' '.join(words)} ended with {done.returncode}")
        return done.stdout
