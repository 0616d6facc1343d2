"""doc/checks.md has every check that the libvirt driver, conductor and scheduler make."""

import re

from services.compute import examination
from services.compute.virt.libvirt import checks as libvirt
from services.compute.virt.simulated import checks as simulated
from services.conductor import checks as conductor
from services.conductor import dry_run
from services.scheduler.filters import table


def written(text: str) -> set[str]:
    """Give the names in the first column of the table."""
    cells = re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}


def made() -> set[str]:
    """Give the names of all checks, with those that have no row of their own."""
    names = {check.name for check in libvirt.DESTINATION}
    names |= {check.name for check in libvirt.SOURCE}
    names |= {check.name for check in conductor.DRY}
    filters = table.FILTERS.keys()
    alone = {"known", "guest", dry_run.ANSWER, examination.TLS, examination.POLICY}
    return names | filters | alone


def test_every_check_is_described(root):
    """A check that comes or goes needs its row changed."""
    assert made() == written((root / "doc" / "checks.md").read_text())


def test_simulated_hosts_make_no_other_checks():
    """What is tried on simulated hosts is known by the same names on real ones."""
    names = {check.name for check in simulated.DESTINATION}

    assert names | {check.name for check in simulated.SOURCE} <= made()
