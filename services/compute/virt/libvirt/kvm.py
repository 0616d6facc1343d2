"""Does KVM work here? Asked once per boot, by running three instructions in a guest.

/dev/kvm may exist and hang all the same, so only a processor with the extension
and a guest that ran prove it.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from oslo_log import log

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = log.getLogger(__name__)

DEVICE = Path("/dev/kvm")
PROCESSORS = Path("/proc/cpuinfo")
EXTENSION = re.compile(r"^flags\s*:.*\b(vmx|svm)\b", re.MULTILINE)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
EMULATOR = "qemu-system-x86_64"
OPTIONS = ("-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-accel", "kvm")
LIMIT = 5.0  # seconds
EXIT_PORT = 0xF4
# isa-debug-exit ends QEMU with (value << 1) | 1.
VALUE = 0x10
PROVEN = (VALUE << 1) | 1
ROM_SIZE = 0x10000
RESET = 0xFFF0
# mov al, VALUE; out EXIT_PORT, al; hlt
CODE = bytes([0xB0, VALUE, 0xE6, EXIT_PORT, 0xF4])


def works(folder: Path, host: str, probe: Callable[[Path], bool] | None = None) -> bool:
    """Tell whether guests can use KVM; the answer is kept in `folder` until the next boot."""
    kept = folder / f".whimbrel-kvm-{host}"
    boot = BOOT_ID.read_text().strip()
    known = _read(kept)
    if known.get("boot") == boot:
        return bool(known.get("works"))
    answer = (probe or run)(folder / f".whimbrel-kvm-{host}.rom")
    LOG.info("KVM %s on this host", "works" if answer else "does not work")
    kept.write_text(json.dumps({"boot": boot, "works": answer}))
    return answer


def run(rom: Path) -> bool:
    """Start a guest of three instructions under KVM and see it end by itself in time."""
    if not DEVICE.exists() or not extended(PROCESSORS.read_text()):
        return False
    rom.write_bytes(CODE.rjust(RESET + len(CODE), b"\xf4").ljust(ROM_SIZE, b"\xf4"))
    device = f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"
    guest = subprocess.Popen(
        [EMULATOR, *OPTIONS, "-bios", str(rom), "-device", device],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return guest.wait(LIMIT) == PROVEN
    except subprocess.TimeoutExpired:
        # One that hangs inside the kernel cannot be waited for.
        guest.kill()
        return False
    finally:
        rom.unlink(missing_ok=True)


def extended(processors: str) -> bool:
    """Tell whether /proc/cpuinfo names the extension that KVM needs.

    Some machines emulate KVM without it: short guests run there, kernels hang.
    """
    return EXTENSION.search(processors) is not None


def _read(kept: Path) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads(kept.read_text())
    except (OSError, ValueError):
        return {}
    return found
