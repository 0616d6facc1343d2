"""A host: libvirtd in network, mount and host name namespaces of its own."""

import os
import shutil
import sys
import uuid
from pathlib import Path

from deploy.lab import certificates
from deploy.lab import programs
from deploy.lab.plan import CONTROLLER
from deploy.lab.plan import Host
from deploy.lab.plan import INSTANCES
from deploy.lab.plan import LIBVIRT_PORT
from deploy.lab.plan import LIBVIRT_TLS_PORT
from deploy.lab.plan import Plan

# What two libvirtds on one machine must not share, and where each host keeps its own.
PRIVATE = {
    "libvirt/etc": "/etc/libvirt",
    "libvirt/run": "/run/libvirt",
    "libvirt/lib": "/var/lib/libvirt",
    "libvirt/log": "/var/log/libvirt",
    "libvirt/cache": "/var/cache/libvirt",
    "whimbrel": "/var/lib/whimbrel",
}
CAPABILITIES = "libvirt/cache/qemu/capabilities"
UUIDS = uuid.UUID("7d2a6a0e-53ad-4d43-8d0c-3a0d8f8f3c11")

LIBVIRTD_CONF = """\
listen_tls = {tls}
listen_tcp = 1
listen_addr = "{address}"
tcp_port = "{port}"
tls_port = "{tls_port}"
auth_tcp = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
host_uuid = "{uuid}"
log_outputs = "2:stderr"
max_clients = 200
"""

QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "file"
migration_address = "0.0.0.0"
migration_host = "{address}"
keepalive_interval = 3
keepalive_count = 3
"""

ENTER = """\
set -e
hostname {name}
bind() {{ mkdir -p "$2"; mount --bind "$1" "$2"; }}
{binds}
mount --bind {hosts} /etc/hosts
# Only a fresh sysfs shows this network namespace's bridges. Control groups go with
# the old one, and the system's message bus too: where libvirt finds these, it asks
# the machine's service manager to keep two hosts' guests of the same name.
umount -R -l /sys
mount -t sysfs sysfs /sys
if [ -d /run/dbus ]; then mount -t tmpfs tmpfs /run/dbus; fi
# A copy of another namespace's file would keep that namespace alive, and a lab's folder busy.
while read -r _ place kind _; do
    if [ "$kind" = nsfs ]; then umount -l "$place"; fi
done </proc/self/mounts
while read -r _ place _; do
    case "$place" in {labs}/*/ns) umount -l "$place" ;; esac
done </proc/self/mounts
"""


def libvirtd_conf(plan: Plan, host: Host) -> str:
    """libvirtd.conf: TCP without authentication, on the host's own address only.

    With TLS that is for the lab's own tools; the hosts talk by TLS.
    """
    # Every lab is a zoo of its own: peers refuse to migrate between equal UUIDs.
    own = uuid.uuid5(UUIDS, f"{plan.name}/{host.name}")
    return LIBVIRTD_CONF.format(
        address=host.address,
        tls=int(plan.tls),
        port=LIBVIRT_PORT,
        tls_port=LIBVIRT_TLS_PORT,
        uuid=own,
    )


def qemu_conf(plan: Plan, host: Host) -> str:
    """qemu.conf: everything as root, no confinement that nested namespaces would break."""
    tls = certificates.QEMU_CONF if plan.tls else ""
    return QEMU_CONF.format(address=host.address) + tls


def hosts_file(plan: Plan) -> str:
    """/etc/hosts in every namespace: all hosts by name, which libvirt's peers use."""
    rows = [("127.0.0.1", "localhost"), (plan.controller_address, CONTROLLER)]
    rows += [(host.address, host.name) for host in plan.hosts]
    return "".join(f"{address} {name}\n" for address, name in rows)


def enter_script(plan: Plan, host: Host) -> str:
    """The shell script that furnishes a host's new namespaces, from inside."""
    rows = [(str(host.folder / own), place) for own, place in private(plan).items()]
    if plan.shared:
        rows.append((str(plan.root / "shared" / "instances"), INSTANCES))
    binds = "\n".join(f"bind {own} {place}" for own, place in rows)
    return ENTER.format(
        name=host.name, binds=binds, hosts=host.folder / "hosts", labs=plan.root.parent
    )


def private(plan: Plan) -> dict[str, str]:
    """What a host of this lab has for itself: its own folder, and the place where it sees it."""
    return PRIVATE | ({certificates.PKI: certificates.PKI_PLACE} if plan.tls else {})


def furnish(plan: Plan, host: Host) -> None:
    """Write a host's folders and configuration, then make its namespaces with them."""
    for own in private(plan):
        (host.folder / own).mkdir(parents=True, exist_ok=True)
    (host.folder / "whimbrel" / "instances").mkdir(exist_ok=True)
    (plan.root / "shared" / "instances").mkdir(parents=True, exist_ok=True)
    etc = host.folder / "libvirt" / "etc"
    for path, text in (
        (etc / "libvirtd.conf", libvirtd_conf(plan, host)),
        (etc / "qemu.conf", qemu_conf(plan, host)),
        (host.folder / "hosts", hosts_file(plan)),
        (host.folder / "enter.sh", enter_script(plan, host)),
    ):
        path.write_text(text)
    unshare(host)


def seed(host: Host, cache: Path) -> None:
    """Give a host what libvirt learnt of QEMU in a former lab: asking again takes 8 s.

    libvirt itself discards what no longer fits QEMU, kernel or processor.
    """
    learnt = host.folder / CAPABILITIES
    learnt.mkdir(parents=True, exist_ok=True)
    for path in cache.glob("*.xml"):
        shutil.copyfile(path, learnt / path.name)


def harvest(host: Host, cache: Path) -> None:
    """Keep what a host's libvirt learnt of QEMU for later labs."""
    learnt = host.folder / CAPABILITIES
    cache.mkdir(parents=True, exist_ok=True)
    for path in learnt.glob("*.xml"):
        fresh = cache / f".{path.name}.{os.getpid()}"
        shutil.copyfile(path, fresh)
        fresh.rename(cache / path.name)


def unshare(host: Host) -> None:
    """Make the mount and host name namespaces, inside the network namespace that exists."""
    files = host.namespaces
    for kind in ("mount", "uts"):
        files[kind].touch()
    programs.call(
        *("nsenter", f"--net={files['net']}"),
        *("unshare", f"--mount={files['mount']}", f"--uts={files['uts']}"),
        *("--propagation", "private", "sh", str(host.folder / "enter.sh")),
    )


def keep_namespaces(folder: Path) -> None:
    """Prepare a folder to hold namespace files: mount namespaces live on private mounts only."""
    folder.mkdir(parents=True, exist_ok=True)
    programs.call("mount", "--bind", str(folder), str(folder))
    programs.call("mount", "--make-private", str(folder))


def enter(host: Host, *argv: str) -> list[str]:
    """The command line that runs a program inside a host."""
    files = host.namespaces
    return ["nsenter", *(f"--{kind}={file}" for kind, file in files.items()), "--", *argv]


def command(host: Host) -> list[str]:
    """The command line of a host's libvirtd."""
    daemon = ("libvirtd", "--listen", "--pid-file", "/run/libvirt/libvirtd.pid")
    return enter(host, sys.executable, str(Path(__file__).with_name("reaper.py")), *daemon)


def answers(host: Host) -> bool:
    """Whether the host's libvirt answers over TCP."""
    return programs.succeeds("virsh", "-c", host.uri, "version")
