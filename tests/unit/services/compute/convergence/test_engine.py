"""What the engine promises of any move, and what it decides in the cases that matter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from common import errors
from common import migration_policy
from services.compute.convergence import engine
from services.compute.convergence.sample import Action
from services.compute.convergence.sample import Sample

MIB = 1 << 20
GIB = 1 << 30
RATE = 100 * MIB


def policy(preset="balanced", **request):
    return migration_policy.resolve(migration_policy.Defaults(), {}, {"policy": preset, **request})


def sample(elapsed, iteration=2, remaining=GIB, **values):
    """Give a busy move: 100 MiB/s are copied and written."""
    given_ = {"total": 2 * GIB, "rate": RATE, "dirty_rate": RATE, **values}
    return Sample(elapsed=elapsed, iteration=iteration, remaining=remaining, **given_)


def actions(decisions):
    return [each.action for each in decisions if each.action is not Action.SET_DOWNTIME]


@st.composite
def policies(draw):
    """Give any policy that can be asked for, with timeouts that a short trace passes."""
    return policy(
        draw(st.sampled_from(list(migration_policy.PRESETS))),
        completion_timeout=draw(st.sampled_from([0, 30, 100])),
        completion_timeout_per_gib=draw(st.sampled_from([0, 10, 60])),
        stall_window=draw(st.sampled_from([10, 40])),
        **draw(
            st.sampled_from(
                [
                    {},
                    {"on_timeout": "abort"},
                    {"on_timeout": "pause"},
                    {"post_copy": "never"},
                    {"post_copy": "on-stall"},
                    {"post_copy": "on-timeout", "allow_paused": True},
                ]
            )
        ),
    )


@st.composite
def moves(draw):
    """Give any course of a move: time and iterations rise, the rest is as it likes."""
    elapsed, iteration, samples = 0.0, 0, []
    for _ in range(draw(st.integers(1, 40))):
        elapsed += draw(st.floats(0.1, 20))
        iteration += draw(st.integers(0, 2))
        samples.append(
            Sample(
                elapsed=elapsed,
                iteration=iteration,
                remaining=draw(st.integers(0, 4 * GIB)),
                total=4 * GIB,
                rate=draw(st.sampled_from([0, MIB, RATE, GIB])),
                dirty_rate=draw(st.sampled_from([0, MIB, GIB])),
                disk_remaining=draw(st.sampled_from([0, GIB])),
                paused=draw(st.booleans()),
            )
        )
    return samples


@settings(max_examples=300, deadline=None)
@given(policies(), moves())
def test_promises_hold_for_any_move(wanted, samples):
    """The module's promises, for every policy and whatever libvirt reports."""
    tested = engine.Engine(wanted, 4 * GIB)
    first = tested.begin()
    downtime, pauses = first.value or 0, 0
    ends: list[Action] = []
    for seen in samples:
        for decision in tested.observe(seen):
            assert not ends, "something was decided after the end"
            assert decision.inputs
            if decision.action is Action.SET_DOWNTIME:
                value = decision.value or 0
                assert downtime < value <= wanted.downtime_ms
                downtime = value
            elif decision.action is Action.PAUSE:
                pauses += 1
                assert wanted.allow_paused
                assert not seen.paused
                assert seen.elapsed > tested.budget
            else:
                ends.append(decision.action)
            if decision.action is Action.ABORT:
                assert seen.elapsed > tested.budget
            if decision.action is Action.POST_COPY:
                _fits(wanted, tested, seen, decision)

    assert len(ends) <= 1
    assert pauses <= 1


def _fits(wanted, tested, seen, decision):
    assert wanted.post_copy != "never"
    assert not seen.paused
    assert seen.iteration > 0
    if tested.budget is not None:
        late = seen.elapsed > tested.budget
        limit = 2 * tested.budget if late else tested.budget
        assert seen.elapsed + decision.inputs["projected_s"] <= limit + 0.001
    if wanted.post_copy == "on-timeout":
        assert seen.elapsed > tested.budget


def test_downtime_climbs_ovirts_ladder():
    """One rung an iteration, and the policy's most at the end."""
    tested = engine.Engine(policy("gentle"), 2 * GIB)
    begun = tested.begin()

    values = [begun.value] + [
        decision.value for i in range(1, 9) for decision in tested.observe(sample(i, i))
    ]

    assert [100, 150, 200, 300, 400, 500] == values


def test_raised_downtime_is_reached_behind_the_ladder():
    """Who allows more than the ladder has gets it as its last rung."""
    tested = engine.Engine(policy("gentle", downtime_ms=900), 2 * GIB)
    tested.begin()

    values = [d.value for i in range(1, 12) for d in tested.observe(sample(i, i))]

    assert [500, 900] == values[-2:]


@pytest.mark.parametrize(
    ("preset", "request_", "expected"),
    [
        ("gentle", {}, [Action.ABORT]),
        ("balanced", {}, [Action.POST_COPY]),
        ("must-finish", {"post_copy": "never"}, [Action.PAUSE]),
        ("huge-vm", {}, [Action.PAUSE]),
        ("balanced", {"on_timeout": "abort"}, [Action.ABORT]),
    ],
)
def test_timeout_action(preset, request_, expected):
    """The policy's action is taken when its timeout has passed, not before."""
    wanted = policy(preset, completion_timeout=100, **request_)
    tested = engine.Engine(wanted, 8 * GIB)

    before = tested.observe(sample(99.9, 3))
    after = tested.observe(sample(100.1, 3))

    assert [] == actions(before)
    assert expected == actions(after)
    assert "not finished within 100 s" in after[0].reason


def test_hopeless_move_is_given_up_at_its_timeout():
    """What could not arrive in twice the budget is aborted, not sent into post-copy."""
    wanted = policy("must-finish", completion_timeout=60)
    tested = engine.Engine(wanted, 8 * GIB)

    found = tested.observe(sample(60.5, 1, remaining=8 * GIB, total=8 * GIB, rate=MIB))

    assert [Action.ABORT] == actions(found)
    assert "not to be ended in as long again" in found[0].reason


def test_paused_move_that_does_not_end_is_undone():
    """A guest that was made to stand still goes on at its source at twice the budget."""
    tested = engine.Engine(policy("huge-vm", completion_timeout=60), 8 * GIB)

    found = [
        *tested.observe(sample(61, 3)),
        *tested.observe(sample(119, 3, paused=True)),
        *tested.observe(sample(121, 3, paused=True)),
    ]

    assert [Action.PAUSE, Action.ABORT] == actions(found)


def test_guest_paused_by_its_user_is_given_the_time_it_needs():
    """Nothing is written any more: neither post-copy nor a pause would help."""
    tested = engine.Engine(policy("must-finish", completion_timeout=60), 8 * GIB)

    found = [
        *tested.observe(sample(61, 3, paused=True)),
        *tested.observe(sample(119, 3, paused=True)),
    ]

    assert [] == actions(found)


def stalled(wanted, levels, seconds=5.0, rate=RATE):
    """Play iterations of so many MiB; gives what ended the move and at which iteration."""
    tested = engine.Engine(wanted, 8 * GIB)
    tested.begin()
    for number, level in enumerate(levels, start=1):
        seen = sample(number * seconds, number, level * MIB, rate=rate)
        for decision in tested.observe(seen):
            if decision.action is not Action.SET_DOWNTIME:
                return decision, number
    return None, len(levels)


def test_stalled_move_goes_into_post_copy():
    """No iteration is smaller than those of the window before: do not wait for the timeout."""
    decision, number = stalled(policy("must-finish"), [2000] + [1000] * 30)

    assert Action.POST_COPY == decision.action
    assert 10 == number  # the first with another 40 s before it, the whole copy left aside
    assert 1000 * MIB == decision.inputs["best_before"]


@pytest.mark.parametrize(
    ("budget", "expected"), [(59, []), (61, [Action.POST_COPY]), (0, [Action.POST_COPY])]
)
def test_stall_begins_no_post_copy_that_would_exceed_the_budget(budget, expected):
    """The rest takes 10 s after 50: there is still the timeout, and what is done then."""
    wanted = policy("must-finish", completion_timeout=budget, completion_timeout_per_gib=0)

    decision, _ = stalled(wanted, [2000] + [1000] * 9)

    assert expected == ([] if decision is None else [decision.action])


def test_small_progress_is_no_progress():
    """Less than 4 percent in a window is none."""
    levels = [int(1000 * 0.997**i) for i in range(30)]

    decision, _ = stalled(policy("must-finish"), levels)

    assert Action.POST_COPY == decision.action


def test_slow_progress_is_progress():
    """A move that gains a tenth per iteration is let go on."""
    levels = [int(8000 * 0.9**i) for i in range(20)]

    assert (None, 20) == stalled(policy("must-finish"), levels)


def test_oscillating_guest_is_switched_when_little_is_left():
    """Post-copy waits for a low of the saw-tooth."""
    levels = [2000] + [1000, 900, 400] * 12

    decision, _ = stalled(policy("must-finish"), levels)

    assert Action.POST_COPY == decision.action
    assert 400 * MIB == decision.inputs["remaining"]


def test_rising_guest_is_switched_within_another_window():
    """A guest that writes ever more never has a low again: patience ends."""
    levels = [2000] + [1000] * 4 + [int(1000 * 1.1**i) for i in range(18)]

    decision, number = stalled(policy("must-finish"), levels)

    assert Action.POST_COPY == decision.action
    assert number * 5.0 <= 45 + 40 + 10


def test_near_enough_is_waited_for():
    """At up to one and a half times the allowed downtime pre-copy may still end by luck."""
    near = [2000] + [280] * 30  # 2.8 s, and 2 s are allowed

    decision, number = stalled(policy("must-finish"), near)

    assert Action.POST_COPY == decision.action
    assert 14 == number


def test_stall_raises_the_downtime_before_anything_else():
    """A long ladder is cut short when the move has stalled."""
    wanted = policy("balanced", ladder=[100 + i for i in range(100)], stall_window=10)
    tested = engine.Engine(wanted, 8 * GIB)
    tested.begin()

    found = [d for i in range(1, 10) for d in tested.observe(sample(i * 5, i))]

    assert 500 == found[-1].value
    assert "no progress in 10 s" in found[-1].reason


def test_disk_phase_is_no_reason_to_act():
    """While disks are copied libvirt reports no memory: nothing is decided but at the timeout."""
    tested = engine.Engine(policy(completion_timeout=60), GIB, 10 * GIB)

    quiet = tested.observe(Sample(50, 0, 0, 0, RATE, disk_remaining=GIB))
    late = tested.observe(Sample(61, 0, 0, 0, RATE, disk_remaining=GIB))

    assert [] == actions(quiet)
    assert [Action.ABORT] == actions(late)
    assert "cannot begin before memory is copied" in late[0].reason


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("balanced", Action.POST_COPY), ("must-finish", Action.POST_COPY), ("gentle", Action.PAUSE)],
)
def test_force(preset, expected):
    """An operator's push is post-copy where the policy allows it, else a pause."""
    tested = engine.Engine(policy(preset), 8 * GIB)

    decision = tested.force(sample(10))

    assert expected == decision.action
    assert "forced by an operator" in decision.reason


def test_force_twice_is_refused():
    """What is made to end already cannot be forced again."""
    tested = engine.Engine(policy(), 8 * GIB)
    tested.force(sample(10))

    with pytest.raises(errors.WrongState, match="made to end by post-copy"):
        tested.force(sample(11))


@pytest.mark.parametrize("state", ["paused", "in_postcopy"])
def test_force_of_what_only_can_end_is_refused(state):
    with pytest.raises(errors.WrongState):
        engine.Engine(policy(), 8 * GIB).force(sample(10, **{state: True}))


def test_refused_post_copy_falls_back():
    """A hypervisor without post-copy: must-finish pauses; balanced goes on, to be aborted."""
    pushed = engine.Engine(policy("must-finish"), 8 * GIB)
    left = engine.Engine(policy(), 8 * GIB)
    pushed.force(sample(10))
    left.force(sample(10))

    instead = pushed.refused(sample(11), "not supported")

    assert instead is not None
    assert Action.PAUSE == instead.action
    assert "post-copy was refused: not supported" in instead.reason
    assert left.refused(sample(11), "not supported") is None
    assert [Action.ABORT] == actions(left.observe(sample(500)))


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("gentle", Action.SET_DOWNTIME), ("huge-vm", Action.PAUSE)],
)
def test_order_that_failed_is_decided_again_in_a_moment(preset, expected):
    """As if it had not been decided: with the same value, after a pause."""
    tested = engine.Engine(policy(preset, completion_timeout=60), 8 * GIB)
    at = 61 if expected is Action.PAUSE else 10
    for seen in range(1, 4):
        tested.observe(sample(seen, seen))
    (first,) = tested.observe(sample(at, 4 if expected is Action.SET_DOWNTIME else 3))

    tested.failed(first, at)
    soon = tested.observe(sample(at + engine.AGAIN / 2, 4))
    again = tested.observe(sample(at + engine.AGAIN, 4))

    assert [] == soon
    assert [(expected, first.value)] == [(each.action, each.value) for each in again]


def test_operator_changes_the_downtime_at_once():
    """Also down: a person may."""
    wanted = policy()
    tested = engine.Engine(wanted, 8 * GIB)
    tested.begin()
    tested.observe(sample(10, 4))

    lower = tested.change(wanted.replace(downtime_ms=200), 4)
    other = tested.change(wanted.replace(downtime_ms=200, bandwidth=9), 5)
    later = tested.observe(sample(20, 6))
    higher = tested.change(wanted.replace(downtime_ms=5000), 6)

    assert [200] == [decision.value for decision in lower]
    assert [] == other + later
    assert [5000] == [decision.value for decision in higher]


def test_nothing_is_decided_in_post_copy():
    tested = engine.Engine(policy("gentle"), GIB)

    assert [] == tested.observe(sample(100_000, 9, in_postcopy=True))
