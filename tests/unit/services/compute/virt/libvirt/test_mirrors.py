import libvirt

from services.compute.virt.libvirt import mirrors


class Domain:
    """Has a copy going on of one disk, none yet of another, and lost a third."""

    def blockJobInfo(self, target):  # noqa: N802 - libvirt's name
        if target == "vdc":
            raise libvirt.libvirtError("no such disk")
        return {"type": 2, "bandwidth": 0, "cur": 30, "end": 100} if target == "vda" else {}


def test_only_disks_with_a_copy_are_told():
    """What is copied, what is to come, and nothing of a disk whose job is not there."""
    (found,) = mirrors.look(Domain(), ["vda", "vdb", "vdc"])

    assert ("vda", 100, 30, 70) == (found.target, found.total, found.processed, found.remaining)
