"""Where the parts of a cold move lie: the server's own directory, and two beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common import objects
    from services.compute.virt.libvirt import settings

# A guest's definition, written down while it is defined nowhere.
DEFINITION = "domain.xml"
MODE = 0o700


def incoming(here: settings.Settings, cold: objects.ColdMove) -> Path:
    """Where the copies of a move land at its destination."""
    return here.instances / f"{cold.migration_uuid}.incoming"


def kept(here: settings.Settings, cold: objects.ColdMove) -> Path:
    """Where the source keeps the server's directory until the move is confirmed."""
    return here.instances / f"{cold.migration_uuid}.kept"
