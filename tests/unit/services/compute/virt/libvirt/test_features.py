import pytest

from services.compute.virt.libvirt import features

DEBIAN_12 = (9_000_000, 7_002_022)
CERTIFICATES = ("ca-cert.pem", "server-cert.pem", "server-key.pem")


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

    found = features.unusable(tmp_path / "qemu.conf", tmp_path / "sysctl", tmp_path)

    assert usable == ("post-copy" not in found)


def test_certificates_are_looked_for_where_libvirt_looks(tmp_path):
    """The directory that qemu.conf names, or libvirt's own."""
    named = tmp_path / "named"
    named.mkdir()
    conf = {"migrate_tls_x509_cert_dir": str(named)}

    assert not features.certified(conf, tmp_path)
    for name in CERTIFICATES:
        (named / name).touch()
    assert features.certified(conf, tmp_path)
    assert not features.certified({}, tmp_path)


def test_no_settings_are_no_error(tmp_path):
    """A compute that may not read qemu.conf knows nothing, and says so."""
    assert {} == features.settings(tmp_path / "absent")
