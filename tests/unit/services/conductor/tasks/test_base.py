import functools

import pytest

from services.conductor.tasks import base


class Plan(base.Task):
    """Does the steps it is told, each with its undo; an error is raised in its place."""

    def __init__(self, *steps: object, check: Exception | None = None) -> None:
        super().__init__()
        self.steps = steps
        self.wrong = check
        self.log: list[str] = []

    def check(self):
        self.log.append("check")
        if self.wrong:
            raise self.wrong

    def run(self):
        for step in self.steps:
            if isinstance(step, BaseException):
                raise step
            self.log.append(str(step))
            self.push(str(step), functools.partial(self.undo, step))

    def undo(self, step):
        self.log.append(f"no {step}")
        if step == "glue":
            raise ZeroDivisionError(step)


def test_all_is_done_after_the_check():
    """A task that succeeds undoes nothing."""
    plan = Plan("a", "b")

    plan.execute()

    assert ["check", "a", "b"] == plan.log


def test_failed_check_changes_nothing():
    """run() is never reached."""
    plan = Plan("a", check=ValueError("no"))

    with pytest.raises(ValueError, match="no"):
        plan.execute()

    assert ["check"] == plan.log


@pytest.mark.parametrize("fault", [ValueError("broken"), KeyboardInterrupt()])
def test_failure_undoes_newest_first(fault):
    """And raises what went wrong, also when the process is told to end."""
    plan = Plan("a", "b", fault)

    with pytest.raises(type(fault)):
        plan.execute()

    assert ["check", "a", "b", "no b", "no a"] == plan.log


def test_undo_that_fails_does_not_stop_the_others(caplog):
    """It is in the log, and the first error is the one raised."""
    plan = Plan("a", "glue", "c", ValueError("broken"))

    with pytest.raises(ValueError, match="broken"):
        plan.execute()

    assert ["no c", "no glue", "no a"] == plan.log[-3:]
    assert "undoing glue failed" in caplog.text


def test_undone_is_not_undone_again():
    """A second rollback has nothing to do."""
    plan = Plan("a")
    plan.execute()

    plan.rollback()
    plan.rollback()

    assert ["check", "a", "no a"] == plan.log
