"""The table of a cold move's steps is whole: everything leads somewhere, and to an end."""

import pytest

from common import errors
from common import states
from services.compute import resize
from services.conductor.cold import endings
from services.conductor.cold import steps
from tests import factories

ENDS = set(steps.End)


def outcomes(name: str) -> set[str]:
    """Give all that may follow a step."""
    row = steps.STEPS[name]
    other = [*steps.UNLESS.items(), *steps.BECAUSE.items()]
    return {row.then, row.otherwise, *(to for (of, _), to in other if of == name)}


@pytest.mark.parametrize("name", steps.STEPS)
def test_what_follows_is_a_step_or_an_end(name):
    assert outcomes(name) <= {*steps.STEPS, *ENDS}


@pytest.mark.parametrize("name", steps.STEPS)
def test_every_step_can_lead_to_an_end(name):
    """However often the same is tried again on the way."""
    seen, new = set(), {name}
    while new:
        seen |= new
        new = {to for at in new if at in steps.STEPS for to in outcomes(at)} - seen

    assert (seen & ENDS) - {steps.End.AGAIN}


def test_the_hosts_know_every_step():
    assert steps.STEPS.keys() == resize.STEPS.keys()


def test_every_end_is_settled():
    """But the one that is none: the same step is told again."""
    assert ENDS - {steps.End.AGAIN} == endings.END.keys()


@pytest.mark.parametrize("name", steps.STEPS)
def test_statuses_follow_the_table_of_states(name):
    """A step whose row names a status is entered only from where that may follow."""
    row = steps.STEPS[name]
    for to in (row.then, row.otherwise):
        after = steps.STEPS[to].status if to in steps.STEPS else None
        if row.status is None or after in {None, row.status}:
            continue
        assert states.allowed(states.Kind.COLD, row.status, after)


def test_what_is_left_out_is_asked_for_later():
    """By a step that the hosts know, after an end at which it is right."""
    left_out = {name for name, row in steps.STEPS.items() if row.skip}

    assert steps.LATER.keys() == {*left_out, steps.PREPARE}
    assert set(steps.LATER.values()) == steps.AFTER.keys()
    assert steps.AFTER.keys() <= resize.STEPS.keys()
    assert all(ends <= states.TERMINAL for ends in steps.AFTER.values())


@pytest.mark.parametrize(
    ("name", "destination", "expected"),
    [
        ("undo_resize", "host2", True),
        ("undo_resize", "host1", False),
        ("revert_resize", "host1", False),
        ("confirm_resize", "host1", True),
        ("settle_resize", "host1", True),
        ("restore_instance", "host2", False),
    ],
)
def test_step_is_left_out_unless_its_host_does_the_next(name, destination, expected):
    """A resize that stayed on its host is undone there before anything is put back."""
    move = factories.migration(type="resize", source="host1", destination=destination)

    assert expected is steps.left_out(move, name)


def test_only_tidying_is_left_out_when_a_host_is_gone():
    """Nothing is left out that brings a guest back, or copies it."""
    assert {"undo_resize", "confirm_resize", "settle_resize", "revert_resize"} == {
        name for name, row in steps.STEPS.items() if row.skip
    }


@pytest.mark.parametrize(
    ("name", "code", "then"),
    [
        ("prep_resize", None, "resize_instance"),
        ("prep_resize", "no_disk_space", steps.End.NEXT_HOST),
        ("resize_instance", "move_aborted", "undo_resize"),
        ("finish_resize", "hypervisor_error", "undo_resize"),
        ("undo_resize", errors.Conflict.code, "finish_resize"),
        ("undo_resize", "hypervisor_error", steps.End.AGAIN),
    ],
)
def test_how_a_step_ended_decides_what_follows(name, code, then):
    assert then == steps.follows(name, code)


@pytest.mark.parametrize(
    ("because", "then"),
    [
        (None, "restore_instance"),
        ("hypervisor_error", "restore_instance"),
        (errors.CopyPathClosed.code, steps.End.NEXT_HOST),
    ],
)
def test_why_a_move_is_undone_decides_what_follows(because, then):
    """A guest that was not touched has nothing to be brought back."""
    assert then == steps.follows("undo_resize", None, because)


@pytest.mark.parametrize(
    ("name", "host", "flavor"),
    [("resize_instance", "host1", "old"), ("finish_resize", "host2", "new")],
)
def test_each_host_has_its_own_flavor(name, host, flavor):
    move = factories.migration(
        type="resize", source="host1", destination="host2", cold=factories.cold_move()
    )

    assert (host, flavor) == (steps.host(move, name), steps.flavor(move, name).id)


def test_a_live_move_has_no_steps_of_a_cold_one():
    with pytest.raises(errors.Invalid, match="is no cold one"):
        steps.cold(factories.migration())
