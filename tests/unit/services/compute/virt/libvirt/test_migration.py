import pytest

from common import errors
from common import ids
from common import objects
from services.compute.virt import driver
from services.compute.virt.libvirt import connection
from services.compute.virt.libvirt import events
from services.compute.virt.libvirt import migration
from tests import factories

ABORTED = migration.Failure("canceled by client", cancelled=True)
UNKNOWN = migration.UNKNOWN.reason
LEFT, STAYED, HALVED = (
    migration.Outcome.LEFT,
    migration.Outcome.STAYED,
    migration.Outcome.HALVED,
)


@pytest.mark.parametrize(
    ("outcome", "failure", "expected"),
    [
        (LEFT, migration.NOTHING, driver.JobEnd(True, False, "", 20, 900)),
        (LEFT, ABORTED, driver.JobEnd(True, False, "", 20, 900)),
        (STAYED, ABORTED, driver.JobEnd(False, True, ABORTED.reason, 20, 900)),
        (STAYED, migration.UNKNOWN, driver.JobEnd(False, False, UNKNOWN, 20, 900)),
        (HALVED, ABORTED, driver.JobEnd(False, False, ABORTED.reason, 20, 900, broken=True)),
    ],
)
def test_where_the_guest_is_decides_how_the_job_ended(outcome, failure, expected):
    """libvirt may complain of a move that went well; an abort may come too late."""
    found = migration.ended(outcome, failure, {"downtime": 20, "time_elapsed": 900})

    assert expected == found


def test_job_without_statistics_has_no_times():
    """None is not nought."""
    found = migration.ended(LEFT, migration.NOTHING, {})

    assert (None, None) == (found.downtime_ms, found.job_ms)


def test_move_that_cannot_be_noted_does_not_begin(here, uri, monkeypatch):
    """leave() would not know what to remove; the guest stays, and so does the reason."""
    told = events.Events()
    link = connection.Connection(uri, told)
    moves = migration.Migration(here, link, told)
    server = factories.instance(uuid=link.get().listAllDomains()[0].UUIDString())
    data = objects.LibvirtLiveMigrateData(migration_uuid=ids.new())

    def full(_instance, _data):
        raise errors.NoDiskSpace("no space left for the note")

    monkeypatch.setattr(moves, "job", lambda _uuid: None)
    monkeypatch.setattr(moves, "_note", full)

    found = moves.run(server, data, driver.Terms(factories.policy()))

    assert (False, "no space left for the note") == (found.gone, found.reason)
