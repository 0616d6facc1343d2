"""A command line to type at, and an API that answers from a table."""

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest

from services.cli import main
from tests import typed


class Asked(NamedTuple):
    """One request that the API got."""

    method: str
    path: str
    query: str
    version: str | None
    user: str | None
    body: Any


class Table:
    """An API: for each method and path the answers to give, the last one again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.headers: dict[tuple[str, str], dict[str, str]] = {}
        self._answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}

    def answer(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        """Give these bodies in turn."""
        self._answers.setdefault((method, path), []).extend((status, body) for body in bodies)

    def refuse(self, method: str, path: str, status: int, message: str, **more: Any) -> None:
        """Give an error body."""
        body = {"name": {"code": status, "message": message, **more}}
        self.answer(method, path, body, status=status)

    def reply(self, asked: Asked) -> tuple[int, Any]:
        """Take the next answer."""
        self.asked.append(asked)
        answers = self._answers.get((asked.method, asked.path))
        if not answers:
            return 404, {"itemNotFound": {"code": 404, "message": f"no {asked.path} here"}}
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def of(self, method: str) -> list[Asked]:
        """The requests of one method."""
        return [asked for asked in self.asked if asked.method == method]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from the table of its server."""

    table: Table

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path, _, query = self.path.partition("?")
        headers = self.headers
        asked = Asked(
            self.command,
            path.removeprefix("/v2.1"),
            query,
            headers.get("OpenStack-API-Version"),
            headers.get("Authorization"),
            body,
        )
        status, answer = self.table.reply(asked)
        self.send_response(status)
        self.send_header("x-openstack-request-id", "req-1")
        for name, value in self.table.headers.get((asked.method, asked.path), {}).items():
            self.send_header(name, value)
        content = b"" if answer is None else json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Table]:
    class Answering(Handler):
        """Has a table of its own."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Answering.table = Table(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Answering.table
        server.shutdown()
        thread.join()


@pytest.fixture
def whimbrel(api, capsys, monkeypatch) -> Iterator[typed.Whimbrel]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setenv("WHIMBREL_ENDPOINT", api.url)

    def run(*words: str) -> typed.Typed:
        status = main.Whimbrel().run(list(words))
        printed = capsys.readouterr()
        return typed.Typed(status, printed.out, printed.err)

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def server() -> dict[str, Any]:
    return {
        "id": "11111111-2222-4333-8444-555555555555",
        "name": "tern",
        "status": "ACTIVE",
        "OS-EXT-STS:task_state": None,
        "OS-EXT-SRV-ATTR:host": "host1",
        "flavor": {"original_name": "m1.tiny", "vcpus": 1, "ram": 128, "disk": 1},
        "image": {"id": "i-1"},
        "addresses": {"tenant": [{"addr": "198.51.100.130"}]},
        "metadata": {"who": "me"},
    }
