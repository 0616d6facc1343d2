"""How far each disk of a moving guest is copied: libvirt's block jobs, one a disk."""

from __future__ import annotations

from collections.abc import Iterable

import libvirt

from common import objects


def look(domain: libvirt.virDomain, targets: Iterable[str]) -> list[objects.DiskProgress]:
    """Ask for the copy of each disk; one without a block job, before or after it, is left out."""
    found = []
    for target in targets:
        try:
            told = domain.blockJobInfo(target)
        except libvirt.libvirtError:  # the guest left while it was asked, or stands half
            continue
        if told and told.get("end"):
            found.append(_copied(target, told["cur"], told["end"]))
    return found


def _copied(target: str, done: int, whole: int) -> objects.DiskProgress:
    return objects.DiskProgress(
        target=target, total=whole, processed=done, remaining=max(whole - done, 0)
    )
