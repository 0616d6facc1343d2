import pytest

from common import errors
from common import objects
from common.db import journal
from tests import factories

GOING_ON = {
    *("id", "status", "server_uuid", "created_at", "updated_at"),
    *("source_node", "source_compute", "dest_node", "dest_compute", "dest_host"),
    *("memory_total_bytes", "memory_processed_bytes", "memory_remaining_bytes"),
    *("disk_total_bytes", "disk_processed_bytes", "disk_remaining_bytes"),
}
LISTED = {
    *("id", "status", "instance_uuid", "created_at", "updated_at"),
    *("source_node", "source_compute", "dest_node", "dest_compute", "dest_host"),
    *("new_instance_type_id", "old_instance_type_id"),
}
UNFINISHED = ["accepted", "queued", "preparing", "running", "running (post-copy)", "post-migrating"]
FINISHED = ["completed", "cancelled", "failed", "error"]


@pytest.fixture
def server(api):
    """A server that is being moved."""
    return api.server(task_state="migrating")


@pytest.mark.parametrize(
    ("version", "more"),
    [("2.23", set()), ("2.59", {"uuid"}), ("2.80", {"uuid", "user_id", "project_id"})],
)
def test_move_in_progress_has_exactly_the_fields_of_its_microversion(api, server, version, more):
    progress = objects.MigrationProgress(migration_uuid="x", memory_total=10, memory_processed=4)
    move = api.move(server, status="running", destination="host2", progress=progress)

    (shown,) = api.get(f"/servers/{server.uuid}/migrations", version)["migrations"]

    assert GOING_ON | more == shown.keys()
    assert (10, 4) == (shown["memory_total_bytes"], shown["memory_processed_bytes"])
    assert {"migration": shown} == api.get(f"/servers/{server.uuid}/migrations/{move.id}", version)


@pytest.mark.parametrize("status", UNFINISHED)
def test_every_unfinished_status_is_in_progress(api, server, status):
    """accepted and post-copy too, which Nova hides."""
    move = api.move(server, status=status)

    assert 1 == len(api.get(f"/servers/{server.uuid}/migrations", "2.23")["migrations"])
    api.get(f"/servers/{server.uuid}/migrations/{move.uuid}", "2.23")


@pytest.mark.parametrize(
    "values", [*({"status": status} for status in FINISHED), {"type": "resize"}]
)
def test_other_moves_are_not_in_progress(api, server, values):
    move = api.move(server, **values)

    assert [] == api.get(f"/servers/{server.uuid}/migrations", "2.23")["migrations"]
    api.get(f"/servers/{server.uuid}/migrations/{move.id}", "2.23", status=404)


def test_move_of_another_server_is_not_found(api, server):
    move = api.move(api.server(), status="running")

    for key in (move.id, move.uuid, "unknown", "999"):
        api.get(f"/servers/{server.uuid}/migrations/{key}", "2.23", status=404)
        api.refuse("DELETE", f"/servers/{server.uuid}/migrations/{key}", None, 404, "2.24")


@pytest.mark.parametrize(
    ("method", "path", "version"),
    [
        ("GET", "", "2.22"),
        ("GET", "/1", "2.22"),
        ("DELETE", "/1", "2.23"),
        ("POST", "/1/action", "2.21"),
    ],
)
def test_routes_begin_with_their_microversion(api, server, method, path, version):
    api.move(server, status="running")

    path = f"/servers/{server.uuid}/migrations{path}"
    body = {"force_complete": None}
    api.refuse(method, path, body if method == "POST" else None, 404, version)


class TestAbort:
    def test_move_of_a_server_that_is_not_moving_is_a_conflict(self, api):
        server = api.server()
        move = api.move(server, status="completed")
        path = f"/servers/{server.uuid}/migrations/{move.id}"

        message = api.refuse("DELETE", path, None, 409, "2.24")

        assert "while it is in vm_state active" in message

    @pytest.mark.parametrize(
        ("version", "status", "answer"),
        [
            ("2.24", "running", 202),
            ("2.24", "queued", 400),
            ("2.24", "preparing", 400),
            ("2.65", "accepted", 202),
            ("2.65", "queued", 202),
            ("2.65", "preparing", 202),
            ("2.65", "running (post-copy)", 400),
            ("2.65", "post-migrating", 400),
            ("2.65", "completed", 400),
        ],
    )
    def test_status_decides(self, api, monkeypatch, server, version, status, answer):
        asked = []
        monkeypatch.setattr(
            api.parts.conductor, "abort_migration", lambda *values: asked.append(values[1:])
        )
        move = api.move(server, status=status)
        path = f"/servers/{server.uuid}/migrations/{move.id}"

        response = api.ask("DELETE", path, version=version)

        assert answer == response.status_code
        assert ([(server.uuid, move.uuid)] if answer == 202 else []) == asked
        if answer == 400:
            assert status in response.json["badRequest"]["message"]

    def test_move_that_ended_meanwhile_is_a_bad_request(self, api, monkeypatch, server):
        """The conductor sees a newer row than the one that was checked here."""

        def late(*_args: object) -> None:
            raise errors.WrongState("it is completed already")

        monkeypatch.setattr(api.parts.conductor, "abort_migration", late)
        move = api.move(server, status="running")
        path = f"/servers/{server.uuid}/migrations/{move.id}"

        assert "completed" in api.refuse("DELETE", path, None, 400, "2.65")

    @pytest.mark.parametrize("status", ["running (post-copy)", "post-migrating"])
    def test_guest_that_runs_elsewhere_is_the_reason(self, api, server, status):
        """Nobody can take back what the destination has."""
        move = api.move(server, status=status, destination="host2")
        path = f"/servers/{server.uuid}/migrations/{move.id}"

        assert "its guest runs at host2" in api.refuse("DELETE", path, None, 400, "2.65")


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2.1", set()),
        ("2.23", {"migration_type", "links"}),
        ("2.59", {"migration_type", "links", "uuid"}),
        ("2.80", {"migration_type", "links", "uuid", "user_id", "project_id"}),
    ],
)
def test_listed_move_has_exactly_the_fields_of_its_microversion(api, server, version, more):
    api.move(server, status="running")

    (shown,) = api.get("/os-migrations", version)["migrations"]

    assert LISTED | more == shown.keys()


@pytest.mark.parametrize(
    ("query", "version", "found"),
    [
        ("", "2.1", 3),
        ("status=completed", "2.1", 1),
        ("migration_type=resize", "2.1", 1),
        ("host=host2", "2.1", 2),
        ("source_compute=host2", "2.1", 1),
        ("instance_uuid=unknown", "2.1", 0),
        ("user_id=nobody", "2.79", 3),
        ("user_id=nobody", "2.80", 0),
        ("limit=1", "2.58", 3),
        ("limit=1", "2.59", 1),
        ("limit=0", "2.59", 0),
        ("hidden=0", "2.59", 3),
        ("changes-since=2027-01-01", "2.59", 0),
    ],
)
def test_moves_are_narrowed_by_what_is_asked(api, server, query, version, found):
    api.move(server, status="completed", destination="host2")
    api.move(server, status="error", source="host2", destination="host1")
    api.move(server, type="resize")

    assert found == len(api.get(f"/os-migrations?{query}", version)["migrations"])


def test_moves_are_paged_newest_first(api, server):
    made = [api.move(server).uuid for _ in range(3)]

    first = api.get("/os-migrations?limit=2", "2.59")
    path = first["migrations_links"][0]["href"].removeprefix("http://localhost/v2.1")
    second = api.get(path, "2.59")

    shown = [move["uuid"] for move in first["migrations"] + second["migrations"]]
    assert made[::-1] == shown
    assert "migrations_links" not in second


def test_unknown_marker_of_moves_is_refused(api):
    assert "marker" in api.refuse("GET", "/os-migrations?marker=x", None, 400, "2.59")


def test_whole_move_tells_everything(api, server):
    move = api.move(
        server,
        status="failed",
        policy=factories.policy(on_timeout="post-copy"),
        error_code="bridge_missing",
        error_message="host2 has no bridge br-tenant",
        failed_step="check_can_live_migrate_destination",
        failed_host="host2",
        downtime_ms=120,
    )
    with api.database.write() as tx:
        journal.step(tx, factories.step(move, step="check_can_live_migrate_destination"))

    for key in (move.uuid, move.id):
        shown = api.get(f"/os-migrations/{key}")["migration"]

        assert ("bridge_missing", "host2", 120) == (
            shown["error_code"],
            shown["failed_host"],
            shown["downtime_ms"],
        )
        assert ("post-copy", 500) == (
            shown["policy"]["on_timeout"],
            shown["policy"]["downtime_ms"],
        )
        assert ["check_can_live_migrate_destination"] == [row["step"] for row in shown["steps"]]
        assert ("live-migration", "host1") == (shown["migration_type"], shown["source_compute"])
    api.get("/os-migrations/unknown", status=404)


def test_queued_moves_tell_their_place_in_the_line(api, server):
    """From 1, and no other move has one."""
    first, second = (
        api.move(api.server(), status="queued", destination=host) for host in ("host2", "host3")
    )
    running = api.move(server, status="running", destination="host2")

    places = [
        api.get(f"/os-migrations/{move.uuid}")["migration"]["queue_position"]
        for move in (first, second, running)
    ]

    assert [1, 2, None] == places


class TestActions:
    @pytest.fixture
    def asked(self, api, server):
        """A server with two requests, the later one with an event."""
        with api.database.write() as tx:
            journal.start(tx, factories.action(server.uuid, request_id="req-1", action="create"))
            journal.start(
                tx, factories.action(server.uuid, request_id="req-2", action="reboot_soft")
            )
            journal.begin_event(tx, "req-2", server.uuid, "compute_reboot", "host1", factories.NOW)
        return f"/servers/{server.uuid}/os-instance-actions"

    def test_newest_request_comes_first(self, api, asked):
        found = api.get(asked)["instanceActions"]

        assert [("req-2", "reboot"), ("req-1", "create")] == [
            (row["request_id"], row["action"]) for row in found
        ]
        assert "updated_at" not in found[0]

    def test_requests_are_paged_from_2_58(self, api, asked):
        page = api.get(f"{asked}?limit=1", "2.58")

        assert ["req-2"] == [row["request_id"] for row in page["instanceActions"]]
        assert "marker=req-2" in page["links"][0]["href"]

    @pytest.mark.parametrize(
        ("version", "more"),
        [
            ("2.1", set()),
            ("2.62", {"host", "hostId"}),
            ("2.84", {"host", "hostId", "details"}),
        ],
    )
    def test_events_have_exactly_the_fields_of_their_microversion(self, api, asked, version, more):
        (event,) = api.get(f"{asked}/req-2", version)["instanceAction"]["events"]

        basic = {"event", "start_time", "finish_time", "result", "traceback"}
        assert basic | more == event.keys()

    def test_unknown_request_is_not_found(self, api, asked):
        api.get(f"{asked}/req-9", status=404)

    def test_requests_of_deleted_servers_are_seen_from_2_21(self, api):
        server = api.server(vm_state="deleted")
        path = f"/servers/{server.uuid}/os-instance-actions"

        api.get(path, "2.20", status=404)
        assert [] == api.get(path, "2.21")["instanceActions"]
