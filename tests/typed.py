"""The `whimbrel` command as people and scripts run it, and how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import NamedTuple

PROGRAM = Path(sys.executable).with_name("whimbrel")


class Typed(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as a script reads it; its failure is the test's."""
        assert 0 == self.status, self.err
        return json.loads(self.out)


Whimbrel = Callable[..., Typed]


def at(endpoint: str, **fixed: str) -> Whimbrel:
    """Give what runs the command against an endpoint, with variables for all of its runs."""

    def run(*words: str, **environ: str) -> Typed:
        done = subprocess.run(
            [PROGRAM, *words],
            env={**os.environ, "WHIMBREL_ENDPOINT": endpoint, **fixed, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        return Typed(done.returncode, done.stdout, done.stderr)

    return run
