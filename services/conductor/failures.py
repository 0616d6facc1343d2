"""What went wrong at a host lately, for the scheduler's failure weigher.

A build or move that fails counts against the host at which it failed; one that
goes well forgets what has failed there.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from common import errors
from common.db import candidates

if TYPE_CHECKING:
    from common.db.engine import Tx
    from services.conductor.deps import Deps

# What whoever asked did wrong: every host would say the same.
ASKED = (errors.BadImage, errors.Invalid)
# The kinds of these that are about one host.
ABOUT_A_HOST = (errors.CheckFailed, errors.HostUnsuitable, errors.NoValidHost)


def asked_wrongly(code: str | None) -> bool:
    """Tell whether no host could have done it, by the code of the error."""
    kind = errors.by_code().get(str(code), errors.RemoteError)
    return issubclass(kind, ASKED) and not issubclass(kind, ABOUT_A_HOST)


def count(deps: Deps, tx: Tx, host: str | None, code: str | None) -> None:
    """Count a failure against the host at which it was, if a host has a part in it.

    Locks the host's row: whoever locks others, too, does so first.
    """
    if host is None or asked_wrongly(code) or code == errors.MoveAborted.code:
        return
    memory = datetime.timedelta(seconds=deps.conf.scheduler.failure_memory)
    candidates.count_failure(tx, host, deps.clock.now() - memory)


def forget(tx: Tx, host: str) -> None:
    """Forget what has failed at the host, for something has just gone well there."""
    candidates.forget_failures(tx, host)
