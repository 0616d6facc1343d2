"""Whether the policy of a server's group lets it share a host; the claim asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import states
from common.db import groups

if TYPE_CHECKING:
    from common.db.affinity import Group
    from common.db.candidates import Wanted
    from common.db.hosts import Room
    from services.scheduler.request import Request


def together(host: Room, request: Request) -> str | None:
    """Refuse a host that is not the one of the others, if they are to be together."""
    group = _hard(request, states.Affinity.TOGETHER)
    return None if group is None else groups.refusal(group, host.name)


def apart(host: Room, request: Request) -> str | None:
    """Refuse a host with as many of the others as may be, if they are to be apart."""
    group = _hard(request, states.Affinity.APART)
    return None if group is None else groups.refusal(group, host.name)


def others(host: Room, request: Request) -> str:
    """Say how many of the server's group are there."""
    group = request.group
    if group is None:
        return "the server is in no group"
    return f"{group.members.get(host.name, 0)} others of its group ({group.policy}) are there"


def only_together(wanted: Wanted, request: Request) -> Wanted:
    """Leave the hosts out that have none of the others."""
    group = _hard(request, states.Affinity.TOGETHER)
    return wanted if group is None or not group.members else wanted.among(group.members)


def only_apart(wanted: Wanted, request: Request) -> Wanted:
    """Leave the hosts out that have enough of the others."""
    group = _hard(request, states.Affinity.APART)
    if group is None:
        return wanted
    return wanted.without([host for host in group.members if groups.refusal(group, host)])


def _hard(request: Request, policy: states.Affinity) -> Group | None:
    group = request.group
    return group if group is not None and group.policy == policy else None
