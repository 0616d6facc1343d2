"""Whimbrel as the story uses it: orders by its command, questions by its HTTP API."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.demo import errors
from deploy.lab import api

Row = dict[str, Any]
COMMAND = Path(sys.executable).with_name("whimbrel")
HOST = "OS-EXT-SRV-ATTR:host"


class Product:
    """Whimbrel at one endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def order(self, *words: str) -> Row:
        """Show and run a command that changes something; its result, or CommandFailed."""
        print(f"  $ whimbrel {' '.join(words)}", flush=True)
        done = subprocess.run(
            [str(COMMAND), *words, "-f", "json"],
            env={**os.environ, "WHIMBREL_ENDPOINT": self._endpoint},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise errors.CommandFailed(f"whimbrel {' '.join(words)} ended with {done.returncode}")
        found: Row = json.loads(done.stdout)
        return found

    def place(self, server: str) -> tuple[str, str]:
        """The host and the status that the API has of a server."""
        shown = self._call("GET", f"/servers/{server}")["server"]
        return shown[HOST], shown["status"]

    def move(self, uuid: str) -> Row:
        """All that the API has of a migration, its journal too."""
        found: Row = self._call("GET", f"/os-migrations/{uuid}")["migration"]
        return found

    def computes(self) -> set[str]:
        """The hosts whose compute reports."""
        rows = self._call("GET", "/os-services?binary=nova-compute")["services"]
        return {row["host"] for row in rows if row["state"] == "up"}

    def register(self, kind: str, row: Row) -> None:
        """Make a flavor or a network."""
        self._call("POST", f"/{kind}s", {kind: row})

    def _call(self, method: str, path: str, body: Row | None = None) -> Any:  # noqa: ANN401 - JSON
        return api.call(self._endpoint, method, f"/v2.1{path}", body)
