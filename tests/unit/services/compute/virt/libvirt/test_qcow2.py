import subprocess

import pytest

from common import errors
from services.compute.virt.libvirt import qcow2

MIB = 1 << 20


@pytest.fixture
def image(tmp_path):
    """Make images with the real qemu-img."""

    def make(name, *options: str, size="64M"):
        path = tmp_path / name
        command = ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size]
        subprocess.run(command, check=True)
        return path

    return make


def test_header_tells_size_and_backing_file(image):
    """An overlay's header is read as qemu-img wrote it."""
    base = image("base.qcow2")
    overlay = image("overlay", "-b", str(base), "-F", "qcow2", size="128M")

    header = qcow2.read(overlay)

    assert ("qcow2", 128 * MIB, str(base)) == (header.format, header.virtual, header.backing)
    assert 0 < header.allocated < MIB


def test_old_version_is_read(image):
    """Version 2 has no feature bits: what follows the header is not taken for them."""
    header = qcow2.read(image("old", "-o", "compat=0.10"))

    assert (64 * MIB, None, False) == (header.virtual, header.backing, header.external_data)


def test_anything_else_is_raw(tmp_path):
    """A file without the magic is raw, and as big as it is."""
    path = tmp_path / "raw"
    path.write_bytes(b"\0" * 1000)

    header = qcow2.read(path)

    assert ("raw", 1000) == (header.format, header.virtual)


def test_base_with_a_backing_file_is_refused(image):
    """A base file must not make QEMU open other files of the host."""
    overlay = image("overlay", "-b", str(image("base")), "-F", "qcow2")

    with pytest.raises(errors.BadImage, match="refers to other files"):
        qcow2.base(overlay, "qcow2")


def test_base_with_external_data_is_refused(image, tmp_path):
    """An external data file is another file of the host too."""
    path = image("outside", "-o", f"data_file={tmp_path / 'data'}")

    with pytest.raises(errors.BadImage, match="refers to other files"):
        qcow2.base(path, "qcow2")


def test_raw_base_is_not_looked_into(image):
    """A raw image that begins like qcow2 stays raw: its size is the file's."""
    path = image("sly", "-b", str(image("base")), "-F", "qcow2")

    header = qcow2.base(path, "raw")

    assert ("raw", path.stat().st_size, None) == (header.format, header.virtual, header.backing)


def test_base_of_another_format_is_refused(tmp_path):
    """What the store calls qcow2 must be that."""
    path = tmp_path / "raw"
    path.write_bytes(b"\0" * 1000)

    with pytest.raises(errors.BadImage, match="not in format qcow2"):
        qcow2.base(path, "qcow2")
