"""The way to the destination: what is closed is known soon, and is a link to be tried again."""

import socket

import pytest

from common import errors
from common import objects
from services.compute.virt.libvirt.cold import upload
from tests import factories

HERE = "127.0.0.1"


def ignore(_count: int, *, over: bool = False) -> None:
    """Take no notice of a piece."""


@pytest.fixture
def closed():
    """Give a move to a host of which nothing listens at libvirt's port."""
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        port = taken.getsockname()[1]
    uri = f"qemu+tcp://{HERE}:{port}/system"
    return factories.cold_move(destination_address=HERE, destination_uri=uri)


def test_closed_port_is_a_broken_link(closed, tmp_path):
    """Its number is told; before the copy it is a refusal, in the copy it is tried again."""
    path = tmp_path / "disk"
    path.write_bytes(b"x")
    file = objects.CopyFile(name="disk", path=str(path), size=1, allocated=1)

    told = r"host1 cannot copy to 127.0.0.1: .* port \d+ \(libvirt\)"
    with pytest.raises(errors.CopyPathClosed, match=told):
        upload.knock("host1", closed)
    with pytest.raises(errors.Unavailable, match=r"copy to 127.0.0.1: .* port \d+ \(libvirt\)"):
        upload.send(closed, file, [], ignore)
