from services.compute.convergence import deadline
from tests import factories

GIB = 1 << 30


def test_timeout_per_gib_counts_two_at_least_and_the_copied_disk():
    """A small guest gets the time of 2 GiB; the shorter of both timeouts holds."""
    wanted = factories.policy(completion_timeout_per_gib=10)

    budgets = [
        deadline.budget(wanted, GIB // 8, 0),
        deadline.budget(wanted, 3 * GIB, GIB),
        deadline.budget(wanted.replace(completion_timeout=15), 3 * GIB, GIB),
        deadline.budget(wanted.replace(completion_timeout_per_gib=0), GIB, 0),
    ]

    assert [20.0, 40.0, 15.0, None] == budgets
