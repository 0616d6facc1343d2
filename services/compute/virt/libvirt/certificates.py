"""The certificates of encrypted moves on this host: where they are, and what is wrong with them.

QEMU's are of memory and disks on their way, libvirt's of the daemons that
arrange it. A private key that may not be looked at is taken to be there.
"""

from __future__ import annotations

import datetime
import re
import ssl
import subprocess
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path

from common import checks
from common import errors
from common import objects
from services.compute.virt import fallback

PKI = Path("/etc/pki")
QEMU_AUTHORITY = "ca-cert.pem"
QEMU_SERVER = (QEMU_AUTHORITY, "server-cert.pem", "server-key.pem")
QEMU_CLIENT = (QEMU_AUTHORITY, "client-cert.pem", "client-key.pem")
AUTHORITY = "CA/cacert.pem"
CLIENT = (AUTHORITY, "libvirt/clientcert.pem", "libvirt/private/clientkey.pem")
# Options of libvirtd.conf, and where it looks without them.
SERVER = {
    "ca_file": AUTHORITY,
    "cert_file": "libvirt/servercert.pem",
    "key_file": "libvirt/private/serverkey.pem",
}
VERIFY = ("migrate_tls_x509_verify", "default_tls_x509_verify")
SOON = datetime.timedelta(days=14)
DATES = re.compile(r"^not(Before|After)=(.+)$", re.MULTILINE)
LIMIT = 10.0


State = fallback.Secrecy


def folder(conf: Mapping[str, str], pki: Path = PKI) -> Path:
    """The one directory where QEMU's are looked for, by qemu.conf.

    As libvirt's virQEMUDriverConfigSetDefaults has it: libvirt-migrate, where
    it exists, goes before what qemu.conf names for everything.
    """
    if "migrate_tls_x509_cert_dir" in conf:
        return Path(conf["migrate_tls_x509_cert_dir"])
    own = pki / "libvirt-migrate"
    return own if _there(own) else Path(conf.get("default_tls_x509_cert_dir", pki / "qemu"))


def incoming(conf: Mapping[str, str], now: datetime.datetime, pki: Path = PKI) -> State:
    """Judge what QEMU shows to the source of a guest that comes in."""
    return _judge([folder(conf, pki) / name for name in QEMU_SERVER], now)


def outgoing(conf: Mapping[str, str], now: datetime.datetime, pki: Path = PKI) -> State:
    """Judge what QEMU shows to the destination of a guest that goes out.

    What this qemu.conf asks of clients is taken for what the destination's does.
    """
    asked = next((conf[name] for name in VERIFY if name in conf), "1")
    names = QEMU_CLIENT if asked != "0" else (QEMU_AUTHORITY,)
    return _judge([folder(conf, pki) / name for name in names], now)


def both(
    here: str,
    data: objects.LibvirtLiveMigrateData,
    conf: Mapping[str, str],
    now: datetime.datetime,
) -> State:
    """Judge both ends of a move, this host being its source: the first fault, and all doubts."""
    there = data.destination_facts
    theirs = State(there.tls_fault, there.tls_doubt) if there is not None else State()
    ends = ((here, outgoing(conf, now)), (data.destination_address, theirs))
    return State(
        next((f"on {host} {end.fault}" for host, end in ends if end.fault), ""),
        "; ".join(f"on {host} {end.doubt}" for host, end in ends if end.doubt),
    )


def server(conf: Mapping[str, str], now: datetime.datetime, pki: Path = PKI) -> State:
    """Judge what libvirt's daemon shows to others, by libvirtd.conf."""
    return _judge([Path(conf.get(option, pki / own)) for option, own in SERVER.items()], now)


def client(now: datetime.datetime, pki: Path = PKI) -> State:
    """Judge what libvirt shows to the daemon of another host."""
    return _judge([pki / name for name in CLIENT], now)


def answer(scheme: str, judge: Callable[[], State]) -> str | checks.Doubt:
    """Refuse a host whose libvirt cannot do its part in TLS, where the scheme asks for it."""
    if scheme != "tls":
        return f"[libvirt] live_migration_scheme is {scheme}: libvirt needs no certificates"
    state = judge()
    if state.fault:
        raise errors.CheckFailed(
            f"libvirt shall talk to other hosts by TLS, and {state.fault}; {fallback.PLAIN}"
        )
    return checks.Doubt(state.doubt) if state.doubt else "libvirt has what TLS needs"


def _judge(files: Iterable[Path], now: datetime.datetime) -> State:
    """Look at each file until one is at fault."""
    doubts = []
    for path in files:
        if not _there(path):
            return State(f"{path} is missing")
        state = State() if "key" in path.stem else _age(path, now)
        if state.fault:
            return state
        doubts += [state.doubt] if state.doubt else []
    return State(doubt="; ".join(doubts))


def _age(path: Path, now: datetime.datetime) -> State:
    """Judge a certificate by its dates, as far as they can be read."""
    dates = _dates(path)
    if dates is None:
        return State()
    if not dates:
        return State(f"{path} is no certificate")
    begin, end = dates["Before"], dates["After"]
    if now < begin:
        return State(f"{path} is not valid before {begin:%Y-%m-%d %H:%M} UTC")
    if now >= end:
        return State(f"{path} has expired on {end:%Y-%m-%d %H:%M} UTC")
    return State(doubt=f"{path} expires on {end:%Y-%m-%d %H:%M} UTC" if now > end - SOON else "")


def _dates(path: Path) -> dict[str, datetime.datetime] | None:
    """From when and until when it holds, nothing of what is none; None where nobody can tell."""
    argv = ["openssl", "x509", "-noout", "-dates", "-in", str(path)]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {
        name: datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(said), datetime.UTC)
        for name, said in DATES.findall(done.stdout)
    }


def _there(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True
