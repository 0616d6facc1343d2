"""External programs, run to their end."""

import os
import shutil
import subprocess

from deploy.lab import errors

# The lab's own command line, as it is typed in the checkout.
LAB = "deploy/lab/lab"
PACKAGES = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "busybox": "busybox-static",
    "gcc": "gcc",
    "openssl": "openssl",
    "dpkg-deb": "dpkg",
    "/usr/lib/rabbitmq/bin/rabbitmq-server": "rabbitmq-server",
}


def call(*argv: str, feed: str | None = None, folder: str | None = None) -> str:
    """Run a program and return what it printed, or raise ProgramFailed with its last words."""
    done = subprocess.run(argv, input=feed, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise errors.ProgramFailed(f"{' '.join(argv)}: " + "\n  ".join(words or ["failed"]))
    return done.stdout


def succeeds(*argv: str) -> bool:
    """Whether the program ended with success; what it printed is dropped."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def missing() -> dict[str, str]:
    """Programs that the lab needs and this machine lacks, with the Debian package of each."""
    return {name: package for name, package in PACKAGES.items() if not shutil.which(name)}


def check() -> None:
    """Raise NotRoot or Missing unless the lab can work on this machine."""
    if os.geteuid():
        raise errors.NotRoot("the lab needs root", "run it again with sudo")
    absent = missing()
    if absent:
        raise errors.Missing(
            f"not installed: {', '.join(sorted(absent))}",
            f"run `make setup`, or: apt-get install {' '.join(sorted(set(absent.values())))}",
        )
