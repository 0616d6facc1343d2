import pytest

from common import errors
from common.db import flavors
from tests import factories
from tests import races


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


def test_extra_specs_are_set_and_removed(database):
    """By id or name; the others stay."""
    with database.write() as tx:
        flavors.create(tx, factories.flavor(extra_specs={"a": "1", "b": "1"}))

        changed = flavors.specify(tx, "m1.tiny", {"b": "2", "c": "3"}, ["a", "z"])

    assert {"b": "2", "c": "3"} == changed.extra_specs


def test_extra_specs_of_many_writers_all_hold(database):
    """None writes back what it has read before another wrote."""
    with database.write() as tx:
        flavors.create(tx, factories.flavor())

    def write(number):
        with database.write() as tx:
            flavors.specify(tx, "1", {f"key{number}": "1"}, [])

    races.race(write, times=8)

    with database.read() as tx:
        assert {f"key{number}": "1" for number in range(8)} == flavors.get(tx, "1").extra_specs
