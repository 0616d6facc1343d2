"""Pre-checks: small named questions, asked for a move or just to know the answers.

A check's function gives a sentence about what it saw, a Doubt where the move
may be regretted, or raises the error that refuses the move. The move raises
the first of these errors; a dry run tells every answer.
"""

from __future__ import annotations

from typing import Generic
from typing import NamedTuple
from typing import TYPE_CHECKING
from typing import TypeVar

from common import errors
from common import ids
from common import objects
from common import states

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

T = TypeVar("T")

TEST_FILE = ".whimbrel-probe"


class Doubt(NamedTuple):
    """What speaks against a move without forbidding it."""

    reason: str


class Check(NamedTuple, Generic[T]):
    """One question to what it is asked of."""

    name: str
    look: Callable[[T], str | Doubt]


def test_file(host: str) -> str:
    """Name a file by which this destination shows whether a source sees its disks."""
    return f"{TEST_FILE}-{host}-{ids.new()}"


def owns(host: str, name: str | None) -> bool:
    """Tell whether such a file may be this host's to make and to remove."""
    return name is not None and name.startswith(f"{TEST_FILE}-{host}-") and "/" not in name


def require(checks: Iterable[Check[T]], seen: T) -> None:
    """Ask until one refuses, and raise its error."""
    for check in checks:
        check.look(seen)


def every(checks: Iterable[Check[T]], host: str, seen: T) -> list[objects.CheckResult]:
    """Ask all of them about a move to the host; their errors are answers too."""
    return [_ask(check, host, seen) for check in checks]


def refuse(results: Iterable[objects.CheckResult]) -> None:
    """Raise the first fail as the error that it was."""
    for result in results:
        if result.verdict == states.Verdict.FAIL:
            raise errors.rebuild(result.code, result.reason, {})


def passed(name: str, host: str, reason: str) -> objects.CheckResult:
    """Make the answer of a check that sees nothing against the move."""
    return objects.CheckResult(name=name, host=host, verdict=states.Verdict.PASS, reason=reason)


def doubted(name: str, host: str, reason: str) -> objects.CheckResult:
    """Make the answer of a check that would think twice."""
    return objects.CheckResult(name=name, host=host, verdict=states.Verdict.WARN, reason=reason)


def failed(name: str, host: str, error: errors.Error) -> objects.CheckResult:
    """Make the answer of a check that refuses."""
    return objects.CheckResult(
        name=name,
        host=host,
        verdict=states.Verdict.FAIL,
        reason=error.message,
        code=error.code,
    )


def _ask(check: Check[T], host: str, seen: T) -> objects.CheckResult:
    try:
        answer = check.look(seen)
    except errors.Error as refusal:
        return failed(check.name, host, refusal)
    if isinstance(answer, Doubt):
        return doubted(check.name, host, answer.reason)
    return passed(check.name, host, answer)
