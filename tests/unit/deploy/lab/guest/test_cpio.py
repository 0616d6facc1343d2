"""The initramfs is an archive that cpio understands."""

import subprocess

from deploy.lab.guest import cpio

ENTRIES = [
    cpio.Entry("bin", cpio.FOLDER),
    cpio.Entry("bin/guest", cpio.PROGRAM, b"#!x"),
    cpio.Entry("empty", cpio.FILE),
    cpio.Entry("odd", cpio.FILE, b"12345"),
]


def test_cpio_unpacks_it(tmp_path):
    """Names and contents of any length come out as they went in."""
    subprocess.run(["cpio", "-i", "--quiet"], input=cpio.pack(ENTRIES), cwd=tmp_path, check=True)

    assert b"#!x" == (tmp_path / "bin/guest").read_bytes()
    assert b"" == (tmp_path / "empty").read_bytes()
    assert b"12345" == (tmp_path / "odd").read_bytes()
    assert 0o755 == (tmp_path / "bin/guest").stat().st_mode & 0o777


def test_same_entries_give_the_same_bytes():
    assert cpio.pack(ENTRIES) == cpio.pack(list(ENTRIES))
