import pytest

from common import errors
from common import ids
from services.compute.virt.libvirt import records

COMING = records.Role.COMING
LEAVING = records.Role.LEAVING


def test_record_is_read_back_by_its_role(tmp_path):
    """The same move can come and leave here; each has its record."""
    record = records.Record(ids.new(), ids.new(), ["/a"])

    records.write(tmp_path, COMING, record)

    assert record == records.read(tmp_path, COMING, record.migration)
    assert records.read(tmp_path, LEAVING, record.migration) is None


def test_dropping_twice_is_fine(tmp_path):
    """A repeated message finds nothing to forget."""
    record = records.Record(ids.new(), ids.new(), [])
    records.write(tmp_path, COMING, record)

    records.drop(tmp_path, COMING, record.migration)
    records.drop(tmp_path, COMING, record.migration)

    assert [] == list(tmp_path.iterdir())


def test_drop_all_forgets_one_server_in_one_role(tmp_path):
    """Other servers, and the other role, keep their records."""
    server = ids.new()
    mine = records.Record(ids.new(), server, [])
    other = records.Record(ids.new(), ids.new(), [])
    for record in (mine, other):
        records.write(tmp_path, LEAVING, record)
    records.write(tmp_path, COMING, mine)

    records.drop_all(tmp_path, LEAVING, server)

    assert records.read(tmp_path, LEAVING, mine.migration) is None
    assert other == records.read(tmp_path, LEAVING, other.migration)
    assert mine == records.read(tmp_path, COMING, mine.migration)


def test_migration_id_is_no_path(tmp_path):
    """An id that is no uuid never becomes part of a file's name."""
    with pytest.raises(errors.Invalid):
        records.read(tmp_path, COMING, "../../etc/passwd")
