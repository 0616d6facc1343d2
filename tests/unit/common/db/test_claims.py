import pytest

from common import errors
from common.db import claims
from common.db import hosts
from common.db import moves
from common.db import servers
from tests import factories
from tests import races

ONE_CORE = {claims.VCPU: 1}


@pytest.fixture
def host(database):
    """One host of one core, 1024 MiB of which it keeps 256, and 10 GiB promised twice."""
    with database.write() as tx:
        hosts.report(
            tx,
            factories.node(
                vcpus=1,
                memory_mb=1024,
                reserved_host_memory_mb=256,
                local_gb=10,
                disk_allocation_ratio=2.0,
            ),
        )
    return "host1"


def test_amounts_round_disk_up():
    flavor = factories.flavor(vcpus=2, memory_mb=64, root_gb=3, ephemeral_gb=1, swap_mb=1)

    assert {"VCPU": 2, "MEMORY_MB": 64, "DISK_GB": 5} == claims.amounts(flavor)


@pytest.mark.parametrize(
    ("root", "image", "disk"),
    [
        (3, {"size": 9 << 30, "min_disk": 9}, 3),
        (0, {"size": 1}, 1),
        (0, {"size": 2 << 30}, 2),
        (0, {"size": (2 << 30) + 1}, 3),
        (0, {"size": 1 << 20, "min_disk": 10, "disk_format": "qcow2"}, 10),
        (0, None, 0),
    ],
)
def test_without_a_root_disk_the_image_says_how_large_it_is(root, image, disk):
    """Of a qcow2 the store knows its virtual size as the least disk."""
    flavor = factories.flavor(root_gb=root)
    found = None if image is None else factories.image(**image)

    assert disk == claims.amounts(flavor, found)["DISK_GB"]


def test_capacity_is_what_is_not_reserved_times_the_ratio(database, host):
    with database.read() as tx:
        found = claims.inventory(tx, host)[host]

    assert {"VCPU": 1, "MEMORY_MB": 768, "DISK_GB": 20} == {
        name: amount.capacity for name, amount in found.items()
    }


def test_a_claim_holds_every_class(database, host):
    wanted = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 20}
    with database.write() as tx:
        claims.claim(tx, host, "vm", wanted)

        assert {host: wanted} == claims.held(tx, "vm")
        assert {host: wanted} == claims.usage(tx)


def test_all_or_nothing(database, host):
    """What does not fit in one class leaves no trace in the others, and says each number."""
    with pytest.raises(errors.NoRoom) as caught, database.write() as tx:
        claims.claim(tx, host, "vm", {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 30})

    assert "host1: needs 1024 MB, 768 MB free of 768; needs 30 GB of disk, 20 GB free of 20" == str(
        caught.value
    )
    with database.read() as tx:
        assert {} == claims.held(tx, "vm")


def test_a_repeat_changes_nothing(database, host):
    with database.write() as tx:
        first = claims.claim(tx, host, "vm", ONE_CORE)
        second = claims.claim(tx, host, "vm", ONE_CORE)

        assert first == second
        assert {host: ONE_CORE} == claims.usage(tx)


def test_another_amount_is_exchanged(database, host):
    """What is held counts as free for what is asked now, and not twice."""
    with database.write() as tx:
        claims.claim(tx, host, "vm", {"VCPU": 1, "MEMORY_MB": 500})

        assert {"VCPU": 1, "MEMORY_MB": 700} == claims.claim(
            tx, host, "vm", {"VCPU": 1, "MEMORY_MB": 700}
        )
        assert {host: {"VCPU": 1, "MEMORY_MB": 700}} == claims.usage(tx)
        assert 700 == claims.inventory(tx)[host]["MEMORY_MB"].used


def test_an_exchange_that_does_not_fit_changes_nothing(database, host):
    with database.write() as tx:
        claims.claim(tx, host, "vm", ONE_CORE)

    with pytest.raises(errors.NoRoom), database.write() as tx:
        claims.claim(tx, host, "vm", {"VCPU": 2})

    with database.read() as tx:
        assert {host: ONE_CORE} == claims.usage(tx)


@pytest.fixture
def resident(database, host):
    """A server that lives on the host with one core."""
    server = factories.instance(host=host)
    with database.write() as tx:
        servers.create(tx, server)
        claims.claim(tx, host, server.uuid, ONE_CORE)
    return server


def test_the_room_in_which_a_server_lives_is_not_exchanged(database, host, resident):
    """A request for a move that has ended meanwhile comes too late."""
    with pytest.raises(errors.NoRoom, match="lives there"), database.write() as tx:
        claims.claim(tx, host, resident.uuid, {"MEMORY_MB": 5})

    with database.read() as tx:
        assert {} == claims.late(tx, resident.uuid)
        assert {host: ONE_CORE} == claims.usage(tx)


def test_what_a_moving_server_holds_is_late(database, host, resident):
    """Its room at the source is the move's, so its own claims are for destinations, there too."""
    move = factories.migration(instance_uuid=resident.uuid, source=host)
    with database.write() as tx:
        moves.create(tx, move)
        claims.transfer(tx, host, resident.uuid, move.uuid)
        claims.claim(tx, host, resident.uuid, {"MEMORY_MB": 5})

        assert {host: {"MEMORY_MB": 5}} == claims.late(tx, resident.uuid)


def test_an_unknown_host_is_refused(database):
    with pytest.raises(errors.HostNotFound, match="host9"), database.write() as tx:
        claims.claim(tx, "host9", "vm", ONE_CORE)


def test_an_over_promised_host_takes_nothing(database, host):
    """Not even what needs none of what it has promised too much of."""
    with database.write() as tx:
        claims.claim(tx, host, "vm", {"MEMORY_MB": 768})
        hosts.report(tx, factories.node(memory_mb=256))

        with pytest.raises(errors.NoRoom, match="host1: it is over-promised: memory 512 MiB"):
            claims.claim(tx, host, "other", {"VCPU": 1, "MEMORY_MB": 0})


def test_released_room_can_be_claimed(database, host):
    with database.write() as tx:
        claims.claim(tx, host, "vm", ONE_CORE)
        claims.release(tx, "vm")
        claims.release(tx, "vm")

        assert ONE_CORE == claims.claim(tx, host, "other", ONE_CORE)


def test_a_release_may_name_the_host(database, host):
    with database.write() as tx:
        hosts.report(tx, factories.node("host2"))
        claims.claim(tx, host, "vm", ONE_CORE)
        claims.claim(tx, "host2", "vm", ONE_CORE)

        claims.release(tx, "vm", host)

        assert {"host2": ONE_CORE} == claims.held(tx, "vm")


def test_a_transfer_keeps_the_amounts(database, host):
    with database.write() as tx:
        claims.claim(tx, host, "vm", ONE_CORE)
        claims.transfer(tx, host, "vm", "move")
        claims.transfer(tx, host, "vm", "move")

        assert {} == claims.held(tx, "vm")
        assert {host: ONE_CORE} == claims.held(tx, "move")


def test_a_transfer_from_nothing_is_refused(database, host):
    with (
        pytest.raises(errors.StaleWrite, match="vm holds nothing on host1"),
        database.write() as tx,
    ):
        claims.transfer(tx, host, "vm", "move")


def test_a_transfer_never_joins_two_claims(database, host):
    with database.write() as tx:
        claims.claim(tx, host, "vm", ONE_CORE)
        claims.claim(tx, host, "move", {"DISK_GB": 1})

        with pytest.raises(errors.Exists):
            claims.transfer(tx, host, "vm", "move")


def test_last_core_is_claimed_once(database, host):
    """Racing claims on one core: exactly one wins."""

    def claim(number: int) -> str:
        try:
            with database.write() as tx:
                claims.claim(tx, host, f"vm{number}", ONE_CORE)
        except errors.NoRoom:
            return "no room"
        return "claimed"

    results = races.race(claim, times=8)

    assert ["claimed"] + ["no room"] * 7 == sorted(results)


def test_racing_repeats_claim_once(database, host):
    """The same request delivered several times at once holds its room once."""

    def claim(_number: int) -> dict[str, int]:
        with database.write() as tx:
            return claims.claim(tx, host, "vm", ONE_CORE)

    results = races.race(claim, times=6)

    assert [ONE_CORE] * 6 == results
    with database.read() as tx:
        assert {host: ONE_CORE} == claims.usage(tx)
