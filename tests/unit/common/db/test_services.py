import datetime

import pytest

from common import errors
from common.db import services
from tests import factories
from tests.factories import NOW

DOWN_AFTER = 30


def later(seconds: float) -> datetime.datetime:
    return NOW + datetime.timedelta(seconds=seconds)


def test_up_while_its_report_is_young(database):
    with database.write() as tx:
        services.report(tx, factories.service(), NOW)

        young = services.find(tx, "host1", "nova-compute", later(30), DOWN_AFTER)
        old = services.find(tx, "host1", "nova-compute", later(30.1), DOWN_AFTER)

    assert young.up
    assert not old.up


def test_reports_are_counted_and_keep_the_uuid(database):
    with database.write() as tx:
        services.report(tx, factories.service(uuid="first"), NOW)
        services.report(tx, factories.service(uuid="second"), later(10))

        (found,) = services.all(tx, later(10), DOWN_AFTER)

    assert ("first", 2, later(10)) == (found.uuid, found.report_count, found.last_seen)


def test_what_an_operator_set_outlives_reports(database):
    with database.write() as tx:
        services.report(tx, factories.service(uuid="one"), NOW)
        services.change(
            tx, "one", now=NOW, down_after=DOWN_AFTER, disabled=True, disabled_reason="fan"
        )
        services.report(tx, factories.service(), later(1))

        found = services.get(tx, "one", later(1), DOWN_AFTER)

    assert (True, "fan") == (found.disabled, found.disabled_reason)


def test_forced_down_is_down_whatever_it_reports(database):
    with database.write() as tx:
        services.report(tx, factories.service(uuid="one"), NOW)

        found = services.change(tx, "one", now=NOW, down_after=DOWN_AFTER, forced_down=True)

    assert not found.up


def test_found_by_number_and_uuid(database):
    with database.write() as tx:
        services.report(tx, factories.service(uuid="one"), NOW)
        (found,) = services.all(tx, NOW, DOWN_AFTER)

        assert found == services.get(tx, int(found.id or 0), NOW, DOWN_AFTER)
        assert found == services.get(tx, "one", NOW, DOWN_AFTER)


@pytest.mark.parametrize("key", ["nobody", 17])
def test_an_unknown_service_is_not_found(database, key):
    with pytest.raises(errors.ServiceNotFound, match=str(key)), database.read() as tx:
        services.get(tx, key, NOW, DOWN_AFTER)


def test_changing_an_unknown_service_is_refused(database):
    with pytest.raises(errors.ServiceNotFound), database.write() as tx:
        services.change(tx, "nobody", now=NOW, down_after=DOWN_AFTER, disabled=True)
