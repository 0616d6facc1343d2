"""What ends a command with a sentence instead of a result."""

from __future__ import annotations

from collections.abc import Sequence


class Failure(Exception):
    """The command cannot do what it was asked to; the sentence says why."""


class Missing(Failure):
    """Nothing has this name or id."""


class Ambiguous(Failure):
    """Several objects have this name; the sentence lists them."""


class Unreachable(Failure):
    """No API answers at the endpoint."""


class Late(Unreachable):
    """The API was asked, and has not answered in time; what was ordered may go on."""


class Refused(Failure):
    """The API answered with an error; keeps its HTTP status."""

    def __init__(self, sentence: str, status: int, request: str, hosts: Sequence[str] = ()) -> None:
        """Say the API's own sentence, its status, the request id, and a line for each host."""
        answer = f"{sentence} (HTTP {status}, {request or 'no request id'})"
        super().__init__("\n".join([answer, *(f"  {line}" for line in hosts)]))
        self.status = status
