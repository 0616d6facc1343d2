"""The guest's kernel: fetched from the distribution as a package, unpacked, never installed."""

import re
from pathlib import Path

from deploy.lab import errors
from deploy.lab import programs

# Debian's cloud kernel first; Ubuntu's for virtual machines has its modules in a second package.
METAPACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual")
REAL = re.compile(r"^\s*\|?Depends: (linux-(?:image|modules)-\d\S*)", re.MULTILINE)


def fetch(folder: Path) -> None:
    """Unpack the newest kernel package into the folder, or raise ProgramFailed or Missing."""
    packages = resolve()
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    # Its sandbox user may not see the folder, and would only warn of it.
    programs.call(
        *("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages),
        folder=str(debs),
    )
    for deb in debs.glob("*.deb"):
        programs.call("dpkg-deb", "-x", str(deb), str(folder))
        deb.unlink()


def resolve() -> list[str]:
    """The real packages behind the first metapackage that this distribution has."""
    for name in METAPACKAGES:
        if not programs.succeeds("apt-cache", "show", name):
            continue
        packages = real(programs.call("apt-cache", "depends", name))
        more = [real(programs.call("apt-cache", "depends", each)) for each in packages]
        return list(dict.fromkeys(packages + [each for found in more for each in found]))
    raise errors.Missing(
        f"apt knows none of {', '.join(METAPACKAGES)}", "run `apt-get update` and try again"
    )


def real(depends: str) -> list[str]:
    """The kernel packages that `apt-cache depends` names."""
    return REAL.findall(depends)


def image(folder: Path) -> Path:
    """The boot image of an unpacked kernel."""
    found = sorted(folder.glob("boot/vmlinuz-*"))
    if not found:
        raise errors.Missing(f"no kernel in {folder}", "remove that folder to fetch it again")
    return found[-1]
