import pytest

from services.compute.virt.libvirt import features

DEBIAN_12 = (9_000_000, 7_002_022)


@pytest.mark.parametrize(
    ("libvirt", "qemu", "there", "absent"),
    [
        (*DEBIAN_12, {"post-copy-recovery", "parallel", "xbzrle"}, {"zstd", "parallel-post-copy"}),
        (8_000_000, 6_002_000, {"post-copy"}, {"post-copy-recovery"}),
        (11_003_000, 10_001_000, {"parallel-post-copy", "zstd"}, set()),
    ],
)
def test_versions_decide(libvirt, qemu, there, absent):
    """Both must be young enough."""
    found = set(features.known(libvirt, qemu))

    assert there <= found
    assert not absent & found


@pytest.mark.parametrize(
    ("conf", "sysctl", "usable"),
    [
        ('user = "root"', "0", True),
        ("", "0", False),
        ("", "1", True),
        ("#user = 'root'", "", False),
    ],
)
def test_post_copy_needs_page_faults(tmp_path, conf, sysctl, usable):
    """QEMU as root may handle them, others only where the kernel lets them."""
    (tmp_path / "qemu.conf").write_text(f"{conf}\n")
    (tmp_path / "sysctl").write_text(f"{sysctl}\n")

    found = features.unusable(tmp_path / "qemu.conf", tmp_path / "sysctl")

    assert usable == ("post-copy" not in found)


def test_no_settings_are_no_error(tmp_path):
    """A compute that may not read qemu.conf knows nothing, and says so."""
    assert {} == features.settings(tmp_path / "absent")


def test_the_daemon_that_listens_is_told_by_either_file(tmp_path):
    """A proxy of its own, or libvirtd itself."""
    (tmp_path / "proxy").write_text('cert_file = "/a"\nkey_file = "/b"\n')
    (tmp_path / "one").write_text('key_file = "/c"\n')

    assert {"cert_file": "/a", "key_file": "/c"} == features.daemon(
        (tmp_path / "proxy", tmp_path / "absent", tmp_path / "one")
    )
