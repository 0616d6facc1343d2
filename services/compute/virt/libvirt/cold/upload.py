"""Bringing a file to another host over libvirt's own connection: no keys, no port, no daemon.

The destination's libvirt keeps a transient storage pool on the folder where
the copies land; a sparse stream fills one volume of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import libvirt
from oslo_log import log

from common import errors
from services.compute.virt.cold import CHUNK
from services.compute.virt.libvirt import reach
from services.compute.virt.libvirt import trouble
from services.compute.virt.libvirt.cold import chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common import objects
    from services.compute.virt.cold import Sent

LOG = log.getLogger(__name__)

SPARSE = libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM
# Seconds between keepalive messages, and how many may stay unanswered.
KEEPALIVE = (3, 3)


def send(cold: objects.ColdMove, file: objects.CopyFile, have: list[str], sent: Sent) -> list[str]:
    """Send the chunks that have not landed, and give the sums of all of them.

    Unavailable when the connection broke; a repeat goes on from there.
    """
    with Path(file.path).open("rb") as source, _link(cold) as connection:
        sent(0)  # the move may have been aborted while this connection was waited for
        pool = open_pool(connection, cold)
        here, begin = _landed(source, file, have, sent)
        if begin >= file.size:
            return here
        volume = _volume(pool, file, anew=begin == 0)
        return here + _stream(connection, volume, source, file, begin, sent)


def knock(host: str, cold: objects.ColdMove) -> None:
    """Connect as send() will; CopyPathClosed when this host cannot, or when there is no pool."""
    try:
        with _link(cold) as connection:
            open_pool(connection, cold)
    except (errors.Unavailable, errors.HypervisorError) as closed:
        raise errors.CopyPathClosed(f"{host} cannot {closed}") from closed


def open_pool(connection: libvirt.virConnect, cold: objects.ColdMove) -> libvirt.virStoragePool:
    """Give the pool on the folder of the copies, made where it is not there."""
    try:
        found = connection.storagePoolLookupByName(name(cold))
    except libvirt.libvirtError as error:
        if trouble.code(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return connection.storagePoolCreateXML(_pool(cold))
    found.refresh()
    return found


def close_pool(connection: libvirt.virConnect, cold: objects.ColdMove) -> None:
    """Forget the pool; its files stay. One that is gone is fine."""
    try:
        connection.storagePoolLookupByName(name(cold)).destroy()
    except libvirt.libvirtError as error:
        if trouble.code(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise


def name(cold: objects.ColdMove) -> str:
    """The pool's name: one for each move."""
    return f"whimbrel-{cold.migration_uuid}"


def _landed(
    source: BinaryIO, file: objects.CopyFile, have: list[str], sent: Sent
) -> tuple[list[str], int]:
    """Give the chunks that agree from the beginning, and where the first other one begins."""
    here: list[str] = []
    for number, there in enumerate(have):
        mine = chunks.digest(source, number * CHUNK, file.size)
        if mine != there:
            break
        here.append(mine)
        start = number * CHUNK
        sent(chunks.data(source, start, min(start + CHUNK, file.size)), over=True)
    return here, len(here) * CHUNK


def _stream(
    connection: libvirt.virConnect,
    volume: libvirt.virStorageVol,
    source: BinaryIO,
    file: objects.CopyFile,
    begin: int,
    sent: Sent,
) -> list[str]:
    """Send everything from there on in one stream, chunk by chunk."""
    stream = connection.newStream()
    volume.upload(stream, begin, file.size - begin, SPARSE)
    try:
        here = [
            _chunk(stream, source, start, file.size, sent)
            for start in range(begin, file.size, CHUNK)
        ]
        stream.finish()
    except BaseException:
        _abort(stream)
        raise
    return here


def _chunk(
    stream: libvirt.virStream,
    source: BinaryIO,
    start: int,
    size: int,
    sent: Sent,
) -> str:
    end = min(start + CHUNK, size)
    summing = chunks.Sum(end - start)
    for extent in chunks.extents(source, start, end):
        if extent.hole:
            stream.sendHole(extent.length)
            summing.zeros(extent.length)
            sent(0)
            continue
        for piece in chunks.pieces(source, extent):
            _all(stream, piece)
            summing.add(piece)
            sent(len(piece))
    return summing.hex()


def _all(stream: libvirt.virStream, piece: bytes) -> None:
    while piece:
        piece = piece[stream.send(piece) :]


def _abort(stream: libvirt.virStream) -> None:
    try:
        stream.abort()
    except libvirt.libvirtError as error:
        LOG.debug("ending a broken copy: %s", trouble.words(error))


def _volume(
    pool: libvirt.virStoragePool, file: objects.CopyFile, *, anew: bool
) -> libvirt.virStorageVol:
    """Give the file to fill; one that is to be filled from its beginning is made anew."""
    found = _look(pool, file.name)
    if found is not None and not anew:
        return found
    if found is not None:
        found.delete()
    return pool.createXML(_volume_xml(file))


def _look(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    try:
        return pool.storageVolLookupByName(name)
    except libvirt.libvirtError as error:
        if trouble.code(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
        return None


def _pool(cold: objects.ColdMove) -> str:
    pool = ET.Element("pool", type="dir")
    ET.SubElement(pool, "name").text = name(cold)
    target = ET.SubElement(pool, "target")
    ET.SubElement(target, "path").text = cold.destination_folder
    return ET.tostring(pool, encoding="unicode")


def _volume_xml(file: objects.CopyFile) -> str:
    volume = ET.Element("volume", type="file")
    ET.SubElement(volume, "name").text = file.name
    ET.SubElement(volume, "capacity", unit="bytes").text = str(file.size)
    ET.SubElement(volume, "allocation", unit="bytes").text = "0"
    target = ET.SubElement(volume, "target")
    ET.SubElement(target, "format", type="raw")
    permissions = ET.SubElement(target, "permissions")
    ET.SubElement(permissions, "mode").text = "0600"
    return ET.tostring(volume, encoding="unicode")


@contextmanager
def _link(cold: objects.ColdMove) -> Iterator[libvirt.virConnect]:
    """Connect to the destination's libvirt for as long as the copy takes."""
    doing = f"copy to {cold.destination_address}"
    try:
        # Of a host that answers nothing libvirt hears only when the kernel gives up, in minutes.
        reach.libvirt(cold.destination_uri)
        opened = libvirt.open(cold.destination_uri)
        try:
            opened.setKeepAlive(*KEEPALIVE)
            yield opened
        finally:
            opened.close()
    except errors.Unreachable as closed:
        raise errors.Unavailable(f"{doing}: {closed}") from closed
    except libvirt.libvirtError as error:
        kind = errors.Unavailable if trouble.lost(error) else errors.HypervisorError
        raise kind(f"{doing}: {trouble.words(error)}") from error
    except OSError as error:
        raise errors.HypervisorError(f"{doing}: {error.strerror or error}") from error
