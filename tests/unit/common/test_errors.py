import inspect

import pytest

from common import errors

# A code never changes once released: clients decide by it. New ones are added here.
CODES = {
    "action_not_found",
    "aggregate_not_found",
    "bad_image",
    "bridge_missing",
    "bus_down",
    "check_failed",
    "conflict",
    "copy_path_closed",
    "database_down",
    "disk_exists",
    "exists",
    "flavor_not_found",
    "forbidden",
    "group_not_found",
    "group_policy",
    "guest_not_found",
    "host_not_found",
    "host_unsuitable",
    "hypervisor_error",
    "hypervisor_too_old",
    "image_not_found",
    "incompatible_cpu",
    "internal",
    "invalid",
    "link_lost",
    "migration_not_found",
    "move_aborted",
    "move_failed",
    "network_not_found",
    "no_address",
    "no_answer",
    "no_disk_space",
    "no_room",
    "no_valid_host",
    "not_found",
    "remote_error",
    "server_not_found",
    "service_not_found",
    "stale_write",
    "storage_mismatch",
    "unauthorized",
    "unavailable",
    "unreachable",
    "unresolved",
    "wrong_architecture",
    "wrong_state",
    "zone_conflict",
}

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.Error)
]


def test_codes_are_those_released():
    """One code per class, and none is lost or renamed."""
    assert len(KINDS) == len({kind.code for kind in KINDS})
    assert CODES == errors.by_code().keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_what_it_is(kind):
    """One sentence each; its own code, not that of its parent."""
    assert kind.__doc__
    assert "code" in vars(kind)


def test_error_is_its_sentence_and_its_facts():
    """Nothing else is ever shown."""
    error = errors.NoRoom("host1 is full", host="host1")

    assert ("host1 is full", "host1 is full") == (str(error), error.message)
    assert {"host": "host1"} == error.facts


def test_error_is_rebuilt_from_its_code():
    """The same class at the other end; an unknown code is a RemoteError."""
    assert isinstance(errors.rebuild("no_room", "x", {}), errors.NoRoom)
    assert isinstance(errors.rebuild("never_heard_of", "x", {}), errors.RemoteError)
