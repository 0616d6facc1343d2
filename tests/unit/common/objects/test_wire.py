"""Every object on the wire: there and back, and one version back in both directions."""

import datetime
import json

import pytest
from oslo_versionedobjects import base as versioned
from oslo_versionedobjects import fields

from common import objects
from common.objects import base
from common.objects import loose
from common.objects import moment
from rpc import wire

NOW = datetime.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=datetime.UTC)

KINDS = {
    name: kinds[0]
    for name, kinds in versioned.VersionedObjectRegistry.obj_classes().items()
    if issubclass(kinds[0], base.Value) and kinds[0].__module__.startswith("common.objects")
}
GROWN = sorted(name for name, kind in KINDS.items() if kind.ADDED)

PLAIN = {
    fields.StringField: "word",
    fields.IntegerField: 7,
    fields.BooleanField: True,
    fields.FloatField: 1.5,
    fields.DictOfStringsField: {"a": "b"},
    fields.DictOfIntegersField: {"a": 1},
    fields.ListOfIntegersField: [1],
    fields.ListOfStringsField: ["a"],
    fields.DictOfListOfStringsField: {"a": ["b"]},
    loose.ReasonsField: {"host1": [{"filter": "RamFilter", "reason": "full"}]},
    loose.ScoresField: {"ram": 0.5},
    moment.MomentField: NOW,
}


def whole(name):
    """Give an object with something in every field, objects inside objects too."""
    return KINDS[name](**{field: _some(kind) for field, kind in KINDS[name].fields.items()})


def little(name):
    """Give an object with what must be given only."""
    kind = KINDS[name]
    return kind(
        **{
            field: _some(known)
            for field, known in kind.fields.items()
            if not known.nullable and known.default is fields.UnspecifiedDefault
        }
    )


def _some(field):
    if isinstance(field, fields.ObjectField):
        return whole(field.objname)
    if isinstance(field, fields.ListOfObjectsField):
        return [whole(field.objname)]
    return PLAIN[type(field)]


def sent(value, **pins):
    """Give what goes over the wire."""
    return json.loads(json.dumps(wire.Serializer(pins).serialize_entity(None, value)))


def read(primitive):
    return wire.Serializer().deserialize_entity(None, primitive)


def test_all_objects_are_known():
    """What the package exports is what is tested here."""
    exported = {name for name in vars(objects) if name[0].isupper()}

    assert exported == KINDS.keys()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_object_goes_there_and_back(name):
    """Every field, with its microseconds and the objects inside."""
    value = whole(name)
    value.obj_reset_changes(recursive=True)

    assert value == read(sent(value))


@pytest.mark.parametrize("name", sorted(KINDS))
def test_object_of_little_goes_there_and_back(name):
    """Only what must be given, and a default or None in everything else."""
    kind = KINDS[name]
    value = little(name)
    value.obj_reset_changes(recursive=True)

    assert value == read(sent(value))
    assert all(value.obj_attr_is_set(field) for field in kind.fields)


def previous(version: str) -> str:
    """The version before this one, which is not the first."""
    major, minor = version.split(".")
    return f"{major}.{int(minor) - 1}"


@pytest.mark.parametrize("name", GROWN)
def test_older_message_is_filled_up(name):
    """A sender one version back leaves the new fields out: they have their defaults."""
    kind = KINDS[name]
    before = previous(kind.VERSION)

    arrived = read(sent(whole(name), **{name: before}))

    assert kind.VERSION == arrived.VERSION
    for field, default in kind.ADDED[kind.VERSION].items():
        assert default == getattr(arrived, field)


@pytest.mark.parametrize("name", GROWN)
def test_newer_sender_speaks_one_version_back(name):
    """The message has no field that the older version does not know, and keeps the others."""
    kind = KINDS[name]
    before = previous(kind.VERSION)

    message = sent(whole(name), **{name: before})

    assert before == message["whimbrel.version"]
    assert kind.fields.keys() - kind.ADDED[kind.VERSION] == message["whimbrel.data"].keys()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_next_minor_version_is_read(name):
    """A field that is not known here does no harm."""
    value = whole(name)
    value.obj_reset_changes(recursive=True)
    message = sent(value)
    major, minor = KINDS[name].VERSION.split(".")
    message["whimbrel.version"] = f"{major}.{int(minor) + 1}"
    message["whimbrel.data"]["invented_later"] = 1

    assert value == read(message)


def test_other_major_version_is_refused():
    """What must not be guessed is not."""
    message = sent(whole("Flavor"))
    message["whimbrel.version"] = "2.0"

    with pytest.raises(Exception, match=r"2\.0 of Flavor is not supported"):
        read(message)


def test_live_migrate_data_of_the_last_version_is_understood():
    """Word for word what 1.0 sent."""
    message = {
        "whimbrel.name": "LibvirtLiveMigrateData",
        "whimbrel.namespace": "whimbrel",
        "whimbrel.version": "1.0",
        "whimbrel.data": {"migration_uuid": "m", "block_migration": None, "created": ["/a"]},
    }

    data = read(message)

    assert ("m", ["/a"]) == (data.migration_uuid, data.created)
    assert (False, False) == (data.unsafe, data.destination_has_files)


def test_pinned_object_inside_another_is_sent_back_too():
    """Else an older receiver of the whole would not understand its part."""
    migration = whole("Migration")

    message = sent(migration, LibvirtLiveMigrateData="1.0")

    inner = message["whimbrel.data"]["data"]
    assert ("1.0", False) == (inner["whimbrel.version"], "unsafe" in inner["whimbrel.data"])
    assert migration.data.migration_uuid == read(message).data.migration_uuid


@pytest.mark.parametrize("name", GROWN)
def test_added_fields_are_named_with_their_defaults(name):
    """What ADDED says is what the class has."""
    kind = KINDS[name]

    for version, added in kind.ADDED.items():
        assert version <= kind.VERSION
        for field, default in added.items():
            assert default == getattr(little(name), field)


def test_replace_gives_a_copy():
    """Objects are values: the original stays."""
    flavor = whole("Flavor")

    other = flavor.replace(name="other")

    assert ("word", "other", set()) == (flavor.name, other.name, other.obj_what_changed())
