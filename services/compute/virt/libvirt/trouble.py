"""libvirt's errors in Whimbrel's words; the border that libvirtError never crosses."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from common import errors

KINDS: dict[int, type[errors.Error]] = {
    libvirt.VIR_ERR_NO_DOMAIN: errors.GuestNotFound,
}


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn a libvirtError into GuestNotFound or HypervisorError: "DOING: libvirt's words"."""
    try:
        yield
    except libvirt.libvirtError as error:
        kind = KINDS.get(code(error), errors.HypervisorError)
        raise kind(f"{doing}: {words(error)}") from error


def code(error: libvirt.libvirtError) -> int:
    """The VIR_ERR_ number of an error; -1 when it carries none."""
    found: int | None = error.get_error_code()
    return -1 if found is None else found


def lost(error: libvirt.libvirtError) -> bool:
    """Tell whether it was the connection to a daemon that failed, ours or the daemon's own."""
    return bool(error.get_error_domain() == libvirt.VIR_FROM_RPC)


def words(error: libvirt.libvirtError) -> str:
    """What libvirt said, in one line."""
    said = error.get_error_message() or str(error)
    return " ".join(str(said).split()).rstrip(".")


@contextmanager
def files(doing: str) -> Iterator[None]:
    """Turn an OSError into NoDiskSpace or HypervisorError."""
    try:
        yield
    except OSError as error:
        kind = errors.NoDiskSpace if error.errno == errno.ENOSPC else errors.HypervisorError
        raise kind(f"{doing}: {error.strerror or error}") from error
