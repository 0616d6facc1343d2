"""What a driver finds on its own host: checked copies of images."""

from __future__ import annotations

from typing import NamedTuple


class Files(NamedTuple):
    """Checked local copies of a server's images, as paths; None where it has none."""

    disk: str | None
    kernel: str | None
    ramdisk: str | None
