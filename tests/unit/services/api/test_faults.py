import re

import pytest
import werkzeug.test

from common import errors
from common import reasons
from common.db import engine
from services.api import app
from services.api import faults


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ServerNotFound("x"), 404),
        (errors.WrongState("x"), 409),
        (errors.NoValidHost("x"), 400),
        (errors.IncompatibleCpu("x"), 400),
        (errors.Forbidden("x"), 403),
        (errors.NoAnswer("x"), 503),
        (errors.DatabaseDown("x"), 503),
        (errors.HypervisorError("x"), 500),
    ],
)
def test_every_kind_of_error_has_a_status(error, status):
    assert status == faults.status(error)


def test_every_answer_has_a_request_id(api):
    response = api.ask("GET", "/servers/unknown")

    request_id = response.headers["x-openstack-request-id"]
    assert re.fullmatch(r"req-[0-9a-f-]{36}", request_id)
    assert request_id == response.headers["x-compute-request-id"]


def test_refusal_has_name_code_sentence_and_reason(api):
    response = api.ask("GET", "/servers/unknown")

    assert "application/json" == response.mimetype
    fault = response.json["itemNotFound"]
    assert (404, "server_not_found") == (fault["code"], fault["reason"])
    assert "unknown" in fault["message"]


def test_unknown_route_is_not_found(api):
    assert "itemNotFound" in api.client.get("/v2.1/nothing").json


def test_wrong_method_names_the_right_ones(api):
    response = api.ask("PATCH", "/servers/x", {})

    assert 405 == response.status_code
    assert "badMethod" in response.json
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [
        ({"data": "{", "content_type": "application/json"}, 400, "JSON"),
        ({"data": "", "content_type": "application/json"}, 400, "body"),
        ({"data": "NaN", "content_type": "application/json"}, 400, "NaN"),
        ({"data": "<a/>", "content_type": "application/xml"}, 415, "application/json"),
        ({"data": b"\xff\xfe", "content_type": "application/json"}, 400, "JSON"),
        ({"data": "[" * 60000, "content_type": "application/json"}, 400, "deep"),
        ({"data": "x" * 120_000, "content_type": "application/json"}, 413, ""),
    ],
)
def test_body_that_is_no_json_is_refused(api, sent, status, word):
    response = api.client.post("/v2.1/servers", **sent)

    assert status == response.status_code
    (fault,) = response.json.values()
    assert word in fault["message"]


def test_unexpected_error_shows_its_request_id_and_no_traceback(api, monkeypatch, caplog):
    """The log has the traceback; the user gets the id to look for it."""
    monkeypatch.setattr(api.parts.images, "all", lambda: 1 / 0)

    response = api.ask("GET", "/images")

    assert 500 == response.status_code
    message = response.json["computeFault"]["message"]
    assert response.headers["x-openstack-request-id"] in message
    assert "ZeroDivision" not in message
    assert "ZeroDivisionError" in caplog.text


def test_part_that_is_away_is_unavailable_for_now(api, monkeypatch):
    def away(*_args: object, **_kwargs: object):
        raise errors.BusDown("the message broker cannot be reached")

    monkeypatch.setattr(api.parts.conductor, "operate", away)
    server = api.server()

    response = api.ask("DELETE", f"/servers/{server.uuid}")

    assert 503 == response.status_code
    assert "5" == response.headers["Retry-After"]


def test_database_that_is_away_is_unavailable_for_now(api, tmp_path):
    """Without a word of SQL."""
    away = engine.Database(f"sqlite:///{tmp_path}/nowhere/whimbrel.db")
    client = werkzeug.test.Client(app.make(api.parts._replace(database=away)))

    response = client.get("/v2.1/servers/detail")

    assert 503 == response.status_code
    (fault,) = (response.json or {}).values()
    assert "database" in fault["message"]
    assert "SELECT" not in response.text


def test_reasons_of_every_host_are_told(api, monkeypatch):
    """Those that the sentence names already are not repeated."""
    told = {"host1": reasons.one("RamFilter", "full"), "h2": reasons.one("up", "off")}

    def nowhere(*_args: object, **_kwargs: object):
        raise errors.NoValidHost("no host fits: host1: RamFilter: full", reasons=told)

    monkeypatch.setattr(api.parts.conductor, "live_migrate", nowhere)
    server = api.server()
    body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}

    response = api.ask("POST", f"/servers/{server.uuid}/action", body, version="2.30")

    fault = response.json["badRequest"]
    assert "no host fits: host1: RamFilter: full; h2: up: off" == fault["message"]
    assert told == fault["reasons"]


def test_network_dialect_has_its_own_shape(api):
    response = api.client.get("/network/v2.0/networks/unknown")

    assert 404 == response.status_code
    assert "unknown" in response.json["NeutronError"]["message"]


@pytest.mark.parametrize("version", ["2.1", "2.90"])
@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        (
            "POST",
            "/flavors",
            r'{"flavor": {"name": "\udcff", "ram": 1, "vcpus": 1, "disk": 1}}',
            400,
        ),
        ("PUT", "/os-services/disable", r'{"host": "\udcff", "binary": "nova-compute"}', 400),
        ("GET", "/servers?changes-since=9999-12-31T23:59:59-14:00", None, 400),
        ("GET", "/servers?changes-since=0001-01-01T00:00:00%2B14:00", None, 400),
        ("GET", "/servers?power_state=99999999999999999999", None, 400),
        ("GET", "/servers?power_state=%C2%B2", None, 400),
        ("GET", "/servers?limit=" + "9" * 5000, None, 200),
        ("GET", "/os-migrations/99999999999999999999", None, 404),
        ("GET", "/os-migrations/%C2%B2", None, 404),
    ],
)
def test_what_no_database_can_keep_is_the_users_fault(api, method, path, data, status, version):
    """Half a character, a time outside of time, a number without end."""
    headers = {"OpenStack-API-Version": f"compute {version}"}
    response = api.client.open(
        f"/v2.1{path}", method=method, data=data, headers=headers, content_type="application/json"
    )

    assert status == response.status_code, response.text
