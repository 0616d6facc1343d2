"""A certificate authority of the lab's own, and each host's certificates: QEMU's and libvirt's."""

from pathlib import Path

from deploy.lab import programs
from deploy.lab.plan import Host
from deploy.lab.plan import Plan

# Inside a host: one of the folders that are its own.
PLACE = "/etc/libvirt/pki"
OWN = "libvirt/etc/pki"
# libvirt's own are where it looks for them unless told otherwise.
PKI_PLACE = "/etc/pki"
PKI = "pki"
LIBVIRT = {
    "CA/cacert.pem": "ca-cert.pem",
    "libvirt/servercert.pem": "server-cert.pem",
    "libvirt/private/serverkey.pem": "server-key.pem",
    "libvirt/clientcert.pem": "client-cert.pem",
    "libvirt/private/clientkey.pem": "client-key.pem",
}
DAYS = "365"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
CONFIG = "[req]\ndistinguished_name=name\n[name]\n"
AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
# A host is server to the moves that come in and client of those that go out.
MEMBER = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature,keyEncipherment",
    "extendedKeyUsage=serverAuth,clientAuth",
)
QEMU_CONF = f"""\
migrate_tls_x509_cert_dir = "{PLACE}"
migrate_tls_x509_verify = 1
"""


def make(plan: Plan) -> None:
    """Make the authority and give every host its certificate."""
    folder = plan.root / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "openssl.cnf").write_text(CONFIG)
    certify(folder, folder / "ca", f"lab {plan.name}", AUTHORITY)
    for host in plan.hosts:
        issue(folder, host, host.address)
        for name, own in LIBVIRT.items():
            path = host.folder / PKI / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((host.folder / OWN / own).read_bytes())


def issue(folder: Path, host: Host, address: str) -> None:
    """Give a host a certificate for an address: its own, or another's to see it refused."""
    place = host.folder / OWN
    place.mkdir(parents=True, exist_ok=True)
    names = f"subjectAltName=IP:{address},DNS:{host.name}"
    certify(folder, place / "server", host.name, (*MEMBER, names), folder / "ca")
    for kind in ("cert", "key"):
        text = (place / f"server-{kind}.pem").read_bytes()
        (place / f"client-{kind}.pem").write_bytes(text)
    (place / "ca-cert.pem").write_bytes((folder / "ca-cert.pem").read_bytes())


def certify(
    folder: Path, stem: Path, name: str, extensions: tuple[str, ...], issuer: Path | None = None
) -> None:
    """Make STEM-key.pem and STEM-cert.pem, signed by an issuer or by itself."""
    signed = ("-CA", f"{issuer}-cert.pem", "-CAkey", f"{issuer}-key.pem") if issuer else ()
    added = [word for each in extensions for word in ("-addext", each)]
    programs.call(
        *("openssl", "req", "-x509", "-config", str(folder / "openssl.cnf"), *KEY, *signed),
        *("-days", DAYS, "-subj", f"/CN={name}", *added),
        *("-keyout", f"{stem}-key.pem", "-out", f"{stem}-cert.pem"),
    )
