"""What a move may use on this host, by the versions of libvirt and QEMU and by their settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ETC = Path("/etc/libvirt/qemu.conf")
DAEMON = (Path("/etc/libvirt/virtproxyd.conf"), Path("/etc/libvirt/libvirtd.conf"))
USERFAULT = Path("/proc/sys/vm/unprivileged_userfaultfd")
LINE = re.compile(r'^\s*(\w+)\s*=\s*"?([^"\n]*?)"?\s*$', re.MULTILINE)
ROOT = frozenset({"root", "+0", "0"})


class Since(NamedTuple):
    """The first versions that can do it, as libvirt numbers them: 7002000 is 7.2.0."""

    libvirt: int
    qemu: int


FEATURES: Mapping[str, Since] = {
    "auto-converge": Since(2_000_000, 2_005_000),
    "parallel": Since(5_002_000, 4_000_000),
    "parallel-post-copy": Since(10_000_000, 10_001_000),
    "post-copy": Since(1_003_003, 2_006_000),
    "post-copy-recovery": Since(8_005_000, 3_000_000),
    "tls": Since(3_002_000, 2_009_000),
    "xbzrle": Since(1_003_004, 1_002_000),
    "zlib": Since(9_004_000, 5_000_000),
    "zstd": Since(9_004_000, 5_000_000),
}


def known(libvirt: int, qemu: int, unusable: frozenset[str] = frozenset()) -> list[str]:
    """The features that versions and settings allow."""
    return [
        name
        for name, since in FEATURES.items()
        if libvirt >= since.libvirt and qemu >= since.qemu and name not in unusable
    ]


def unusable(etc: Path = ETC, userfault: Path = USERFAULT) -> frozenset[str]:
    """What this host's settings rule out, whatever its versions are."""
    if faults(settings(etc), userfault):
        return frozenset()
    return frozenset({"post-copy", "post-copy-recovery", "parallel-post-copy"})


def settings(etc: Path = ETC) -> dict[str, str]:
    """The single values of a file of libvirt's, its qemu.conf; nothing where it cannot be read."""
    try:
        return dict(LINE.findall(etc.read_text()))
    except OSError:
        return {}


def faults(conf: Mapping[str, str], userfault: Path) -> bool:
    """Tell whether QEMU may handle page faults in the kernel's stead, as post-copy needs.

    Root may always; another user by vm.unprivileged_userfaultfd.
    """
    if conf.get("user") in ROOT:
        return True
    try:
        return userfault.read_text().strip() == "1"
    except OSError:
        return False


def daemon(files: tuple[Path, ...] = DAEMON) -> dict[str, str]:
    """The single values of what configures libvirt's listening daemon, whichever it is."""
    return {name: value for file in files for name, value in settings(file).items()}
