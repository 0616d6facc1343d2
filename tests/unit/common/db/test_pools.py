"""Hosts that keep their guests' disks in one place."""

import pytest

from common.db import claims
from common.db import findings
from common.db import hosts
from common.db import pools
from tests import factories

SHARED = "8f0f3c1e-0000-4000-8000-00000000000a"
OWN = "8f0f3c1e-0000-4000-8000-00000000000b"


@pytest.fixture
def tx(database):
    """A transaction with two hosts of 40 GiB that share their disks, and two that do not."""
    with database.write() as opened:
        for name, storage in (("one", SHARED), ("two", SHARED), ("alone", OWN), ("mute", "")):
            hosts.report(opened, factories.node(name, uuid=name, storage=storage))
        yield opened


def told(tx, *names: str) -> list[tuple[str, str]]:
    return [(one.host, one.sentence) for one in findings.overdrawn(tx, names)]


def test_hosts_of_one_place_are_found_by_any_of_them(tx):
    (pool,) = pools.of(tx, ["one", "alone", "mute"])

    assert (SHARED, ("one", "two"), 40, 0) == pool


def test_what_is_promised_of_it_is_added_up(tx):
    """Each has room for its own claims, and both together have not."""
    claims.claim(tx, "one", "vm1", {claims.DISK_GB: 30})
    claims.claim(tx, "two", "vm2", {claims.DISK_GB: 10})
    before = told(tx, "one", "two")
    claims.claim(tx, "two", "vm3", {claims.DISK_GB: 5})
    words = (
        "one, two keep their disks in one place and have promised 45 GiB of it together; it has 40"
    )

    assert [] == before
    assert [("one", words), ("two", words)] == told(tx, "one", "two")
    assert [("two", words)] == told(tx, "two", "alone")
