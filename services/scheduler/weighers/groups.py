"""Where the others of a server's group are, when its policy is a wish only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import states

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def together(host: Room, request: Request) -> float:
    """Weigh a host by the others of a group that would like to be together."""
    return _others(host, request, states.Affinity.SOFT_TOGETHER)


def apart(host: Room, request: Request) -> float:
    """Weigh a host by the others, below zero, of a group that would like to be apart."""
    return -_others(host, request, states.Affinity.SOFT_APART)


def _others(host: Room, request: Request, policy: states.Affinity) -> float:
    group = request.group
    if group is None or group.policy != policy:
        return 0.0
    return float(group.members.get(host.name, 0))
