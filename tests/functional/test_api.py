"""The HTTP API before all services: what is refused, when, and what is left of it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from common import errors
from common import states
from tests import stage as stages
from tests import waiting

# The last version that waits for the checks, and one that does not.
WAITS = "2.30"
LATER = "2.96"


def send(
    stage: stages.Stage, method: str, path: str, body: object = None, version: str = LATER
) -> requests.Response:
    """Ask the API."""
    headers = {"OpenStack-API-Version": f"compute {version}"}
    url = f"{stage.endpoint}/v2.1{path}"
    return requests.request(method, url, json=body, headers=headers, timeout=30)


def migrate(
    stage: stages.Stage, uuid: str, host: str | None = None, version: str = LATER
) -> requests.Response:
    """Order a live migration."""
    body = {"os-migrateLive": {"host": host, "block_migration": "auto"}}
    return send(stage, "POST", f"/servers/{uuid}/action", body, version)


def fault(response: requests.Response) -> dict[str, Any]:
    """Give what a refusal says."""
    (found,) = response.json().values()
    return dict(found)


def test_every_step_of_a_move_can_be_read(stage):
    """From the answer on: task, status, progress, journal, events, and the new host."""
    server = stage.boot(stages.LARGE)

    answer = migrate(stage, server.uuid)

    assert (202, b"") == (answer.status_code, answer.content)
    shown = send(stage, "GET", f"/servers/{server.uuid}").json()["server"]
    assert ("MIGRATING", "migrating") == (shown["status"], shown["OS-EXT-STS:task_state"])
    (move,) = send(stage, "GET", f"/servers/{server.uuid}/migrations").json()["migrations"]
    stage.ended(move["uuid"])
    whole = send(stage, "GET", f"/os-migrations/{move['uuid']}").json()["migration"]
    assert ("completed", 100) == (whole["status"], whole["progress"]["percent"])
    assert {"done"} == {step["state"] for step in whole["steps"]}
    shown = send(stage, "GET", f"/servers/{server.uuid}").json()["server"]
    assert ("ACTIVE", whole["destination"]) == (shown["status"], shown["OS-EXT-SRV-ATTR:host"])
    path = f"/servers/{server.uuid}/os-instance-actions/{answer.headers['x-openstack-request-id']}"
    events = send(stage, "GET", path).json()["instanceAction"]["events"]
    assert {"Success"} == {event["result"] for event in events}


@pytest.mark.parametrize(("version", "status"), [(WAITS, 400), (LATER, 202)])
def test_no_valid_host_has_the_same_reasons_in_answer_and_row(stage, version, status):
    """Below 2.34 in the answer, from 2.34 on in the failed move; nothing moved either way."""
    server = stage.boot()
    for host in ("host2", "host3"):
        stage.mark(host, disabled=True)

    answer = migrate(stage, server.uuid, version=version)

    assert status == answer.status_code
    (move,) = stage.moves()[-1:]
    ended = stage.ended(move.uuid)
    assert (states.Move.FAILED, errors.NoValidHost.code) == (ended.status, ended.error_code)
    told = fault(answer)["message"] if status == 400 else ended.error_message
    assert "host2" in told
    assert "host3" in told
    assert states.Vm.ACTIVE == stage.idle(server.uuid).vm_state


def test_failed_check_is_the_answer_below_2_34(stage):
    """A plain code and the sentence of whoever refused, through all services."""
    server = stage.boot()
    refusal = errors.IncompatibleCpu("host2 cannot run the guest's CPU qemu64")
    stage.world.plant("host2", "check_destination", refusal)

    answer = migrate(stage, server.uuid, "host2", WAITS)

    assert 400 == answer.status_code
    assert "qemu64" in fault(answer)["message"]
    assert "Traceback" not in answer.text
    assert stage.idle(server.uuid).task_state is None


@pytest.mark.parametrize("version", [WAITS, LATER])
@pytest.mark.parametrize("host", ["host1", "host9", "host3"])
def test_impossible_destination_leaves_no_trace(stage, version, host):
    """The source, an unknown host and one that is down: 400 at once, and no move."""
    server = stage.boot()
    stage.mark("host3", forced_down=True)
    before = len(stage.moves())

    answer = migrate(stage, server.uuid, host, version)

    assert 400 == answer.status_code
    assert host in fault(answer)["message"]
    assert before == len(stage.moves())
    assert stage.server(server.uuid).task_state is None


def test_second_move_of_a_server_is_a_conflict(stage):
    server = stage.boot(stages.LARGE)
    first = stage.migrate(server.uuid, wait=False)

    answer = migrate(stage, server.uuid)

    assert 409 == answer.status_code
    assert "task_state migrating" in fault(answer)["message"]
    assert states.Move.COMPLETED == stage.ended(first).status


def test_running_move_is_aborted_and_the_guest_stays(stage):
    server = stage.boot(stages.LARGE)
    move = stage.migrate(server.uuid)
    stage.reached(move, states.Move.RUNNING)

    answer = send(stage, "DELETE", f"/servers/{server.uuid}/migrations/{move}")

    assert (202, b"") == (answer.status_code, answer.content)
    assert states.Move.CANCELLED == stage.ended(move).status
    again = send(stage, "DELETE", f"/servers/{server.uuid}/migrations/{move}")
    assert 409 == again.status_code
    assert ["host1"] == stage.world.running(server.uuid)


def test_server_lives_through_all_operations(stage):
    """Each task is seen at once, each state in the end, and the deleted server is gone."""
    server = stage.boot()
    path = f"/servers/{server.uuid}"
    for action, then in (
        ({"pause": None}, "PAUSED"),
        ({"unpause": None}, "ACTIVE"),
        ({"os-stop": None}, "SHUTOFF"),
        ({"os-start": None}, "ACTIVE"),
        ({"reboot": {"type": "HARD"}}, "ACTIVE"),
    ):
        assert 202 == send(stage, "POST", f"{path}/action", action).status_code
        stage.idle(server.uuid)

        assert then == send(stage, "GET", path).json()["server"]["status"]
    assert 204 == send(stage, "DELETE", path).status_code
    waiting.until(lambda: send(stage, "GET", path).status_code == 404, "the server is gone")
    assert [] == stage.world.running(server.uuid)
