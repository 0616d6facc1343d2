import base64
import socket

import pytest

from rpc import conductor
from rpc import interface
from services.cli import api as apis
from services.cli import failures

# For so long a broker that hangs can hold a request before it is sent.
BROKER_SECONDS = 30


def test_every_page_is_read(api, whimbrel, server):
    """A list that the API cuts into pages is whole for the reader."""
    link = {"rel": "next", "href": f"{api.url}/v2.1/servers/detail?marker=x"}
    api.answer(
        "GET",
        "/servers/detail",
        {"servers": [server], "servers_links": [link]},
        {"servers": [{**server, "name": "dunlin"}]},
    )

    typed = whimbrel("server", "list", "-f", "value", "-c", "Name")

    assert "tern\ndunlin\n" == typed.out


def test_a_refusal_is_one_line_with_the_request_id(api, whimbrel):
    """The API's own sentence, its status, and what to search the logs for."""
    api.refuse("GET", "/servers/detail", 503, "the database cannot be reached")

    typed = whimbrel("server", "list")

    assert "error: the database cannot be reached (HTTP 503, req-1)\n" == typed.err
    assert 1 == typed.status


def test_debug_shows_the_traceback(api, whimbrel):
    """Only whoever asks for a traceback gets one."""
    api.refuse("GET", "/servers/detail", 500, "no")

    assert "Traceback" in whimbrel("--debug", "server", "list").err


def test_an_error_without_our_body_is_told(api, whimbrel):
    """A proxy's error page is not shown, its reason is."""
    api.answer("GET", "/servers/detail", ["not", "ours"], status=502)

    assert "error: the API answered Bad Gateway (HTTP 502, req-1)\n" == (
        whimbrel("server", "list").err
    )


def test_no_api_names_the_url_and_the_cure(whimbrel):
    """Nothing listens: the URL that was tried, why, and how to name another."""
    typed = whimbrel("--endpoint", "http://127.0.0.1:1", "host", "list")

    assert 1 == typed.status
    assert (
        "error: no API answers at http://127.0.0.1:1/v2.1/whimbrel/hosts: Connection refused; "
        "name another with --endpoint or WHIMBREL_ENDPOINT\n"
    ) == typed.err


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("limits", "show"), "ask again, or look at the log of whimbrel-api"),
        (
            ("limits", "set", "--inbound", "2"),
            "the order may still be at work; see: whimbrel migration list",
        ),
    ],
)
def test_an_api_that_is_late_is_not_taken_for_absent(whimbrel, monkeypatch, words, advice):
    """Who ordered something is told that it may go on, and where to look."""
    monkeypatch.setattr(apis, "ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        root = f"http://127.0.0.1:{silent.getsockname()[1]}"
        typed = whimbrel("--endpoint", root, *words)

    assert (
        f"error: no answer within 0.1 s from {root}/v2.1/whimbrel/limits: {advice}\n" == typed.err
    )
    assert 1 == typed.status


def test_an_answer_is_waited_for_longer_than_the_api_waits():
    """The API's own refusal comes first, whatever the conductor is asked for."""
    slowest = max(method.timeout for method in interface.methods(conductor.Conductor).values())

    assert slowest + BROKER_SECONDS < apis.ANSWER_SECONDS


def test_user_and_password_are_sent(api, whimbrel, monkeypatch):
    """Credentials of the environment are used, as HTTP's basic scheme."""
    monkeypatch.setenv("WHIMBREL_USERNAME", "ada")
    monkeypatch.setenv("WHIMBREL_PASSWORD", "secret")
    api.answer("GET", "/os-services", {"services": []})

    whimbrel("service", "list")

    assert f"Basic {base64.b64encode(b'ada:secret').decode()}" == api.asked[0].user


@pytest.mark.parametrize("endpoint", ["http://a:1", "http://a:1/", "http://a:1/v2.1/"])
def test_the_endpoint_is_understood_with_and_without_version(endpoint):
    """People paste what they have."""
    assert "http://a:1" == apis.root(endpoint)


def test_an_endpoint_needs_a_scheme():
    """An address alone is refused before anything is tried."""
    with pytest.raises(failures.Failure, match="does not start with"):
        apis.root("127.0.0.1:8774")
