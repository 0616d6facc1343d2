"""Live migrations between hosts of which some share their disks, and others share others."""

from typing import Any

import pytest

from common import errors
from common import states
from common.db import hosts as rows
from tests import stage as stages
from tests import waiting

OPTIONS: dict[str, Any] = {"service.heartbeat": 1}
POOLS = {"east": ("east1", "east2"), "west": ("west1", "west2")}


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    """Two storages with two hosts each."""
    hosts = [host for names in POOLS.values() for host in names]
    folder = tmp_path_factory.mktemp("pools")
    with stages.running(folder, hosts=hosts, **OPTIONS) as stage:
        for pool, names in POOLS.items():
            files: set[str] = set()
            for host in names:
                stage.world.host(host).files = files
                stage.world.host(host).storage = pool
        waiting.until(
            lambda: told(stage) == {frozenset(names) for names in POOLS.values()}, "pools"
        )
        yield stage


def told(stage):
    """Give the hosts that share a storage, as they have reported."""
    with stage.database.read() as tx:
        return {frozenset(rows.sharing(tx, host)) for host in stage.hosts}


def test_a_guest_stays_in_its_pool_while_it_can(pooled):
    """Left to the hosts: memory alone within the pool, and a copy when the pool has no room."""
    pooled.boot(stages.LARGE, requested_host="east2")
    server = pooled.boot(requested_host="east1")

    near = pooled.ended(pooled.migrate(server.uuid))
    pooled.mark("east1", disabled=True)
    far = pooled.ended(pooled.migrate(server.uuid))

    assert ("east2", False) == (near.destination, near.data.block_migration)
    assert (states.Move.COMPLETED, True) == (far.status, far.data.block_migration)
    assert far.destination in POOLS["west"]
    pooled.clear()


def test_a_guest_that_must_stay_in_its_pool_stays(pooled):
    """Asked for shared storage it is refused rather than copied."""
    server = pooled.boot(requested_host="east1")
    pooled.mark("east2", disabled=True)

    with pytest.raises(errors.NoValidHost, match="StoragePoolFilter: it does not reach"):
        pooled.migrate(server.uuid, block_migration=False)

    assert ["east1"] == pooled.world.running(server.uuid)
    pooled.clear()
