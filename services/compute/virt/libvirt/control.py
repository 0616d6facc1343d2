"""Orders to a move that is going on: stop, switch, and the limits of its speed and downtime.

And what was measured of one that has ended.
"""

from __future__ import annotations

from typing import NoReturn
from typing import TYPE_CHECKING

import libvirt

from common import errors
from services.compute.virt import driver
from services.compute.virt.libvirt import guests
from services.compute.virt.libvirt import terms
from services.compute.virt.libvirt import trouble

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED = frozenset({libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN})
OUT = libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
IN = libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN


def abort(opened: libvirt.virConnect, uuid: str) -> None:
    """Stop the running job; WrongState when there is none, or in post-copy."""
    domain = _moving(opened, uuid)
    if guests.left_behind(domain):
        raise errors.WrongState(
            f"the move of server {uuid} is in post-copy: the guest runs at the destination "
            "with half of its memory here, so it can only go on"
        )
    _order(uuid, domain.abortJob)


def post_copy(opened: libvirt.virConnect, uuid: str) -> None:
    """Switch to post-copy; WrongState when that cannot be, a repeat is fine."""
    domain = _moving(opened, uuid)
    if guests.left_behind(domain):
        return
    if not domain.jobStats().get("memory_total"):
        raise errors.WrongState(
            f"the move of server {uuid} still copies disks: post-copy is for memory only"
        )
    _order(uuid, domain.migrateStartPostCopy)


def set_downtime(opened: libvirt.virConnect, uuid: str, milliseconds: int) -> None:
    """Change how long the guest may stand still at the switch."""
    domain = _moving(opened, uuid)
    _order(uuid, lambda: domain.migrateSetMaxDowntime(milliseconds, 0))


def set_bandwidth(opened: libvirt.virConnect, uuid: str, mib: int) -> None:
    """Change the limits of pre-copy and, where the job has it, of post-copy."""
    domain = _moving(opened, uuid)
    _order(uuid, lambda: domain.migrateSetMaxSpeed(mib or terms.UNLIMITED, 0))
    late = libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY
    _order(uuid, lambda: domain.migrateSetMaxSpeed(mib, late))


def measured(opened: libvirt.virConnect, uuid: str) -> driver.Measured:
    """What was measured of the job by which a guest came here, as long as libvirt knows."""
    kept = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
    try:
        stats = opened.lookupByUUIDString(uuid).jobStats(kept)
    except libvirt.libvirtError:
        return driver.Measured()
    if stats.get("operation") != IN:
        return driver.Measured()
    return driver.Measured(stats.get("downtime"), stats.get("time_elapsed"))


def _moving(opened: libvirt.virConnect, uuid: str) -> libvirt.virDomain:
    """The domain of a guest whose move is going on."""
    domain = guests.find(opened, uuid)
    if domain is None:
        _refuse(uuid)
    try:
        stats = domain.jobStats()
    except libvirt.libvirtError as error:
        if trouble.code(error) in REFUSED:
            _refuse(uuid)
        raise
    if stats.get("operation") != OUT:
        _refuse(uuid)
    return domain


def _order(uuid: str, act: Callable[[], object]) -> None:
    """Give an order; WrongState with libvirt's words when the job does not take it."""
    try:
        act()
    except libvirt.libvirtError as error:
        if trouble.code(error) not in REFUSED:
            raise
        raise errors.WrongState(
            f"the move of server {uuid} cannot do that: {trouble.words(error)}"
        ) from error


def _refuse(uuid: str) -> NoReturn:
    raise errors.WrongState(f"no move of server {uuid} is running on this host")
