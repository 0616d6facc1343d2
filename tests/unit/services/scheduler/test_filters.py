import pytest

from common import errors
from common.db import claims
from common.db.hosts import Room
from services.scheduler import request
from services.scheduler.filters import table
from tests import factories

GOOD = Room(
    name="host1",
    zone="nova",
    up=True,
    silent=3.0,
    forced_down=False,
    disabled=False,
    disabled_reason=None,
    amounts={
        claims.VCPU: claims.Amount(4, 0, 1.0, 3),
        claims.MEMORY_MB: claims.Amount(4096, 512, 1.0, 3072),
        claims.DISK_GB: claims.Amount(40, 0, 2.0, 79),
    },
)
WANTED = request.Request(
    consumer="vm",
    amounts={claims.VCPU: 1, claims.MEMORY_MB: 512, claims.DISK_GB: 1},
    zone="nova",
    requested_host="host1",
    ignored=frozenset({"host2"}),
)


@pytest.mark.parametrize("name", table.FILTERS)
def test_a_host_that_just_fits_passes(name):
    assert table.FILTERS[name](GOOD, WANTED) is None


@pytest.mark.parametrize(
    ("name", "host", "wanted", "reason"),
    [
        (
            "up",
            {"up": False, "silent": 41.6},
            {},
            "its compute service is down, last seen 42 s ago",
        ),
        ("up", {"up": False, "silent": None}, {}, "its compute service has never reported"),
        ("up", {"up": False, "forced_down": True}, {}, "its compute service is forced down"),
        ("enabled", {"disabled": True}, {}, "it is disabled: no reason was given"),
        ("enabled", {"disabled": True, "disabled_reason": "fan"}, {}, "it is disabled: fan"),
        ("zone", {"zone": "west"}, {}, "it is in availability zone west, nova is wanted"),
        ("ignored", {"name": "host2"}, {}, "it is the source, or was tried before"),
        ("requested", {"name": "host3"}, {}, "host1 is wanted"),
        ("ram", {}, {claims.MEMORY_MB: 513}, "512 MiB of 3584 free, 513 needed"),
        ("cores", {}, {claims.VCPU: 2}, "1 of 4 vCPUs free, 2 needed"),
        ("disk", {}, {claims.DISK_GB: 2}, "1 GiB of disk of 80 free, 2 needed"),
        ("disk", {"amounts": {}}, {}, "0 GiB of disk of 0 free, 1 needed"),
    ],
)
def test_a_refusal_says_why(name, host, wanted, reason):
    asked = WANTED._replace(amounts={**WANTED.amounts, **wanted})

    assert reason == table.FILTERS[name](GOOD._replace(**host), asked)


def test_without_wishes_any_host_will_do():
    anything = WANTED._replace(zone=None, requested_host=None)

    assert table.refusal(table.FILTERS.values(), GOOD._replace(zone="x"), anything) is None


def test_the_first_filter_gives_the_reason():
    chosen = table.choose(["zone", "up"])

    reason = table.refusal(chosen, GOOD._replace(up=False, zone="west"), WANTED)

    assert reason is not None
    assert "availability zone" in reason


def test_an_unknown_filter_is_named():
    with pytest.raises(errors.Invalid, match="colour"):
        table.choose(["ram", "colour"])


def test_a_specification_is_read_whole(database):
    spec = factories.spec(
        consumer="vm", availability_zone="nova", requested_host="host1", ignore_hosts=["host2"]
    )

    with database.read() as tx:
        assert WANTED == request.read(tx, spec)
