"""The HTTP API as the commands see it: rows in, rows out, refusals as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import requests
from keystoneauth1 import exceptions
from keystoneauth1 import http_basic
from keystoneauth1 import noauth
from keystoneauth1 import session

from services.cli import failures

Row = dict[str, Any]

# The newest version that standard clients speak too.
NEWEST = "2.96"
CONNECT_SECONDS = 5
# Longer than the API waits for the slowest answer of the conductor's: that of a resolution, 240 s.
ANSWER_SECONDS = 300
# Reasons of so many hosts are too long for one line.
SEVERAL = 2
SCHEMES = ("http://", "https://")
AT_WORK = "the order may still be at work; see: whimbrel migration list"
ASK_AGAIN = "ask again, or look at the log of whimbrel-api"
HINT = "name another with --endpoint or WHIMBREL_ENDPOINT"


class Answer(NamedTuple):
    """What the API replied: its body, empty when it sent none, and its headers."""

    body: Row
    headers: Mapping[str, str]


class Api:
    """One API endpoint, and who asks there."""

    def __init__(self, endpoint: str, username: str | None, password: str | None) -> None:
        """Remember where to ask; nothing is sent yet. `endpoint` has no /v2.1."""
        self.endpoint = root(endpoint)
        self.username = username
        self.password = password
        self._session = session.Session(auth=_auth(self.endpoint, username, password))

    def get(self, path: str, **query: object) -> Row:
        """Give the answer to one GET below /v2.1; queries of None are left out."""
        return self.send("GET", path, query=query).body

    def rows(self, path: str, key: str, **query: object) -> list[Row]:
        """Give every row of a list, however many pages it has."""
        body = self.get(path, **query)
        found: list[Row] = list(body[key])
        while body[key] and (link := _next(body.get(f"{key}_links", []))):
            body = self._request("GET", link, None, NEWEST).body
            found.extend(body[key])
        return found

    def send(
        self,
        method: str,
        path: str,
        body: Row | None = None,
        *,
        query: Mapping[str, object] | None = None,
        version: str | None = NEWEST,
    ) -> Answer:
        """Send one request below /v2.1; a version of None sends no microversion at all."""
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        url = requests.Request(method, f"{self.endpoint}/v2.1{path}", params=given).prepare().url
        return self._request(method, url or "", body, version)

    def _request(self, method: str, url: str, body: Row | None, version: str | None) -> Answer:
        headers = {"OpenStack-API-Version": f"compute {version}"} if version else {}
        try:
            response = self._session.request(
                url,
                method,
                json=body,
                headers=headers,
                raise_exc=False,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            )
        except exceptions.ClientException as error:
            raise _unheard(error, method, url.partition("?")[0]) from error
        if response.status_code >= requests.codes.bad_request:
            raise refusal(response)
        return Answer(_body(response), response.headers)


def root(endpoint: str) -> str:
    """Give the API's root as written by people: without trailing slash and /v2.1."""
    if not endpoint.startswith(SCHEMES):
        raise failures.Failure(f"endpoint {endpoint!r} does not start with http:// or https://")
    return endpoint.rstrip("/").removesuffix("/v2.1").rstrip("/")


def refusal(response: requests.Response) -> failures.Refused:
    """Make the API's error body, or whatever came instead of one, a sentence."""
    parts = [
        part for part in _body(response).values() if isinstance(part, dict) and part.get("message")
    ]
    part = parts[0] if parts else {"message": f"the API answered {response.reason}"}
    sentence, hosts = by_host(part["message"], part.get("reasons"))
    request = response.headers.get("x-openstack-request-id", "")
    return failures.Refused(sentence, response.status_code, request, hosts)


def by_host(sentence: str, reasons: object) -> tuple[str, list[str]]:
    """Part a sentence that names several hosts from what each of them said."""
    if not isinstance(reasons, Mapping) or len(reasons) < SEVERAL:
        return sentence, []
    lines = [f"{host}: {why_not(why)}" for host, why in sorted(reasons.items())]
    begin = min((sentence.find(line) for line in lines if line in sentence), default=len(sentence))
    head = sentence[:begin].rstrip(" :;")
    return (head, lines) if head else (sentence, [])


def why_not(refusals: object) -> str:
    """Say why a host was refused: by which filter or check, and with which numbers."""
    if not isinstance(refusals, list):
        return str(refusals)
    return ", ".join(f"{one['filter']}: {one['reason']}" for one in refusals)


def _auth(
    endpoint: str, username: str | None, password: str | None
) -> http_basic.HTTPBasicAuth | noauth.NoAuth:
    if username is None:
        return noauth.NoAuth(endpoint=endpoint)
    return http_basic.HTTPBasicAuth(endpoint=endpoint, username=username, password=password or "")


def _body(response: requests.Response) -> Row:
    try:
        found = response.json()
    except requests.exceptions.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _next(links: list[Row]) -> str | None:
    return next((link["href"] for link in links if link["rel"] == "next"), None)


def _unheard(error: BaseException, method: str, where: str) -> failures.Unreachable:
    """Tell an API that was asked and has not answered from one that is not there."""
    chain = list(_chain(error))
    if any(isinstance(one, requests.exceptions.ReadTimeout) for one in chain):
        advice = ASK_AGAIN if method == "GET" else AT_WORK
        return failures.Late(f"no answer within {ANSWER_SECONDS:g} s from {where}: {advice}")
    # The innermost words: refused, timed out, unknown name.
    reason = getattr(chain[-1], "strerror", None) or str(chain[-1])
    return failures.Unreachable(f"no API answers at {where}: {reason}; {HINT}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what led to it, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
