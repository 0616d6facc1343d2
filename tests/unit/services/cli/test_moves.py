import pytest

from services.cli import api as apis
from services.cli import moves

UUID = "11111111-2222-4333-8444-555555555555"
MOVE = "99999999-2222-4333-8444-555555555555"
PATH = f"/servers/{UUID}"
WHOLE = f"/os-migrations/{MOVE}"


def move(status, **more):
    """A migration as the API shows it."""
    return {
        "migration": {
            "uuid": MOVE,
            "instance_uuid": UUID,
            "status": status,
            "source_compute": "host1",
            "dest_compute": "host2",
            "progress": None,
            **more,
        }
    }


@pytest.fixture
def tern(api, server):
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.answer("POST", f"{PATH}/action", None, status=202)
    api.answer("GET", "/os-migrations", {"migrations": [{"id": 1, "uuid": MOVE}]})
    return server


def test_without_wait_the_id_is_told(tern, api, whimbrel):
    """The answer is the migration's id, and how to watch it."""
    api.answer("GET", WHOLE, move("preparing"))

    typed = whimbrel("server", "live-migrate", "tern", "-f", "value", "-c", "id")

    assert f"{MOVE}\n" == typed.out
    assert f"watch it with: whimbrel migration watch {MOVE}\n" == typed.err


def test_the_answer_tells_which_migration_was_begun(tern, api, whimbrel):
    """The API's own word is taken: no list is asked for, in which another may be newer."""
    api.headers["POST", f"{PATH}/action"] = {"Location": f"{api.url}/v2.1{WHOLE}"}
    api.answer("GET", WHOLE, move("preparing"))

    typed = whimbrel("server", "live-migrate", "tern", "-f", "value", "-c", "id")

    assert f"{MOVE}\n" == typed.out
    assert ["/servers/detail", WHOLE] == [asked.path for asked in api.of("GET")]


@pytest.mark.parametrize("location", ["", "http://api/v2.1/servers/7", "/os-migrations/"])
def test_a_location_of_something_else_is_no_migration(location):
    """An API that is not ours may answer with any; then the newest is looked up."""
    assert moves.begun(apis.Answer({}, {"Location": location})) is None


@pytest.mark.parametrize(
    ("words", "body", "version"),
    [
        ((), {"host": None, "block_migration": "auto"}, "compute 2.30"),
        (
            ("--host", "h", "--block-migration"),
            {"host": "h", "block_migration": True},
            "compute 2.30",
        ),
        (
            ("--shared-migration", "--disk-over-commit"),
            {"host": None, "block_migration": False, "disk_over_commit": True},
            "compute 2.24",
        ),
        (
            ("--block-migration", "--microversion-free"),
            {"host": None, "block_migration": True, "disk_over_commit": False},
            None,
        ),
    ],
)
def test_each_order_speaks_the_version_that_knows_it(tern, api, whimbrel, words, body, version):
    """The microversion decides which fields there are and when checks are told."""
    api.answer("GET", WHOLE, move("preparing"))

    whimbrel("server", "live-migrate", "tern", *words)

    assert {"os-migrateLive": body} == api.of("POST")[0].body
    assert version == api.of("POST")[0].version


def test_over_commit_cannot_be_left_to_the_hosts(tern, api, whimbrel):
    """The version that knows it does not know auto, so nothing is ordered."""
    assert 1 == whimbrel("server", "live-migrate", "tern", "--disk-over-commit").status
    assert [] == api.of("POST")


def test_wait_ends_well_only_where_the_server_arrived(tern, api, whimbrel, server):
    """Completed and recorded on the destination is success."""
    api.answer("GET", WHOLE, move("running"), move("completed", downtime_ms=12, job_ms=800))
    api.answer("GET", PATH, {"server": {**server, "OS-EXT-SRV-ATTR:host": "host2"}})

    typed = whimbrel("server", "live-migrate", "tern", "--wait", "-f", "json")

    assert 0 == typed.status
    assert {"status": "completed", "from": "host1", "to": "host2", "downtime_ms": 12}.items() <= (
        typed.json.items()
    )
    assert "compute 2.96" == api.of("POST")[0].version


@pytest.mark.parametrize("host", ["host1", "host3"])
def test_completed_elsewhere_is_no_success(tern, api, whimbrel, server, host):
    """A migration that says completed is not believed: the server must be there."""
    api.answer("GET", WHOLE, move("completed"))
    api.answer("GET", PATH, {"server": {**server, "OS-EXT-SRV-ATTR:host": host}})

    typed = whimbrel("server", "live-migrate", "tern", "--host", "host2", "--wait")

    assert 1 == typed.status
    assert f"error: tern is recorded on {host}" in typed.err


def test_a_failed_move_tells_step_host_and_reason(tern, api, whimbrel):
    """What the migration recorded is what the person reads."""
    failed = move(
        "failed",
        failed_step="pre_live_migration",
        failed_host="host2",
        error_message="host2: bridge br-x is missing",
    )
    api.answer("GET", WHOLE, move("preparing"), failed)

    typed = whimbrel("server", "live-migrate", "tern", "--wait")

    assert 1 == typed.status
    assert typed.err.endswith(
        "error: tern did not move: failed (pre_live_migration on host2): "
        "host2: bridge br-x is missing\n"
    )


def test_watch_takes_the_newest_of_a_server(tern, api, whimbrel):
    """A server's name is enough to follow its move to the end."""
    api.answer("GET", WHOLE, move("running", progress={"percent": 40}), move("completed"))

    typed = whimbrel("migration", "watch", "--server", "tern")

    assert 0 == typed.status
    assert "100 %  host1 -> host2  completed" == typed.out.splitlines()[-1]


def test_policy_goes_along_when_one_is_named(tern, api, whimbrel):
    """The preset and single fields, beside Nova's own keys."""
    api.answer("GET", WHOLE, move("preparing"))

    whimbrel("server", "live-migrate", "tern", "--policy", "gentle", "--set", "downtime_ms=700")

    wanted = {
        "host": None,
        "block_migration": "auto",
        "whimbrel:policy": {"policy": "gentle", "downtime_ms": "700"},
    }
    assert {"os-migrateLive": wanted} == api.of("POST")[0].body


@pytest.fixture
def steered(api):
    """A queued migration that has been steered before."""
    step = {"host": "host1", "state": "done", "started_at": "2026-01-01T00:00:00.0"}
    decision = {"action": "pause", "at": "2026-01-01T10:20:30.5", "reason": "forced", "inputs": {}}
    api.answer(
        "GET",
        WHOLE,
        move(
            "queued",
            queue_position=3,
            policy={"name": "gentle", "ladder": [100, 150]},
            durations_ms={"accepted": 20, "queued": 10, "total": 30},
            decisions=[decision],
            steps=[{**step, "step": "migrate"}, {**step, "step": "decide_pause"}],
        ),
    )


def test_a_migration_shows_place_policy_phases_and_decisions(steered, whimbrel):
    """For people a line each; a decision is not told twice."""
    columns = ("queue_position", "policy", "phases", "decisions", "steps")
    asked = [word for name in columns for word in ("-c", name)]

    typed = whimbrel("migration", "show", MOVE, "-f", "table", *asked)

    assert [
        "3",
        "ladder=100,150",
        "name=gentle",
        "accepted 20 ms",
        "queued 10 ms",
        "total 30 ms",
        "10:20:30 pause: forced",
        "migrate on host1 done",
    ] == [line.split("|")[2].strip() for line in typed.out.splitlines()[3:-1]]


def test_each_disk_is_shown(api, whimbrel):
    """A line a disk for people; one that is not begun says nothing of its size."""
    begun = {"target": "vda", "total": 3 << 20, "processed": 1 << 20, "remaining": 2 << 20}
    waits = {"target": "vdb", "total": 0, "processed": 0, "remaining": 0}
    api.answer("GET", WHOLE, move("running", progress={"disks": [begun, waits]}))

    typed = whimbrel("migration", "show", MOVE, "-f", "table", "-c", "disks")
    shown = whimbrel("migration", "show", MOVE, "-f", "json").json

    lines = [line.split("|")[2].strip() for line in typed.out.splitlines()[3:-1]]
    assert ["vda 1/3 MiB", "vdb not begun"] == lines
    assert [begun, waits] == shown["disks"]


def test_programs_get_the_whole_of_a_migration(steered, whimbrel):
    """Numbers as numbers, and the journal with its decisions."""
    shown = whimbrel("migration", "show", MOVE, "-f", "json").json

    assert {"accepted": 20, "queued": 10, "total": 30} == shown["phases"]
    assert ["pause"] == [made["action"] for made in shown["decisions"]]
    assert ["migrate", "decide_pause"] == [step["step"] for step in shown["steps"]]


def test_a_journal_line_has_step_host_and_time():
    """People read how long each step took and what went wrong."""
    steps = [
        {
            "step": "pre_live_migration",
            "host": "host2",
            "state": "failed",
            "started_at": "2026-01-01T00:00:00.100000",
            "finished_at": "2026-01-01T00:00:01.350000",
            "error": "no room",
        },
        {"step": "run", "host": "host1", "state": "started", "started_at": "2026-01-01T00:00:02"},
    ]

    assert [
        "pre_live_migration on host2 failed 1250 ms: no room",
        "run on host1 started",
    ] == moves.journal({"steps": steps})
