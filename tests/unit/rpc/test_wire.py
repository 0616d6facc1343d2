import datetime
import json

import pytest

from common import context
from common import errors
from common import objects
from rpc import wire
from tests import factories


def over(value, pins=None):
    """Send a value as JSON and read it again."""
    sent = json.dumps(wire.Serializer(pins).serialize_entity(None, value))
    return wire.Serializer().deserialize_entity(None, json.loads(sent))


def test_values_at_any_depth_survive():
    """Objects in dicts of lists, and plain values beside them."""
    flavor = factories.flavor()
    value = {"a": [flavor, 1, None, "x"], "b": {"c": flavor}}

    assert value == over(value)


def test_objects_arrive_unchanged():
    """Nothing of what arrived counts as changed since."""
    assert set() == over(factories.instance()).obj_what_changed()


def test_times_keep_their_microseconds():
    """Steps of a move last milliseconds."""
    now = datetime.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=datetime.UTC)

    assert now == over(factories.instance(created_at=now)).created_at


def test_pinned_object_is_sent_one_version_back():
    """Also where it is a field of another, so that an old receiver understands the whole."""
    data = objects.LibvirtLiveMigrateData(migration_uuid="m", unsafe=True)
    migration = factories.migration(data=data)

    sent = wire.Serializer({"LibvirtLiveMigrateData": "1.0"}).serialize_entity(None, data)
    arrived = over(migration, {"LibvirtLiveMigrateData": "1.0"})

    assert "1.0" == sent["whimbrel.version"]
    assert "unsafe" not in sent["whimbrel.data"]
    assert migration.uuid == arrived.uuid


def test_answers_and_refusals_are_opened_as_they_were_sealed():
    """A result of None is a result; an error is raised with all it had."""
    refused = json.loads(json.dumps(wire.refusal(errors.NoRoom("host1 is full", host="host1"))))

    assert wire.open_answer(wire.answer(None)) is None
    with pytest.raises(errors.NoRoom) as raised:
        wire.open_answer(refused)
    assert ("host1 is full", {"host": "host1"}) == (str(raised.value), raised.value.facts)


def test_unknown_code_is_a_remote_error():
    """A newer service may refuse in ways that this one has no class for."""
    with pytest.raises(errors.RemoteError, match="too late"):
        wire.open_answer(
            {"error": {"code": "not_yet_invented", "message": "too late", "facts": {}}}
        )


def test_context_crosses_as_plain_values():
    """Who asked, and under which request id."""
    asked = context.admin()

    sent = json.loads(json.dumps(wire.Serializer().serialize_context(asked)))
    arrived = context.rebuild(wire.Serializer().deserialize_context(sent))

    assert (asked.request_id, asked.user_id, asked.roles) == (
        arrived.request_id,
        arrived.user_id,
        arrived.roles,
    )
