"""The tables of states, walked at random and looked at as a whole."""

import pytest
from hypothesis import settings
from hypothesis import strategies
from hypothesis.stateful import initialize
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule
from hypothesis.stateful import RuleBasedStateMachine

from common import states

# The hypervisor has given the guest away, or may have.
HANDED_OVER = {states.Move.POSTCOPY, states.Move.POST_MIGRATING}
FIRST = states.Move.ACCEPTED
KINDS = list(states.Kind)


class Walk(RuleBasedStateMachine):
    """A move of any kind goes from status to status as the table allows."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = states.Kind.LIVE
        self.status = FIRST
        self.seen = [FIRST]

    @initialize(kind=strategies.sampled_from(KINDS))
    def choose(self, kind):
        self.kind = kind

    @precondition(lambda self: self.status not in states.TERMINAL)
    @rule(data=strategies.data())
    def go_on(self, data):
        after = sorted(states.MOVES[self.kind][self.status])
        self.status = data.draw(strategies.sampled_from(after))
        # A cold move stays where it is while one host after another is tried.
        if self.status != self.seen[-1]:
            self.seen.append(self.status)

    @precondition(lambda self: self.status in states.TERMINAL)
    @rule(after=strategies.sampled_from(states.Move))
    def end_is_the_end(self, after):
        assert not states.allowed(self.kind, self.status, after)

    @invariant()
    def never_comes_back(self):
        assert len(self.seen) == len(set(self.seen))

    @invariant()
    def can_end(self):
        if self.status not in states.TERMINAL:
            assert states.allowed(self.kind, self.status, states.Move.ERROR)

    @invariant()
    def can_be_undone_until_handed_over(self):
        live = self.kind == states.Kind.LIVE
        if not live or self.status in states.TERMINAL:
            return
        undo = states.allowed(self.kind, self.status, states.Move.FAILED) and states.allowed(
            self.kind, self.status, states.Move.CANCELLED
        )
        assert undo == (self.status not in HANDED_OVER)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=50, stateful_step_count=12, deadline=None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_status_can_be_reached_and_left(kind):
    """A status in the table that no move ever has is a mistake; so is one without an end."""
    table = states.MOVES[kind]
    reached, todo = {FIRST}, [FIRST]
    while todo:
        for after in table.get(todo.pop(), frozenset()) - reached:
            reached.add(after)
            todo.append(after)

    assert table.keys() | {one for row in table.values() for one in row} == reached
    assert reached - table.keys() == reached & states.TERMINAL


def test_every_status_belongs_to_a_kind():
    """No status is left over."""
    used = {one for table in states.MOVES.values() for row in table.values() for one in row}

    assert set(states.Move) == used | {FIRST}


def test_success_needs_a_guest_that_ran():
    """Nothing completes from the queue."""
    before = {status for status, row in states.LIVE.items() if states.Move.COMPLETED in row}

    assert {states.Move.RUNNING} | HANDED_OVER == before
    assert before <= states.IN_SLOT


@pytest.mark.parametrize("name", sorted(states.OPERATIONS))
def test_operations_have_tasks_of_their_own(name):
    """From its task alone one knows which operation goes on."""
    row = states.OPERATIONS[name]

    assert [name] == [other for other, one in states.OPERATIONS.items() if one.during == row.during]
    assert states.Vm.DELETED not in row.allowed
