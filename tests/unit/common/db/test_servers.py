import pytest

from common import errors
from common import ids
from common import states
from common.db import networks
from common.db import servers
from tests import factories
from tests import races


@pytest.fixture
def server(database):
    """An active server on host1."""
    with database.write() as tx:
        return servers.create(tx, factories.instance(vm_state="active", host="host1"))


def test_read_back_whole(database):
    made = factories.instance(
        image=factories.image(), metadata={"a": "b"}, description="x", task_state="spawning"
    )
    with database.write() as tx:
        stored = servers.create(tx, made)

    assert made.replace(created_at=stored.created_at, updated_at=stored.updated_at) == stored


def test_ports_come_with_the_server(database, server):
    with database.write() as tx:
        network = networks.create(tx, factories.network())
        ports = [networks.allocate(tx, network.id, server.uuid) for _ in range(2)]

        assert ports == servers.get(tx, server.uuid).ports


def test_an_unknown_server_is_not_found(database):
    with pytest.raises(errors.ServerNotFound, match="nobody"), database.read() as tx:
        servers.get(tx, "nobody")


def test_a_deleted_server_is_found_only_on_demand(database, server):
    with database.write() as tx:
        servers.change(tx, server.uuid, expect={}, vm_state=states.Vm.DELETED)

        with pytest.raises(errors.ServerNotFound):
            servers.get(tx, server.uuid)
        assert "deleted" == servers.get(tx, server.uuid, deleted=True).vm_state
        assert [] == servers.find(tx)
        assert [server.uuid] == [found.uuid for found in servers.find(tx, deleted=True)]


def test_a_change_needs_the_expected_state(database, server):
    with database.write() as tx:
        changed = servers.change(
            tx,
            server.uuid,
            expect={"vm_state": states.MOVABLE, "task_state": None},
            task_state=states.Task.MIGRATING,
        )

        assert ("migrating", 1) == (changed.task_state, changed.generation)
        with pytest.raises(errors.StaleWrite) as caught:
            servers.change(tx, server.uuid, expect={"task_state": None}, task_state="deleting")

    assert (
        f"server {server.uuid} is active with task migrating: task_state is migrating, not none"
        == str(caught.value)
    )


def test_none_may_be_one_of_several_expected(database, server):
    with database.write() as tx:
        changed = servers.change(
            tx, server.uuid, expect={"task_state": [None, "deleting"]}, task_state="deleting"
        )

        again = servers.change(
            tx, server.uuid, expect={"task_state": [None, "deleting"]}, task_state="deleting"
        )

    assert (1, 2) == (changed.generation, again.generation)


def test_an_old_generation_is_stale(database, server):
    with database.write() as tx:
        servers.change(tx, server.uuid, expect={"generation": 0}, task_state="deleting")

        with pytest.raises(errors.StaleWrite, match="generation is 1, not 0"):
            servers.change(tx, server.uuid, expect={"generation": 0}, task_state=None)


def test_what_is_no_state_leaves_the_generation(database, server):
    """A new name while a guest is stopped must not make the report of the stop stale."""
    with database.write() as tx:
        amended = servers.amend(tx, server.uuid, name="other", metadata={"k": "v"})

    assert ("other", {"k": "v"}, 0) == (amended.name, amended.metadata, amended.generation)


def test_one_of_racing_changes_wins(database, server):
    def move(_number: int) -> str:
        try:
            with database.write() as tx:
                servers.change(tx, server.uuid, expect={"task_state": None}, task_state="migrating")
        except errors.StaleWrite:
            return "stale"
        return "won"

    results = races.race(move, times=6)

    assert ["stale"] * 5 + ["won"] == sorted(results)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["web2", "web1", "db1"]),
        ({"name": "web1"}, ["web1"]),
        ({"name_regex": "^web"}, ["web2", "web1"]),
        ({"name_contains": "b1"}, ["web1", "db1"]),
        ({"name_contains": "%"}, []),
        ({"host": "host1"}, ["web1", "db1"]),
        ({"host": None}, ["web2"]),
        ({"vm_state": {"active", "error"}}, ["web1", "db1"]),
        ({"flavor": "big"}, ["db1"]),
        ({"flavor": "9"}, ["db1"]),
        ({"image": "i1"}, ["web1"]),
        ({"project_id": "tests", "name": "db1"}, ["db1"]),
        ({"limit": 2}, ["web2", "web1"]),
        ({"limit": 0}, []),
    ],
)
def test_lists_are_narrowed(database, filters, expected):
    with database.write() as tx:
        big = factories.flavor(id="9", name="big")
        image = factories.image(id="i1")
        for values in (
            {"name": "db1", "host": "host1", "vm_state": "active", "flavor": big},
            {
                "name": "web1",
                "host": "host1",
                "vm_state": "error",
                "image": image,
            },
            {"name": "web2"},
        ):
            servers.create(tx, factories.instance(**values))

        assert expected == [found.name for found in servers.find(tx, **filters)]


def test_pages_go_on_behind_the_marker(database):
    with database.write() as tx:
        made = [servers.create(tx, factories.instance()).uuid for _ in range(5)]

        first = servers.find(tx, limit=3)
        second = servers.find(tx, limit=3, marker=first[-1].uuid)

    assert made[::-1] == [found.uuid for found in first + second]


@pytest.mark.parametrize("wrong", [{"marker": "nobody"}, {"name_regex": "("}, {"colour": "red"}])
def test_a_wrong_question_is_refused(database, wrong):
    with pytest.raises(errors.Invalid), database.read() as tx:
        servers.find(tx, **wrong)


def test_a_uuid_is_used_once(database, server):
    with pytest.raises(errors.Exists, match=server.uuid), database.write() as tx:
        servers.create(tx, factories.instance(uuid=server.uuid))


def test_changing_an_unknown_server_is_not_found(database):
    with pytest.raises(errors.ServerNotFound), database.write() as tx:
        servers.change(tx, ids.new(), expect={}, host="host1")
