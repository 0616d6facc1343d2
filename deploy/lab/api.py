"""What the lab asks of Whimbrel's API, with nothing but the standard library."""

import json
import urllib.error
import urllib.request
from typing import Any

from deploy.lab import errors

Body = dict[str, Any]

TIMEOUT = 15
SERVICES = ("nova-conductor", "nova-scheduler", "nova-compute")
FLAVORS = (
    {"name": "m1.tiny", "vcpus": 1, "ram": 128, "disk": 1},
    {"name": "m1.small", "vcpus": 2, "ram": 256, "disk": 2},
)


def call(endpoint: str, method: str, path: str, body: Body | None = None) -> Body:
    """The decoded answer of one request; BadAnswer with status and text if it is refused."""
    request = urllib.request.Request(  # noqa: S310 - the endpoint is the lab's own
        endpoint + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - as above
            text = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:400]
        raise errors.BadAnswer(f"{method} {path}: {error.code} {said}") from error
    except OSError as error:
        raise errors.BadAnswer(f"{method} {endpoint}{path}: {error}") from error
    answered: Body = json.loads(text) if text else {}
    return answered


def answers(endpoint: str) -> bool:
    """Whether the API answers version discovery."""
    try:
        call(endpoint, "GET", "/")
    except (errors.BadAnswer, ValueError):
        return False
    return True


def register(endpoint: str, network: str, bridge: str, cidr: str) -> None:
    """Make the lab's flavors and its network, unless they are there."""
    known = {row["name"] for row in call(endpoint, "GET", "/v2.1/flavors")["flavors"]}
    for flavor in FLAVORS:
        if flavor["name"] not in known:
            call(endpoint, "POST", "/v2.1/flavors", {"flavor": flavor})
    row = {"name": network, "provider:physical_network": bridge, "cidr": cidr}
    known = {each["name"] for each in call(endpoint, "GET", "/v2.1/networks")["networks"]}
    if network not in known:
        call(endpoint, "POST", "/v2.1/networks", {"network": row})


def down(endpoint: str, hosts: list[str]) -> list[str]:
    """The services, as "binary on host", that the API does not report up yet."""
    try:
        rows = call(endpoint, "GET", "/v2.1/os-services")["services"]
    except errors.BadAnswer:
        return ["whimbrel-api"]
    up = {(row["binary"], row["host"]) for row in rows if row["state"] == "up"}
    binaries = {binary for binary, _ in up}
    wanted = [f"nova-compute on {host}" for host in hosts if ("nova-compute", host) not in up]
    return wanted + [binary for binary in SERVICES[:2] if binary not in binaries]
