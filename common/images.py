"""The image store: a directory, or the same layout behind an http(s) URL.

`index.json` names the images; their files lie beside it. Whoever copies an
image checks its size and SHA-256 while it flows and only then gives the copy
its name, so a file under its final name is always whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import io
import json
import os
import pathlib
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any
from typing import BinaryIO
from typing import cast
from typing import Protocol

from common import errors
from common import ids
from common import objects

INDEX = "index.json"
CHUNK = 1 << 20  # bytes
GIB = 1 << 30  # bytes
QCOW2 = b"QFI\xfb"
TIMEOUT = 15.0  # seconds without a byte from an http store

_GONE = (OSError, http.client.HTTPException)


class Source(Protocol):
    """Where the store's files come from."""

    def open(self, file: str) -> BinaryIO:
        """Open one file, given relative to the store, for reading."""
        ...


class Store:
    """What can be read of an image store; nothing is kept between two calls."""

    def __init__(self, location: str) -> None:
        """Read from a directory, or from an http or https URL."""
        self.location = location
        self._source = source(location)

    def all(self) -> list[objects.Image]:
        """Give all images in the order of the index."""
        try:
            with self._source.open(INDEX) as stream:
                rows = json.load(stream)["images"]
            return [_image(row) for row in rows]
        except _GONE as away:
            raise errors.Unavailable(
                f"the image store {self.location} cannot be read: {away}; "
                "look at store in [image], and at its index.json"
            ) from away
        except (ValueError, KeyError, TypeError) as wrong:
            raise errors.BadImage(
                f"{INDEX} of the image store {self.location} is malformed: {wrong!r}; "
                "write it anew with whimbrel-manage image add"
            ) from wrong

    def get(self, wanted: str) -> objects.Image:
        """Find one image by its id, or by its name if only one has it."""
        images = self.all()
        for image in images:
            if image.id == wanted:
                return image
        named = [image for image in images if image.name == wanted]
        if not named:
            raise errors.ImageNotFound(
                f"image {wanted} is not in the store {self.location}; "
                "see which are: whimbrel image list"
            )
        if len(named) > 1:
            ids = ", ".join(image.id for image in named)
            raise errors.Invalid(f"{len(named)} images are named {wanted}: give an id ({ids})")
        return named[0]

    def open(self, image: objects.Image) -> BinaryIO:
        """Open the image's bytes, unchecked; `fetch` checks them."""
        try:
            return self._source.open(_inside(image.file))
        except _GONE as away:
            raise errors.Unavailable(
                f"image {image.id} ({image.name}) cannot be read from {self.location}: {away}"
            ) from away

    def fetch(self, image: objects.Image, destination: str | os.PathLike[str]) -> None:
        """Copy the image to `destination`, whole and checked, or raise BadImage.

        The directory must exist. Two fetches to one destination at the same
        time do no harm: the last whole copy takes the name.
        """
        target = pathlib.Path(destination)
        with self.open(image) as stream, _arriving(target) as part:
            size, checksum = _pour(image, stream, part)
            _judge(image, size, checksum)


class Directory:
    """A store's files in a directory; one without an index yet is an empty store."""

    def __init__(self, path: str) -> None:
        """Read below `path`."""
        self._path = pathlib.Path(path)

    def open(self, file: str) -> BinaryIO:
        """Open one file for reading."""
        path = self._path / file
        if file == INDEX and self._path.is_dir() and not path.exists():
            return io.BytesIO(_index([]))
        return path.open("rb")

    def add(self, file: pathlib.Path, **values: Any) -> objects.Image:  # noqa: ANN401 - fields of Image
        """Copy a file into the store and name it in the index.

        The same bytes under the same name are there already: nothing is
        done. Other bytes under a name in use raise Exists.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        checksum, size = digest(file), file.stat().st_size
        with self._locked():
            rows = Store(str(self._path)).all()
            for known in rows:
                if known.name == values["name"]:
                    return _same(known, checksum)
            made = _describe(file, checksum=checksum, size=size, **values)
            with file.open("rb") as stream, _arriving(self._path / made.file) as part:
                _judge(made, *_pour(made, stream, part))
            with _arriving(self._path / INDEX) as part:
                part.write(_index([*rows, made]))
        return made

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Web:
    """A store's files behind a URL."""

    def __init__(self, url: str) -> None:
        """Read below `url`."""
        self._url = url.rstrip("/")

    def open(self, file: str) -> BinaryIO:
        """Open one file for reading; an answer other than 200 is an OSError."""
        url = f"{self._url}/{urllib.parse.quote(file)}"
        return cast("BinaryIO", urllib.request.urlopen(url, timeout=TIMEOUT))  # noqa: S310 - the scheme is checked in source()


def source(location: str) -> Source:
    """Give the reader for a location: an http or https URL, or else a directory."""
    if urllib.parse.urlsplit(location).scheme in {"http", "https"}:
        return Web(location)
    return Directory(location)


def digest(path: pathlib.Path) -> str:
    """Give the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(image: objects.Image, path: pathlib.Path) -> None:
    """Raise BadImage unless the file has the image's size and checksum."""
    _judge(image, path.stat().st_size, digest(path))


def _image(values: dict[str, Any]) -> objects.Image:
    known = {name: values[name] for name in objects.Image.fields if name in values}
    found = objects.Image(**known)
    missing = [name for name in found.fields if not found.obj_attr_is_set(name)]
    if missing:
        raise KeyError(*missing)
    found.obj_reset_changes()
    return found


def _inside(file: str) -> str:
    path = pathlib.PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise errors.BadImage(f"the index names {file}, which lies outside of the image store")
    return file


@contextlib.contextmanager
def _arriving(target: pathlib.Path) -> Iterator[BinaryIO]:
    """Give a file to write that takes the target's name only if nothing was raised."""
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name}.", suffix=".part", delete=False
    ) as part:
        try:
            yield cast("BinaryIO", part)
            part.flush()
            os.fsync(part.fileno())
            pathlib.Path(part.name).chmod(0o644)
            pathlib.Path(part.name).replace(target)
        except BaseException:
            pathlib.Path(part.name).unlink(missing_ok=True)
            raise


def _pour(image: objects.Image, stream: BinaryIO, part: BinaryIO) -> tuple[int, str]:
    """Copy until the end, or until it is more than the image may have."""
    checksum = hashlib.sha256()
    size = 0
    while size <= image.size and (chunk := _read(image, stream)):
        part.write(chunk)
        checksum.update(chunk)
        size += len(chunk)
    return size, checksum.hexdigest()


def _read(image: objects.Image, stream: BinaryIO) -> bytes:
    try:
        return stream.read(CHUNK)
    except _GONE as cut:
        raise errors.Unavailable(
            f"image {image.id} ({image.name}) broke off while it was read: {cut!r}; try again"
        ) from cut


def _judge(image: objects.Image, size: int, checksum: str) -> None:
    if size != image.size:
        more = "more than" if size > image.size else f"{size} instead of"
        raise errors.BadImage(
            f"image {image.id} ({image.name}) has {more} the {image.size} bytes recorded; "
            "add it to the store again"
        )
    if checksum != image.checksum.lower():
        raise errors.BadImage(
            f"image {image.id} ({image.name}) has the SHA-256 {checksum} instead of "
            f"{image.checksum}; add it to the store again"
        )


def _index(images: list[objects.Image]) -> bytes:
    rows = [{name: getattr(image, name) for name in image.fields} for image in images]
    return (json.dumps({"images": rows}, indent=2) + "\n").encode()


def _same(known: objects.Image, checksum: str) -> objects.Image:
    if known.checksum == checksum:
        return known
    raise errors.Exists(
        f"the store already has another image named {known.name} ({known.id}); choose another name"
    )


def _describe(file: pathlib.Path, **values: Any) -> objects.Image:  # noqa: ANN401 - fields of Image
    with file.open("rb") as stream:
        head = stream.read(32)
    qcow2 = head.startswith(QCOW2)
    image = objects.Image(
        **{"id": ids.new(), "disk_format": "qcow2" if qcow2 else "raw", **values, "file": ""}
    )
    if qcow2 and not image.min_disk:
        # The virtual size is a big-endian 64-bit number at byte 24 (QEMU's docs/interop/qcow2).
        image.min_disk = -(-int.from_bytes(head[24:32], "big") // GIB)
    image.file = f"{image.id}.{image.disk_format}"
    return image
