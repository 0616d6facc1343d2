import pathlib

import pytest

from common import errors
from services.compute.virt.libvirt import disks
from services.compute.virt.libvirt import qcow2
from tests import factories

MIB = 1 << 20


@pytest.fixture
def base(tmp_path):
    """A raw base file of two MiB."""
    path = tmp_path / "base"
    path.write_bytes(b"\1" * 2 * MIB)
    return disks.Base(str(path), "raw")


def test_overlay_names_its_base_and_is_private(tmp_path, base):
    """The disk is thin, as big as asked for, and readable by its owner only."""
    path = tmp_path / "disk"

    disks.make(path, 64 * MIB, base)

    header = qcow2.read(path)
    assert (64 * MIB, base.path) == (header.virtual, header.backing)
    assert 0o600 == path.stat().st_mode & 0o777


def test_disk_that_is_there_is_kept(tmp_path, base):
    """A repeated build does not empty the disk."""
    path = tmp_path / "disk"
    path.write_text("precious")

    disks.make(path, 64 * MIB, base)

    assert "precious" == path.read_text()


def test_failed_make_leaves_no_disk(tmp_path):
    """qemu-img's refusal is told, and no half-made disk is taken for one."""
    with pytest.raises(errors.HypervisorError, match="qemu-img create"):
        disks.make(tmp_path / "disk", MIB, disks.Base("/nowhere/base", "raw"))

    assert not (tmp_path / "disk").exists()


@pytest.mark.parametrize(("root_gb", "size"), [(0, 2 * MIB), (1, disks.GIB)])
def test_size_is_the_flavors_or_the_images(base, root_gb, size):
    """root_gb 0 means: as big as the image."""
    server = factories.instance(image=factories.image(), flavor=factories.flavor(root_gb=root_gb))

    assert size == disks.size(server, base)


def test_image_bigger_than_the_flavor_is_refused(tmp_path):
    """A disk smaller than its image would lose data."""
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(3 * disks.GIB)
    server = factories.instance(image=factories.image(), flavor=factories.flavor(root_gb=2))

    with pytest.raises(errors.Invalid, match="needs a disk of 3 GiB"):
        disks.size(server, disks.Base(str(path), "raw"))


def test_space_counts_what_thin_disks_may_still_grow(tmp_path, base):
    """disk_available_least is the free space minus the promises."""
    (tmp_path / "server").mkdir()
    disks.make(tmp_path / "server" / disks.DISK, 64 * MIB, base)

    space = disks.space(tmp_path)

    assert 63 * MIB < space.promised <= 64 * MIB
    assert space.free - space.promised == space.least


def test_space_names_the_disks_that_may_grow(tmp_path, base):
    """Whose each is; a raw file with holes grows as well, a full one does not."""
    (tmp_path / "server").mkdir()
    disks.make(tmp_path / "server" / disks.DISK, 64 * MIB, base)
    with (tmp_path / "server" / disks.SWAP).open("wb") as file:
        file.truncate(8 * MIB)
    (tmp_path / "server" / disks.EPHEMERAL).write_bytes(b"1" * MIB)

    space = disks.space(tmp_path)

    assert {"disk": 64 * MIB, "disk.swap": 8 * MIB} == {
        disk.path.name: disk.virtual for disk in space.growing
    }
    assert {"server"} == {disk.owner for disk in space.growing}


@pytest.mark.parametrize(
    ("reserved", "ratio", "room"), [(0, 1.0, 30), (10, 1.0, 20), (0, 1.5, 80), (10, 0.5, -25)]
)
def test_room_is_what_reserve_and_ratio_leave(reserved, ratio, room):
    """As the scheduler counts, but from what was measured."""
    disk = disks.Growing("server", pathlib.Path("disk"), 20, 10)

    assert room == disks.Space(100, 40, (disk,)).room(reserved, ratio)


@pytest.mark.parametrize(("free", "ratio", "room"), [(9, 2.0, -1), (10, 2.0, 100), (9, 0.5, -51)])
def test_no_ratio_helps_where_disks_may_outgrow_the_host(free, ratio, room):
    """As the scheduler counts, too."""
    disk = disks.Growing("server", pathlib.Path("disk"), 20, 10)

    assert room == disks.Space(100, free, (disk,)).room(0, ratio)


def test_identity_is_the_first_one_given(tmp_path):
    """Hosts that share the directory agree, and nothing else is left in it."""
    assert ["first", "first"] == [disks.identity(tmp_path, fresh) for fresh in ("first", "second")]
    assert [disks.MARK] == [path.name for path in tmp_path.iterdir()]


def test_removing_twice_is_fine(tmp_path):
    """A directory that is gone is what was asked for."""
    folder = tmp_path / "server"
    folder.mkdir()

    disks.remove(folder)
    disks.remove(folder)

    assert not folder.exists()


def test_direct_leaves_no_trace(tmp_path):
    """The probe for direct writing removes its file, whatever it found."""
    disks.direct(tmp_path, "host1")

    assert [] == list(tmp_path.iterdir())


def test_direct_is_false_where_nothing_can_be_opened():
    """No file, no direct writing."""
    assert not disks.direct(pathlib.Path("/proc/self"), "host1")


def test_flavor_gives_further_empty_disks(tmp_path, base):
    """The image's disk first, then ephemeral, then swap; a guest may have only some of them."""
    big = factories.flavor(root_gb=1, ephemeral_gb=2, swap_mb=64)
    image = factories.image()

    found = disks.layout(tmp_path, factories.instance(image=image, flavor=big), base.path)
    alone = disks.layout(
        tmp_path, factories.instance(flavor=factories.flavor(root_gb=0, swap_mb=1)), None
    )

    assert [
        disks.Disk(tmp_path / "disk", "vda", disks.GIB, base),
        disks.Disk(tmp_path / "disk.eph0", "vdb", 2 * disks.GIB, None),
        disks.Disk(tmp_path / "disk.swap", "vdc", 64 * MIB, None),
    ] == found
    assert [disks.Disk(tmp_path / "disk.swap", "vda", MIB, None)] == alone
