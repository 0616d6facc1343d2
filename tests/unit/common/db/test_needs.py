"""Claims that are needed and not held, or held of other sizes."""

import pytest

from common import objects
from common import states
from common.db import claims
from common.db import findings
from common.db import hosts
from common.db import moves
from common.db import needs
from common.db import servers
from tests import factories

UUID = "8f0f3c1e-0000-4000-8000-000000000001"
SMALL = factories.flavor(id="small", name="small")
LARGE = factories.flavor(id="large", name="large", memory_mb=1024, vcpus=2)
MOVE = states.Move


@pytest.fixture
def tx(database):
    """A transaction with three hosts."""
    with database.write() as opened:
        for name in ("host1", "host2", "host3"):
            hosts.report(opened, factories.node(name, uuid=name))
        yield opened


def server(tx, **values) -> objects.Instance:
    given = {"uuid": UUID, "host": "host1", "vm_state": states.Vm.ACTIVE, "flavor": SMALL}
    return servers.create(tx, factories.instance(**{**given, **values}))


def move(tx, **values) -> objects.Migration:
    given = {"instance_uuid": UUID, "destination": "host2", "type": states.Kind.RESIZE}
    made = factories.migration(**{**given, **values})
    if made.type != states.Kind.LIVE:
        made.cold = factories.cold_move(
            migration_uuid=made.uuid, old_flavor=SMALL, new_flavor=LARGE
        )
    return moves.create(tx, made)


def claim(tx, consumer: str, host: str, flavor: objects.Flavor = SMALL) -> None:
    claims.claim(tx, host, consumer, claims.amounts(flavor))


def found(tx, host: str | None = None) -> list[tuple[str, str]]:
    """Give who lacks something, and where."""
    return [(need.consumer, need.host) for need in needs.find(tx, host and [host])]


@pytest.mark.parametrize("state", sorted(needs.STANDING))
def test_a_server_needs_its_flavor_where_it_is(tx, state):
    server(tx, vm_state=state)
    before, elsewhere = found(tx), found(tx, "host2")
    claim(tx, UUID, "host1")

    assert ([(UUID, "host1")], []) == (before, elsewhere)
    assert [] == found(tx)


@pytest.mark.parametrize(
    "values",
    [
        {"vm_state": states.Vm.ERROR},
        {"vm_state": states.Vm.DELETED},
        {"vm_state": states.Vm.BUILDING, "host": None},
    ],
)
def test_a_server_that_need_not_have_a_guest_needs_nothing(tx, values):
    server(tx)
    servers.change(tx, UUID, **values)

    assert [] == found(tx)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (states.Kind.LIVE, MOVE.QUEUED),
        (states.Kind.LIVE, MOVE.RUNNING),
        (states.Kind.RESIZE, MOVE.MIGRATING),
        (states.Kind.RESIZE, MOVE.REVERTING),
    ],
)
def test_a_move_needs_both_its_hosts(tx, kind, status):
    """The source holds what the guest had, the destination what it will have."""
    server(tx)
    made = move(tx, type=kind, status=status)
    new = SMALL if kind == states.Kind.LIVE else LARGE

    lacking = needs.find(tx)
    claim(tx, made.uuid, "host1", SMALL)
    claim(tx, UUID, "host2", new)

    assert [
        (made.uuid, "host1", claims.amounts(SMALL)),
        (UUID, "host2", claims.amounts(new)),
    ] == [(need.consumer, need.host, need.amounts) for need in lacking]
    assert [] == found(tx)


@pytest.mark.parametrize("status", [MOVE.ACCEPTED, MOVE.PRE_MIGRATING])
def test_a_move_that_may_still_be_refused_needs_its_source_only(tx, status):
    server(tx)
    made = move(tx, status=status)

    assert [(made.uuid, "host1")] == found(tx)


def test_a_resize_that_waits_to_be_confirmed_needs_both_sizes(tx):
    server(tx, host="host2", vm_state=states.Vm.RESIZED, flavor=LARGE)
    made = move(tx, status=MOVE.FINISHED)

    assert [
        (made.uuid, "host1", claims.amounts(SMALL)),
        (UUID, "host2", claims.amounts(LARGE)),
    ] == [(need.consumer, need.host, need.amounts) for need in needs.find(tx)]


def test_what_nobody_has_understood_is_left_alone(tx):
    """Until the move in error has given its room back."""
    server(tx)
    made = move(tx, status=MOVE.ERROR)
    claim(tx, made.uuid, "host1")
    lost = found(tx)
    claims.release(tx, made.uuid)

    assert ([], [(UUID, "host1")]) == (lost, found(tx))


def test_a_claim_of_another_size_is_found(tx):
    server(tx)
    claim(tx, UUID, "host1", LARGE)

    (need,) = needs.find(tx)

    assert findings.AMOUNT == findings.needed(need).kind
    assert (
        f"host1 held 2 vCPUs, 1024 MiB, 1 GiB for server {UUID} (vm), "
        "which needs 1 vCPUs, 512 MiB, 1 GiB"
    ) == findings.needed(need).sentence


@pytest.mark.parametrize("wrong", [None, LARGE])
def test_a_need_is_met_whether_there_is_room_or_not(tx, wrong):
    """The sums agree afterwards, and the host has promised too much."""
    server(tx)
    if wrong is not None:
        claim(tx, UUID, "host1", wrong)
    hosts.report(tx, factories.node("host1", uuid="host1", memory_mb=100))
    (need,) = needs.find(tx)

    needs.meet(tx, need)

    assert {"host1": claims.amounts(SMALL)} == claims.held(tx, UUID)
    assert [] == findings.miscounted(tx)
    assert ["host1 is over-promised: memory 412 MiB"] == [
        one.sentence for one in findings.over_promised(tx, ["host1"])
    ]


def test_a_need_that_is_none_any_more_changes_nothing(tx):
    """Somebody was quicker."""
    server(tx)
    (need,) = needs.find(tx)
    servers.change(tx, UUID, vm_state=states.Vm.DELETED)

    assert needs.meet(tx, need) is None
    assert {} == claims.held(tx, UUID)


def test_a_flavor_without_a_disk_needs_that_of_the_image(tx):
    """On both hosts of a move, too."""
    rootless = factories.flavor(root_gb=0)
    image = factories.image(size=3 << 30)
    made = server(tx, flavor=rootless, image=image)
    share = claims.amounts(rootless, image)
    claims.claim(tx, "host1", made.uuid, share)
    before = found(tx)
    moving = move(tx, type=states.Kind.LIVE, status=MOVE.RUNNING)
    claims.transfer(tx, "host1", made.uuid, moving.uuid)
    claims.claim(tx, "host2", made.uuid, share)

    assert ([], [], 3) == (before, found(tx), share[claims.DISK_GB])
