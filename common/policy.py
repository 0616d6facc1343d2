"""Who may do what: one row per rule, for oslo.policy.

An operator overrides rows in `policy.yaml` ([oslo_policy] policy_file), which
is read again when it changes.
"""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from oslo_policy import policy

from common import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oslo_config.cfg import ConfigOpts

    from common.context import Context

ADMIN = "role:admin"
OWNER = "role:admin or project_id:%(project_id)s"
KNOWN = "@"

# Rule: (who may by default, what it lets do).
RULES: dict[str, tuple[str, str]] = {
    "known": (KNOWN, "read what every user may: flavors, images, networks, zones, limits"),
    "servers:read": (OWNER, "see servers and server groups of one's project"),
    "servers:write": (
        OWNER,
        "create, change, operate and delete servers of one's project, and group them",
    ),
    "servers:place": (ADMIN, "name the host of a new server"),
    "servers:move": (ADMIN, "move a server to another host, abort and watch its moves"),
    "migrations:read": (ADMIN, "see the moves of all servers"),
    "migrations:limit": (ADMIN, "change how many moves leave and enter a host at once"),
    "services:read": (ADMIN, "see services and whether they are up"),
    "services:write": (ADMIN, "enable, disable and force down services"),
    "hosts:read": (ADMIN, "see hypervisors, hosts and what they have"),
    "hosts:audit": (ADMIN, "compare hosts with the records and have these put right"),
    "aggregates:read": (ADMIN, "see aggregates, their hosts and their metadata"),
    "aggregates:write": (ADMIN, "make and remove aggregates, and change hosts and zones of them"),
    "flavors:write": (ADMIN, "create and delete flavors, and set their extra specs"),
    "networks:write": (ADMIN, "register and remove networks"),
}


class Policy:
    """Answers whether a user may do something."""

    def __init__(self, conf: ConfigOpts) -> None:
        """Take the rules of RULES, and of the operator's file if there is one."""
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.register_defaults(
            [policy.RuleDefault(name, rule, about) for name, (rule, about) in RULES.items()]
        )

    def enforce(self, context: Context, rule: str, target: Mapping[str, Any] | None = None) -> None:
        """Raise Forbidden unless the user may do this to the target; by default, to their own."""
        owners = target or {"project_id": context.project_id, "user_id": context.user_id}
        if not self._enforcer.enforce(rule, dict(owners), context):
            raise errors.Forbidden(
                f"user {context.user_id} may not {RULES[rule][1]}; "
                f"an administrator can allow it by the policy {rule}"
            )
