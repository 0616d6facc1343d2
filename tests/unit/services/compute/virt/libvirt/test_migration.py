import pytest

from services.compute.virt import driver
from services.compute.virt.libvirt import migration

ABORTED = migration.Failure("canceled by client", cancelled=True)


@pytest.mark.parametrize(
    ("gone", "failure", "expected"),
    [
        (True, None, driver.JobEnd(True, False, "", 20, 900)),
        (True, ABORTED, driver.JobEnd(True, False, "", 20, 900)),
        (False, ABORTED, driver.JobEnd(False, True, "canceled by client", 20, 900)),
        (
            False,
            migration.UNKNOWN,
            driver.JobEnd(False, False, migration.UNKNOWN.reason, 20, 900),
        ),
    ],
)
def test_where_the_guest_is_decides_how_the_job_ended(gone, failure, expected):
    """libvirt may complain of a move that went well; an abort may come too late."""
    found = migration.conclude(gone, failure, {"downtime": 20, "time_elapsed": 900})

    assert expected == found


def test_job_without_statistics_has_no_times():
    """None is not nought."""
    found = migration.conclude(True, None, {})

    assert (None, None) == (found.downtime_ms, found.job_ms)
