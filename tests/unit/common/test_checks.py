import pytest

from common import checks
from common import errors
from common import states


def full(number: int) -> str:
    if number > 2:
        raise errors.NoDiskSpace(f"{number} of 2")
    return f"{number} fit"


def odd(number: int) -> str | checks.Doubt:
    return checks.Doubt(f"{number} is odd") if number % 2 else "even"


ROWS = (checks.Check("odd", odd), checks.Check("full", full))


def test_every_answer_is_told():
    """A doubt warns, an error fails, and neither keeps the others from being asked."""
    found = checks.every((*reversed(ROWS), ROWS[0]), "host2", 3)

    assert ["fail", "warn", "warn"] == [result.verdict for result in found]
    assert ("full", "host2", "3 of 2", "no_disk_space") == (
        found[0].name,
        found[0].host,
        found[0].reason,
        found[0].code,
    )


def test_what_passes_says_what_it_saw():
    """The reason is there in every case."""
    found = checks.every(ROWS, "host2", 2)

    assert [(states.Verdict.PASS, "even"), (states.Verdict.PASS, "2 fit")] == [
        (result.verdict, result.reason) for result in found
    ]


def test_the_move_raises_what_the_dry_run_tells():
    """The same kind and the same sentence, whether asked one by one or read from the answers."""
    with pytest.raises(errors.NoDiskSpace, match="3 of 2"):
        checks.require(ROWS, 3)
    with pytest.raises(errors.NoDiskSpace, match="3 of 2"):
        checks.refuse(checks.every(ROWS, "host2", 3))


def test_a_doubt_refuses_nothing():
    """Warnings are for people."""
    checks.require(ROWS, 1)
    checks.refuse(checks.every(ROWS, "host2", 1))
