"""Taking a lab away, whatever state it is in."""

import shutil
from pathlib import Path

from deploy.lab import links
from deploy.lab import processes
from deploy.lab import programs
from deploy.lab.plan import Plan

KEPT = "logs"


def remove(plan: Plan) -> int:
    """Leave no process, namespace, mount, link, rule or file of a lab, but its logs.

    It looks for what there is rather than for what should be, so it works after
    a crash of anything and after an interrupted start, and may be repeated.
    The number of processes that it ended.
    """
    ended = processes.end_all(plan.root, namespaces(plan))
    unmount(plan.root)
    links.remove(plan)
    discard(plan.root)
    return ended


def namespaces(plan: Plan) -> set[int]:
    """The inodes of the lab's namespaces that files still keep alive."""
    files = [*(plan.root / "ns").glob("*"), *Path("/run/netns").glob(f"{plan.short}-host*")]
    kind = Path("/proc/self/ns/net").stat().st_dev
    # A file that no namespace is bound to is on another device.
    return {path.stat().st_ino for path in files if path.stat().st_dev == kind}


def unmount(root: Path) -> None:
    """Unmount everything below a folder, the deepest first."""
    rows = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in reversed([row for row in rows if Path(row).is_relative_to(root)]):
        programs.succeeds("umount", "-l", place)


def discard(root: Path) -> None:
    """Delete the state folder's content, except the logs."""
    if not root.is_dir():
        return
    for path in root.iterdir():
        if path.name == KEPT:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
