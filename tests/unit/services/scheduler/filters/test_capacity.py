"""Filters by what was measured, and by what was promised too much."""

import pytest

from common.db import claims
from common.db.hosts import Room
from services.scheduler import request
from services.scheduler.filters import table

LEAST = table.FILTERS["DiskLeastFilter"]
OVER = table.FILTERS["OverPromisedFilter"]
HOST = Room(
    name="host1",
    zone="nova",
    up=True,
    silent=3.0,
    forced_down=False,
    disabled=False,
    disabled_reason=None,
    amounts={
        claims.VCPU: claims.Amount(4, 0, 4.0, 16),
        claims.MEMORY_MB: claims.Amount(4096, 512, 1.0, 3584),
        claims.DISK_GB: claims.Amount(100, 0, 1.0, 10),
    },
    disk_available_least=5,
    storage="here",
)
WANTED = request.Request(
    consumer="vm",
    amounts={claims.VCPU: 1, claims.MEMORY_MB: 512, claims.DISK_GB: 5},
    zone=None,
    requested_host=None,
    ignored=frozenset(),
)


def disk(amount: claims.Amount) -> Room:
    return HOST._replace(amounts={**HOST.amounts, claims.DISK_GB: amount})


def wants(gb: int, **more) -> request.Request:
    return WANTED._replace(amounts={**WANTED.amounts, claims.DISK_GB: gb}, **more)


@pytest.mark.parametrize(
    ("least", "need", "reason"),
    [
        (5, 5, None),
        (5, 6, "needs 6 GB, 5 GB left for new disks when those there are full"),
        (-2, 1, "needs 1 GB, -2 GB left for new disks when those there are full"),
        (-2, 0, None),
        (None, 1000, None),
    ],
)
def test_disks_must_have_room_to_grow(least, need, reason):
    """Needing no disk always fits, and a host that measures none is not refused for it."""
    host = HOST._replace(disk_available_least=least)

    assert reason == LEAST.refuse(host, wants(need))


@pytest.mark.parametrize(
    ("reserved", "ratio", "room"), [(0, 1.5, 55), (3, 1.0, 2), (20, 1.0, -15), (10, 0.5, -50)]
)
def test_reserve_and_ratio_hold_for_what_is_measured(reserved, ratio, room):
    host = disk(claims.Amount(100, reserved, ratio, 10))

    assert room == host.disk_room
    assert LEAST.refuse(host, wants(max(room, 0))) is None or room < 0
    refusal = LEAST.refuse(host, wants(max(room, 0) + 1))
    assert refusal is not None
    assert f"{room} GB left" in refusal
    assert "disk_available_least 5, by its reserve and ratio" in refusal


@pytest.mark.parametrize(("least", "ratio", "room"), [(-1, 2.0, -1), (0, 2.0, 100), (-1, 0.9, -11)])
def test_no_ratio_helps_where_disks_may_outgrow_the_host(least, ratio, room):
    """A negative number takes no disk at all."""
    host = disk(claims.Amount(100, 0, ratio, 10))._replace(disk_available_least=least)

    assert room == host.disk_room
    assert (LEAST.refuse(host, wants(1)) is None) == (room > 0)


def test_foreign_disks_are_measured_already():
    """They are counted as promised, and are in what is free."""
    assert 5 == disk(claims.Amount(100, 0, 1.0, 10, foreign=50)).disk_room


@pytest.mark.parametrize(
    "more",
    [{"local_disk": False}, {"disk_storage": "here"}, {"disk_over_commit": True}],
    ids=["elsewhere", "shared", "over-commit"],
)
def test_disks_that_need_no_room_there_are_not_counted(more):
    assert LEAST.refuse(HOST, wants(500, **more)) is None


def test_another_storage_needs_room():
    assert LEAST.refuse(HOST, wants(500, disk_storage="there")) is not None
    assert LEAST.refuse(HOST._replace(storage=""), wants(500, disk_storage="")) is not None


def test_explanation_says_what_is_left():
    assert "5 GB left for new disks" in LEAST.seen(HOST, WANTED)
    assert "the guest's disks are there already" == LEAST.seen(HOST, wants(1, disk_storage="here"))


def test_a_full_host_has_promised_no_more_than_it_has():
    assert OVER.refuse(HOST, WANTED) is None


@pytest.mark.parametrize(
    ("kind", "amount", "words"),
    [
        (claims.MEMORY_MB, claims.Amount(4096, 4096, 1.0, 3200), "memory 3200 MiB"),
        (claims.VCPU, claims.Amount(4, 0, 1.0, 4, foreign=2), "vCPUs 2"),
        (claims.DISK_GB, claims.Amount(100, 0, 0.5, 60), "disk 10 GiB"),
    ],
)
def test_an_over_promised_host_is_given_nothing(kind, amount, words):
    """Not even what needs nothing of that class."""
    host = HOST._replace(amounts={**HOST.amounts, kind: amount})
    nothing = WANTED._replace(amounts=dict.fromkeys(claims.SHORT, 0))

    assert f"it is over-promised: {words}" == OVER.refuse(host, nothing)
