"""Processors of guests and hosts, compared by the names of their features.

Each host writes out its own, with all that their models imply: libvirt leaves
out what the host that is asked cannot give itself, so that no host can speak
for another.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

import libvirt

from common import checks
from common import errors

PLAIN = "qemu"
EMULATED = "plain QEMU emulates the same processors everywhere"
UNKNOWN = "one of the processors is not known to libvirt"


def expand(connection: libvirt.virConnect, virt_type: str, cpu: str) -> list[str]:
    """Every feature of a processor that this host can give, those its model implies too."""
    if not cpu:
        return []
    whole = connection.baselineHypervisorCPU(
        None, None, None, virt_type, [cpu], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    )
    return named(whole)


def named(cpu: str) -> list[str]:
    """The features that a processor has by its XML."""
    found = ET.fromstring(cpu).iterfind("feature")
    return sorted(
        {each.get("name", "") for each in found if each.get("policy", "require") != "disable"}
    )


def forth(virt_type: str, guest: Iterable[str], there: Iterable[str]) -> str:
    """Refuse a destination that lacks features of the guest's processor, naming them.

    Plain QEMU emulates the same models on every processor: nothing to compare.
    """
    if virt_type == PLAIN:
        return EMULATED
    if not guest or not there:
        return UNKNOWN
    lacking = _missing(guest, there)
    if lacking:
        raise errors.IncompatibleCpu(
            f"the destination's processor lacks {lacking}, which the guest uses"
        )
    return "the destination's processor has all that the guest uses"


def back(virt_type: str, ours: Iterable[str], there: Iterable[str]) -> str | checks.Doubt:
    """Warn of a destination whose processor has more than this one: the way back may be closed.

    The guest keeps the processor that it has; one that is given the host's own
    at its next start there is not.
    """
    if virt_type == PLAIN:
        return EMULATED
    if not ours or not there:
        return UNKNOWN
    more = _missing(there, ours)
    if more:
        return checks.Doubt(
            f"this processor lacks {more}, which the destination's has: a guest that "
            "starts there with the host's own processor cannot come back"
        )
    return "this processor has all that the destination's has"


def _missing(wanted: Iterable[str], there: Iterable[str]) -> str:
    return ", ".join(sorted(set(wanted) - set(there)))
