"""Microversions: which there are, and which one a request speaks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from werkzeug import exceptions

from common import errors

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

Version = tuple[int, int]

MIN: Version = (2, 1)
MAX: Version = (2, 96)

SERVICE = "compute"
HEADER = "OpenStack-API-Version"
LEGACY = "X-OpenStack-Nova-API-Version"

# Every microversion that changes an answer here; those between them change nothing.
HISTORY: dict[Version, str] = {
    (2, 1): "where every client starts",
    (2, 3): "servers show kernel, ramdisk, host name and more to administrators",
    (2, 9): "servers show whether they are locked",
    (2, 11): "services show forced_down, and can be forced down",
    (2, 13): "server groups show project and user",
    (2, 15): "server groups have soft policies",
    (2, 16): "servers show the state of their host to administrators",
    (2, 19): "servers have a description",
    (2, 21): "the actions of deleted servers can be read",
    (2, 22): "force_complete of a running live migration",
    (2, 23): "live migrations in progress of a server; migration_type",
    (2, 24): "a running live migration can be aborted",
    (2, 25): "block_migration may be auto; disk_over_commit is gone",
    (2, 26): "servers show tags",
    (2, 28): "a hypervisor's cpu_info is an object",
    (2, 30): "os-migrateLive takes force, which skips no check here",
    (2, 33): "hypervisors are paged",
    (2, 34): "os-migrateLive answers before its checks are made",
    (2, 37): "networks is required to create a server, and may be auto or none",
    (2, 41): "aggregates show their uuid",
    (2, 42): "ports and block devices of a new server may have a tag",
    (2, 47): "servers embed their flavor",
    (2, 51): "owners see the events of an action",
    (2, 53): "services and hypervisors are known by uuid",
    (2, 55): "flavors have a description",
    (2, 56): "a cold migration may name its destination",
    (2, 57): "personality is gone",
    (2, 58): "instance actions are paged, with updated_at",
    (2, 59): "migrations are paged, and show their uuid",
    (2, 61): "flavors show their extra specs",
    (2, 62): "events show their host",
    (2, 63): "servers show trusted image certificates",
    (2, 64): "a server group has one policy, with rules",
    (2, 65): "a queued or preparing live migration can be aborted",
    (2, 66): "migrations and actions can be listed up to a time",
    (2, 68): "os-migrateLive does not know force",
    (2, 71): "servers show their groups",
    (2, 73): "servers show why they are locked",
    (2, 74): "a new server may name its host",
    (2, 75): "updated servers are shown whole; a flavor's swap is always a number",
    (2, 80): "migrations show user and project",
    (2, 84): "events show details",
    (2, 88): "hypervisors show no numbers that mislead, but uptime",
    (2, 89): "volume attachments are shown otherwise",
    (2, 90): "everybody sees a server's host name, and may choose it",
    (2, 96): "servers show the zone they are pinned to",
}

_FORM = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)")


def negotiate(headers: Headers) -> Version:
    """Give the version that a request asks for; one that asks for none gets the oldest.

    Raises Invalid for what is no version, and NotAcceptable beyond MIN and MAX.
    """
    wanted = _wanted(headers)
    if wanted is None:
        return MIN
    if wanted == "latest":
        return MAX
    version = parse(wanted)
    if not MIN <= version <= MAX:
        raise exceptions.NotAcceptable(
            f"Version {wanted} is not supported by the API. Minimum is {text(MIN)} "
            f"and maximum is {text(MAX)}."
        )
    return version


def parse(wanted: str) -> Version:
    """Read "2.53"."""
    matched = _FORM.fullmatch(wanted)
    if matched is None:
        raise errors.Invalid(
            f"API Version String {wanted} is of invalid format. "
            "Must be of format MajorNum.MinorNum."
        )
    return int(matched[1]), int(matched[2])


def text(version: Version) -> str:
    """Write (2, 53) as "2.53"."""
    return f"{version[0]}.{version[1]}"


def headers(version: Version) -> dict[str, str]:
    """Give the headers that tell a client which version it was answered in."""
    return {
        HEADER: f"{SERVICE} {text(version)}",
        LEGACY: text(version),
        "Vary": f"{HEADER}, {LEGACY}",
    }


def _wanted(headers: Headers) -> str | None:
    """Look in the header that several services share, and then in the older one."""
    for entry in headers.get(HEADER, "").split(","):
        words = entry.split()
        if words and words[0].lower() == SERVICE:
            return words[1] if len(words) == 2 else entry.strip()  # noqa: PLR2004 - a pair
    return headers.get(LEGACY)
