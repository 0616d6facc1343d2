import difflib
import os
import pathlib

import pytest

from common import objects
from services.compute.virt.libvirt import xml
from tests import factories

GOLDEN = pathlib.Path(__file__).parent / "golden"
# GOLDEN=write makes the files anew; read the difference before committing it.
WRITE = os.environ.get("GOLDEN") == "write"

UUID = "0f7a3a8e-1f2b-4f0e-9d54-3b1f7b7c5a01"
FOLDER = f"/var/lib/whimbrel/instances/{UUID}"
PLAIN = xml.Machine("qemu", "pc-q35-7.2", "qemu64", direct=True)
FAST = xml.Machine("kvm", "pc-q35-8.0", "Skylake-Client", direct=False)
DISK = xml.Paths((("vda", f"{FOLDER}/disk"),), None, None, f"{FOLDER}/console.log")
KERNEL = DISK._replace(kernel="/cache/vmlinuz", ramdisk="/cache/initramfs")


def server(**values):
    given = {
        "uuid": UUID,
        "name": "web & <db>",
        "run_token": "2b1d9c1e-0000-4000-8000-5b1f7b7c5a02",
        "flavor": factories.flavor(vcpus=2, memory_mb=256, root_gb=2),
        "image": factories.image(
            id="9e1d9c1e-0000-4000-8000-5b1f7b7c5a03",
            properties={"os_command_line": "console=ttyS0 quiet"},
        ),
    }
    return factories.instance(**{**given, **values})


def port(number):
    return objects.Port(
        id=f"port-{number}",
        network_id="n",
        network="tenant",
        bridge="br-tenant",
        mac=f"fa:16:c6:33:64:{number:02x}",
        address=f"198.51.100.{number}",
    )


CASES = {
    "disk": (server(), PLAIN, DISK),
    "kernel": (server(ports=[port(130)]), PLAIN, KERNEL),
    "kernel-alone": (server(image=None), PLAIN, KERNEL._replace(disks=(), ramdisk=None)),
    "three-disks": (
        server(),
        PLAIN,
        DISK._replace(
            disks=(*DISK.disks, ("vdb", f"{FOLDER}/disk.eph0"), ("vdc", f"{FOLDER}/disk.swap"))
        ),
    ),
    "kvm-two-cards": (server(ports=[port(130), port(131)]), FAST, DISK),
}


@pytest.mark.parametrize("name", CASES)
def test_server_becomes_the_golden_xml(name):
    """The same server, machine and paths give the same XML, byte for byte."""
    path = GOLDEN / f"{name}.xml"
    made = xml.build(*CASES[name])
    if WRITE:
        path.write_text(made)

    golden = path.read_text()
    difference = "".join(difflib.unified_diff(golden.splitlines(True), made.splitlines(True)))

    assert "" == difference


def test_guest_keeps_its_machine_type():
    """Defined anew on a host that gives new guests another one, it is the golden XML still."""
    golden = (GOLDEN / "disk.xml").read_text()
    other = PLAIN._replace(machine_type="pc-q35-8.0")

    assert golden == xml.build(server(), xml.kept(other, golden), DISK)


def test_every_golden_file_has_its_case():
    """A golden file that no case makes is dead."""
    assert sorted(CASES) == sorted(path.stem for path in GOLDEN.glob("*.xml"))
