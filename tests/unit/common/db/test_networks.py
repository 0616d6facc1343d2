import pytest

from common import errors
from common import ids
from common.db import networks
from tests import factories
from tests import races


@pytest.fixture
def tenant(database):
    with database.write() as tx:
        return networks.create(tx, factories.network())


def test_addresses_begin_after_the_first_two(database, tenant):
    with database.write() as tx:
        port = networks.allocate(tx, tenant.id, "vm")

    assert "198.51.100.3" == port.address
    assert "fa:16:c6:33:64:03" == port.mac
    assert ("tenant", "br-tenant") == (port.network, port.bridge)


def test_every_server_gets_another_address_until_none_is_left(database, tenant):
    with database.write() as tx:
        given = [networks.allocate(tx, tenant.id, ids.new()).address for _ in range(4)]

        with pytest.raises(errors.NoAddress, match="tenant"):
            networks.allocate(tx, tenant.id, "one too many")

    assert [f"198.51.100.{last}" for last in (3, 4, 5, 6)] == given


def test_a_released_address_is_given_again(database, tenant):
    with database.write() as tx:
        first = networks.allocate(tx, tenant.id, "vm")
        networks.release(tx, "vm")
        networks.release(tx, "vm")

        assert first.address == networks.allocate(tx, tenant.id, "other").address


def test_a_pool_bounds_the_addresses(database):
    with database.write() as tx:
        small = factories.network(pool_start="198.51.100.5", pool_end="198.51.100.5")
        network = networks.create(tx, small)

        assert "198.51.100.5" == networks.allocate(tx, network.id, "vm").address
        with pytest.raises(errors.NoAddress):
            networks.allocate(tx, network.id, "other")


def test_without_a_cidr_the_mac_is_random(database):
    with database.write() as tx:
        network = networks.create(tx, factories.network(cidr=None))
        first, second = (networks.allocate(tx, network.id, "vm") for _ in range(2))

    assert first.address is None
    assert first.mac.startswith("fa:16:3e:")
    assert first.mac != second.mac


@pytest.mark.parametrize(
    "wrong",
    [{"cidr": "nonsense"}, {"cidr": "198.51.100.1/29"}, {"pool_start": "203.0.113.1"}],
)
def test_a_network_that_cannot_be_is_refused(database, wrong):
    with pytest.raises(errors.Invalid, match="tenant"), database.write() as tx:
        networks.create(tx, factories.network(**wrong))


def test_a_used_network_stays(database, tenant):
    with database.write() as tx:
        networks.allocate(tx, tenant.id, "vm")

        with pytest.raises(errors.Conflict, match="vm"):
            networks.delete(tx, tenant.id)


def test_an_unused_network_goes(database, tenant):
    with database.write() as tx:
        networks.delete(tx, "tenant")

        with pytest.raises(errors.NetworkNotFound):
            networks.get(tx, tenant.id)


def test_racing_servers_get_different_addresses(database, tenant):
    def allocate(number: int) -> str:
        with database.write() as tx:
            return str(networks.allocate(tx, tenant.id, f"vm{number}").address)

    given = races.race(allocate, times=4)

    assert [f"198.51.100.{last}" for last in (3, 4, 5, 6)] == sorted(given)
