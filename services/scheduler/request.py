"""A request as the filters read it: plain values, for they run once per host."""

from __future__ import annotations

from typing import NamedTuple
from typing import TYPE_CHECKING

from common.db import claims

if TYPE_CHECKING:
    from common import objects


class Request(NamedTuple):
    """What is asked of a host."""

    consumer: str
    amounts: dict[str, int]  # resource class: amount
    zone: str | None
    requested_host: str | None
    ignored: frozenset[str]


def read(spec: objects.RequestSpec) -> Request:
    """Take out of the specification what a host is measured by."""
    return Request(
        consumer=spec.consumer,
        amounts=claims.amounts(spec.flavor),
        zone=spec.availability_zone,
        requested_host=spec.requested_host,
        ignored=frozenset(spec.ignore_hosts),
    )
