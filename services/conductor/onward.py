"""A live migration whose destination refuses at the last moment, when it is to make ready.

What passed the checks may be gone by then: the disk that was free, the bridge.
Where no host was named another one is looked for, and the guest never notices.
"""

from __future__ import annotations

import logging
from typing import Any
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common import reasons
from common import states
from common.db import claims
from common.db import moves
from services.conductor import failures

if TYPE_CHECKING:
    import datetime

    from common.db.engine import Tx
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

# The step in which a destination may still refuse.
PREPARE = "pre_live_migration"


def refusal(told: objects.MoveReport, now: objects.Migration) -> dict[str, Any]:
    """Give the reasons of each host with this one's refusal, if the report is of one."""
    if told.status != states.Move.FAILED or told.failed_step != PREPARE:
        return {}
    why = reasons.one(str(told.error_code), str(told.error_message))
    return {"reasons": reasons.merge(now.reasons or {}, {str(told.failed_host): why})}


def wanted(told: objects.MoveReport, now: objects.Migration) -> bool:
    """Tell whether the report is of a refusal after which another host is looked for."""
    kind = errors.by_code().get(str(told.error_code), errors.RemoteError)
    return (
        bool(refusal(told, now))
        and issubclass(kind, errors.CheckFailed)
        and now.requested_host is None
        and told.failed_host == now.destination
    )


def give_up(
    deps: Deps,
    tx: Tx,
    told: objects.MoveReport,
    now: objects.Migration,
    lease: datetime.datetime,
) -> objects.Migration:
    """Take the move back from a destination that refused; its source has cleaned up there.

    It is of a new generation then: what is still said of this attempt is late.
    """
    after = moves.change(
        tx,
        now.uuid,
        expected=set(told.expected),
        generation=told.generation,
        renumber=True,
        status=states.Move.ACCEPTED,
        destination=None,
        data=None,
        owner=deps.owner,
        lease_until=lease,
        **refusal(told, now),
    )
    leave(tx, now)
    failures.count(deps, tx, told.failed_host, told.error_code)
    LOG.info("migration %s: not %s: %s", now.uuid, told.failed_host, told.error_message)
    return after


def leave(tx: Tx, migration: objects.Migration, but: str | None = None) -> None:
    """Give the destination's room back, and that of any other, `but` that of the one named.

    While the move goes on the server holds room at destinations only: at the
    one that the row names, or at one whose checks have not ended. Those may be
    the checks of an earlier move that was aborted.
    """
    server = migration.instance_uuid
    claims.lock(tx, [migration.source, *claims.held(tx, server)])
    for host in claims.held(tx, server):
        if host not in {migration.source, but}:
            claims.release(tx, server, host)
