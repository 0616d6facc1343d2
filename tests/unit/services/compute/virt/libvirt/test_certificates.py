import datetime
import subprocess

import pytest

from common import checks
from common import errors
from common import objects
from services.compute.virt.libvirt import certificates

# A while after the certificates are made.
NOW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
QEMU = {*certificates.QEMU_SERVER, *certificates.QEMU_CLIENT}
LIBVIRT = {*certificates.SERVER.values(), *certificates.CLIENT}
PLAIN = "live_migration_scheme = tcp, live_migration_with_native_tls = false"


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A certificate that holds for a hundred days, and its key."""
    folder = tmp_path_factory.mktemp("made")
    config = folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name=name\n[name]\n")
    argv = ["openssl", "req", "-x509", "-config", str(config), "-newkey", "ec", "-noenc"]
    argv += ["-pkeyopt", "ec_paramgen_curve:P-256", "-days", "100", "-subj", "/CN=host1"]
    argv += ["-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(argv, check=True, capture_output=True)
    return folder


@pytest.fixture
def fill(made):
    """Put files of these names into a folder."""

    def put(folder, names):
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((made / ("key" if "key" in path.stem else "cert")).read_bytes())
        return folder

    return put


def after(**time: int) -> datetime.datetime:
    return NOW + datetime.timedelta(**time)


def test_all_that_is_needed_is_no_fault(tmp_path, fill):
    """Of QEMU and of libvirt, for guests that come and go."""
    fill(tmp_path / "qemu", QEMU)
    fill(tmp_path, LIBVIRT)

    assert ("", "") == certificates.incoming({}, NOW, tmp_path)
    assert ("", "") == certificates.outgoing({}, NOW, tmp_path)
    assert ("", "") == certificates.server({}, NOW, tmp_path)
    assert ("", "") == certificates.client(NOW, tmp_path)


@pytest.mark.parametrize("name", sorted(QEMU))
def test_a_missing_file_is_named(tmp_path, fill, name):
    """A source needs the client's files, a destination the server's, both the authority's."""
    fill(tmp_path / "qemu", QEMU - {name})

    found = {
        kind: judge({}, NOW, tmp_path).fault
        for kind, judge in (("server", certificates.incoming), ("client", certificates.outgoing))
    }

    needs = ["server", "client"] if name == "ca-cert.pem" else [name.split("-")[0]]
    told = f"{tmp_path}/qemu/{name} is missing"
    assert {kind: told if kind in needs else "" for kind in ("server", "client")} == found


@pytest.mark.parametrize(
    ("conf", "own", "wanted"),
    [
        ({}, False, "qemu"),
        ({}, True, "libvirt-migrate"),
        ({"default_tls_x509_cert_dir": "/d"}, False, "/d"),
        ({"default_tls_x509_cert_dir": "/d"}, True, "libvirt-migrate"),
        ({"default_tls_x509_cert_dir": "/d", "migrate_tls_x509_cert_dir": "/m"}, True, "/m"),
    ],
)
def test_one_directory_counts(tmp_path, fill, conf, own, wanted):
    """What lies in another that libvirt does not take for migrations helps nobody."""
    fill(tmp_path / "qemu", QEMU)
    if own:
        (tmp_path / "libvirt-migrate").mkdir()

    assert tmp_path / wanted == certificates.folder(conf, tmp_path)
    assert (wanted == "qemu") == (not certificates.incoming(conf, NOW, tmp_path).fault)


def test_who_asks_no_client_needs_no_client_files(tmp_path, fill):
    """migrate_tls_x509_verify 0, and it goes before the default."""
    fill(tmp_path / "qemu", certificates.QEMU_SERVER)
    lax = {"migrate_tls_x509_verify": "0", "default_tls_x509_verify": "1"}

    assert "" == certificates.outgoing(lax, NOW, tmp_path).fault
    assert "client-cert.pem" in certificates.outgoing({}, NOW, tmp_path).fault


def test_an_expired_certificate_is_a_fault(tmp_path, fill):
    """By its date; so is one that is not valid yet."""
    fill(tmp_path / "qemu", QEMU)

    late = certificates.incoming({}, after(days=101), tmp_path)
    early = certificates.outgoing({}, after(days=-2), tmp_path)

    assert late.fault.startswith(f"{tmp_path}/qemu/ca-cert.pem has expired on ")
    assert early.fault.startswith(f"{tmp_path}/qemu/ca-cert.pem is not valid before ")


def test_one_that_soon_expires_is_doubted(tmp_path, fill):
    """Two weeks before, with every such file and its date."""
    fill(tmp_path / "qemu", QEMU)

    assert ("", "") == certificates.incoming({}, after(days=80), tmp_path)
    soon = certificates.incoming({}, after(days=90), tmp_path)
    assert "" == soon.fault
    assert "ca-cert.pem expires on" in soon.doubt
    assert "server-cert.pem expires on" in soon.doubt


def test_what_is_no_certificate_is_a_fault(tmp_path, fill):
    """An empty file, say."""
    fill(tmp_path / "qemu", QEMU)
    (tmp_path / "qemu" / "server-cert.pem").write_text("")

    assert certificates.incoming({}, NOW, tmp_path).fault.endswith(
        "server-cert.pem is no certificate"
    )


def test_libvirtd_conf_may_name_others(tmp_path, fill):
    """cert_file, key_file and ca_file go before libvirt's own places."""
    fill(tmp_path, LIBVIRT)
    conf = {"cert_file": str(tmp_path / "elsewhere.pem")}

    assert f"{tmp_path}/elsewhere.pem is missing" == certificates.server(conf, NOW, tmp_path).fault


def test_both_ends_of_a_move_are_judged(tmp_path, fill):
    """The source by its own files, the destination by what it told; each fault names its host."""
    place = fill(tmp_path / "qemu", certificates.QEMU_CLIENT)
    conf = {"migrate_tls_x509_cert_dir": str(place)}
    facts = objects.HostFacts(architecture="x86_64", hypervisor_type="QEMU", hypervisor_version=1)
    told = objects.LibvirtLiveMigrateData(
        migration_uuid="m",
        destination_address="10.0.0.2",
        destination_facts=facts.replace(tls_fault="/x is missing", tls_doubt="/y expires"),
    )

    assert ("on 10.0.0.2 /x is missing", "on 10.0.0.2 /y expires") == certificates.both(
        "host1", told, conf, NOW
    )
    (place / "client-key.pem").unlink()
    assert "on host1 " in certificates.both("host1", told, conf, NOW).fault


def test_a_host_without_certificates_says_how_to_do_without():
    """The missing file, and the options that allow plain TCP."""
    state = certificates.State("/etc/pki/CA/cacert.pem is missing")

    with pytest.raises(errors.CheckFailed) as refused:
        certificates.answer("tls", lambda: state)

    assert state.fault in refused.value.message
    assert PLAIN in refused.value.message
    assert "tcp" in certificates.answer("tcp", lambda: state)


def test_a_certificate_of_libvirts_that_soon_expires_is_doubted():
    """A warning in time."""
    assert checks.Doubt("x expires") == certificates.answer(
        "tls", lambda: certificates.State("", "x expires")
    )
