import pytest

from common import errors
from common.db import flavors
from tests import factories


def test_found_by_id_and_by_name(database):
    flavor = factories.flavor(id="7", name="big", extra_specs={"a": "b"})
    with database.write() as tx:
        flavors.create(tx, flavor)

    with database.read() as tx:
        assert flavor == flavors.get(tx, "7")
        assert flavor == flavors.get(tx, "big")


def test_a_taken_name_is_refused(database):
    with database.write() as tx:
        flavors.create(tx, factories.flavor())

        with pytest.raises(errors.Exists, match=r"m1\.tiny"):
            flavors.create(tx, factories.flavor(id="2"))


def test_removed(database):
    with database.write() as tx:
        flavors.create(tx, factories.flavor())
        flavors.delete(tx, "m1.tiny")

        with pytest.raises(errors.FlavorNotFound):
            flavors.get(tx, "1")


def test_extra_specs_can_be_changed(database):
    with database.write() as tx:
        flavors.create(tx, factories.flavor(extra_specs={"a": "1"}))

        changed = flavors.change(tx, "1", extra_specs={"b": "2"})

    assert {"b": "2"} == changed.extra_specs
