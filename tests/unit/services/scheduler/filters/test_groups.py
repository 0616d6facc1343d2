"""Filters of server groups, over hosts that are in question."""

import pytest

from common import states
from common.db import affinity
from common.db import candidates
from common.db import hosts
from services.scheduler import request
from services.scheduler.filters import groups

HERE = hosts.Room("host1", "nova", True, 1.0, False, False, None, {})


def asked(policy, members, rules=None):
    """Give the request of a member whose others are at these hosts."""
    return request.Request(
        consumer="vm",
        amounts={},
        zone=None,
        requested_host=None,
        ignored=frozenset(),
        group=affinity.Group("g", policy, rules or {}, members),
    )


NOBODY = asked("", {})._replace(group=None)
TOGETHER, APART = states.Affinity.TOGETHER, states.Affinity.APART


@pytest.mark.parametrize(
    ("wanted", "together", "apart"),
    [
        (NOBODY, True, True),
        (asked(TOGETHER, {}), True, True),
        (asked(TOGETHER, {"host1": 3}), True, True),
        (asked(TOGETHER, {"host2": 1}), False, True),
        (asked(TOGETHER, {"host1": 1, "host2": 1}), False, True),
        (asked(APART, {}), True, True),
        (asked(APART, {"host2": 1}), True, True),
        (asked(APART, {"host1": 1}), True, False),
        (asked(APART, {"host1": 1}, {"max_server_per_host": 2}), True, True),
        (asked(APART, {"host1": 2}, {"max_server_per_host": 2}), True, False),
        (asked(states.Affinity.SOFT_APART, {"host1": 1}), True, True),
        (asked(states.Affinity.SOFT_TOGETHER, {"host2": 1}), True, True),
    ],
)
def test_a_policy_refuses_what_it_says(wanted, together, apart):
    """Each filter knows its own policy only."""
    assert together == (groups.together(HERE, wanted) is None)
    assert apart == (groups.apart(HERE, wanted) is None)


@pytest.mark.parametrize(
    ("wanted", "only", "never"),
    [
        (NOBODY, None, []),
        (asked(TOGETHER, {}), None, []),
        (asked(TOGETHER, {"host1": 1}), ["host1"], []),
        (asked(APART, {"host1": 1, "host2": 2}, {"max_server_per_host": 2}), None, ["host2"]),
        (asked(states.Affinity.SOFT_APART, {"host1": 1}), None, []),
    ],
)
def test_the_database_leaves_out_what_the_policy_refuses(wanted, only, never):
    found = groups.only_apart(groups.only_together(candidates.Wanted(), wanted), wanted)

    assert only == (None if found.only is None else sorted(found.only))
    assert never == sorted(found.never)


def test_what_was_seen_is_a_number():
    assert "2 others of its group (affinity) are there" == groups.others(
        HERE, asked(TOGETHER, {"host1": 2})
    )
    assert "the server is in no group" == groups.others(HERE, NOBODY)
