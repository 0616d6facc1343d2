"""The destination of a move, asked through whatever keeps it from answering."""

from __future__ import annotations

import logging
from typing import NamedTuple
from typing import TYPE_CHECKING

import tenacity

from common import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from common import objects
    from common.context import Context
    from rpc import compute
    from services.compute.concurrency import Threads

LOG = logging.getLogger(__name__)

PASSING = (errors.Unavailable, errors.HypervisorError)
FINISH = 300  # seconds for which a destination is asked for the guest that it has
CLEAN = 15  # seconds for which it is asked to clean up after a failed move; then others go on
POLL = 0.25  # seconds between looks whether a move is aborted while its destination makes ready


class Asked(NamedTuple):
    """What a destination is asked for, and by whom."""

    peer: compute.Compute
    context: Context
    instance: objects.Instance
    migration: objects.Migration


def prepare(
    asked: Asked, threads: Threads, aborted: Callable[[], str | None]
) -> objects.LibvirtLiveMigrateData:
    """Have it make ready, or raise MoveAborted as soon as `aborted` gives a reason.

    Nobody waits then for what it still makes: an undo keeps it from staying.
    """
    job = threads.spawn(asked.peer.pre_live_migration, *asked[1:])
    while not job.wait(POLL):
        _heed(aborted)
    try:
        return job.result()
    except errors.Error:
        _heed(aborted)
        raise


def _heed(aborted: Callable[[], str | None]) -> None:
    reason = aborted()
    if reason is not None:
        raise errors.MoveAborted(reason)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(PASSING),
    wait=tenacity.wait_exponential(multiplier=0.5, max=15),
    stop=tenacity.stop_after_delay(FINISH),
    before_sleep=tenacity.before_sleep_log(LOG, logging.WARNING),
    reraise=True,
)
def finish(
    peer: compute.Compute,
    context: Context,
    instance: objects.Instance,
    migration: objects.Migration,
) -> objects.Arrival:
    """Have it take the guest over, without a broker or its hypervisor for a while, too."""
    return peer.post_live_migration_at_destination(context, instance, migration)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(PASSING),
    wait=tenacity.wait_exponential(multiplier=1, max=20),
    stop=tenacity.stop_after_delay(CLEAN),
    before_sleep=tenacity.before_sleep_log(LOG, logging.WARNING),
    reraise=True,
)
def clean(
    peer: compute.Compute,
    context: Context,
    instance: objects.Instance,
    migration: objects.Migration,
) -> None:
    """Have it remove what was made for the guest; the conductor asks again later."""
    peer.rollback_live_migration_at_destination(context, instance, migration)
