"""Does it fit: what is promised already counts, not what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.db import claims

if TYPE_CHECKING:
    from common.db.hosts import Room
    from services.scheduler.request import Request


def ram(host: Room, request: Request) -> str | None:
    """Refuse a host without the memory."""
    return _fits(host, request, claims.MEMORY_MB)


def cores(host: Room, request: Request) -> str | None:
    """Refuse a host without the virtual processors."""
    return _fits(host, request, claims.VCPU)


def disk(host: Room, request: Request) -> str | None:
    """Refuse a host without the disk."""
    return _fits(host, request, claims.DISK_GB)


def disk_least(host: Room, request: Request) -> str | None:
    """Refuse a host whose file system could not hold the disks once all on it are full.

    What was measured counts here, beside what was promised: a host may have
    less disk than it reports in all, and thin disks more than is written.
    Where the guest's disks are already nothing is copied.
    """
    need = request.amounts[claims.DISK_GB]
    if not need or not request.local_disk or request.disk_over_commit:
        return None
    if request.disk_storage and request.disk_storage == host.storage:
        return None
    room = host.disk_room
    if room is None or need <= room:
        return None
    return f"needs {need} GB, {_growing(host, room)}"


def over_promised(host: Room, _request: Request) -> str | None:
    """Refuse a host that has promised more than it has, whatever is asked of it."""
    over = host.over_promised
    return f"it is {claims.too_much(over)}" if over else None


def free_least(host: Room, request: Request) -> str:
    """Say how much disk there is for what disks may grow to."""
    if request.disk_storage and request.disk_storage == host.storage:
        return "the guest's disks are there already"
    room = host.disk_room
    return "its disk was never measured" if room is None else _growing(host, room)


def free_ram(host: Room, request: Request) -> str:
    """Say how much memory is free."""
    return _free(host, request, claims.MEMORY_MB)


def free_cores(host: Room, request: Request) -> str:
    """Say how many virtual processors are free."""
    return _free(host, request, claims.VCPU)


def free_disk(host: Room, request: Request) -> str:
    """Say how much disk is free."""
    return _free(host, request, claims.DISK_GB)


def _fits(host: Room, request: Request, kind: str) -> str | None:
    return claims.short(kind, host.amounts.get(kind), request.amounts[kind])


def _free(host: Room, request: Request, kind: str) -> str:
    amount = host.amounts.get(kind)
    free, capacity = (amount.free, amount.capacity) if amount else (0, 0)
    return claims.SHORT[kind].format(free=free, capacity=capacity, need=request.amounts[kind])


def _growing(host: Room, room: int) -> str:
    """Say what new disks may grow to, and of what it is the rest."""
    told = f"{room} GB left for new disks when those there are full"
    if room == host.disk_available_least:
        return told
    return f"{told} (disk_available_least {host.disk_available_least}, by its reserve and ratio)"
