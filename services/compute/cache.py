"""Checked copies of images on this host, named by checksum: the base files of disks."""

from __future__ import annotations

import contextlib
import errno
import pathlib
import shutil
from typing import TYPE_CHECKING

from oslo_log import log

from common import errors
from common import images
from services.compute import native
from services.compute.virt import local

if TYPE_CHECKING:
    from collections.abc import Generator

    from oslo_config.cfg import ConfigOpts

    from common import objects

LOG = log.getLogger(__name__)


# QEMU's user reads the base of every disk.
READABLE = 0o644


class Cache:
    """The image cache of one host; its calls are made in native threads."""

    def __init__(self, conf: ConfigOpts) -> None:
        """Fetch from `[image] store` into `[image] cache`."""
        self._host = conf.host
        self._store = images.Store(conf.image.store)
        self._folder = pathlib.Path(conf.image.cache)
        self._lock = native.Lock()

    def files(self, instance: objects.Instance) -> local.Files:
        """Give local copies of all images of the server, fetching what is not here.

        Raises BadImage when the store's bytes are not those of the checksum,
        NoDiskSpace when the cache is full.
        """
        return local.Files(
            disk=self._path(instance.image),
            kernel=self._path(instance.kernel),
            ramdisk=self._path(instance.ramdisk),
        )

    def fetch(self, instance: objects.Instance) -> dict[str, errors.Error]:
        """Fetch every image of the server, and say what went wrong with which."""
        lost: dict[str, errors.Error] = {}
        for name, image in _images(instance).items():
            try:
                self._path(image)
            except (errors.NotFound, errors.BadImage, errors.Unavailable) as error:
                lost[name] = error
        return lost

    def verify(self, instance: objects.Instance, names: list[str]) -> None:
        """Read copies of images anew; BadImage when one has not its checksum's bytes any more."""
        for name, image in _images(instance).items():
            if name in names and image is not None:
                images.verify(image, self._target(image))

    def adopt(self, instance: objects.Instance, name: str, path: pathlib.Path) -> bool:
        """Take in an image that came from another host; False while it is not that very image.

        Its file is moved. A repeat, when it is gone and the image here, is fine.
        """
        image = _images(instance)[name]
        if image is None:
            return True
        target = self._target(image)
        with self._lock, self._keeping(image):
            if target.exists():
                return True
            if not path.exists():
                return False
            try:
                images.verify(image, path)
            except errors.BadImage as other:
                LOG.warning("server %s: %s has not landed: %s", instance.uuid, path, other)
                return False
            self._folder.mkdir(parents=True, exist_ok=True)
            _move(path, target)
        return True

    def _target(self, image: objects.Image) -> pathlib.Path:
        return self._folder / f"{image.checksum}.{image.disk_format}"

    def _path(self, image: objects.Image | None) -> str | None:
        if image is None:
            return None
        path = self._target(image)
        with self._lock, self._keeping(image):
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store.fetch(image, path)
        return str(path)

    @contextlib.contextmanager
    def _keeping(self, image: objects.Image) -> Generator[None]:
        """Turn an OSError into NoDiskSpace or HypervisorError."""
        try:
            yield
        except OSError as error:
            kind = errors.NoDiskSpace if error.errno == errno.ENOSPC else errors.HypervisorError
            raise kind(
                f"{self._host} cannot keep image {image.name} in {self._folder}: "
                f"{error.strerror or error}"
            ) from error


def _move(path: pathlib.Path, target: pathlib.Path) -> None:
    """Give a file another name, on another file system too, whole or not at all."""
    try:
        path.chmod(READABLE)
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(path, target)
        path.unlink()


def _copy(path: pathlib.Path, target: pathlib.Path) -> None:
    fresh = target.with_suffix(".new")
    try:
        shutil.copyfile(path, fresh)
        fresh.chmod(READABLE)
        fresh.rename(target)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _images(instance: objects.Instance) -> dict[str, objects.Image | None]:
    """Give the server's images by what they are in local.Files."""
    return {"disk": instance.image, "kernel": instance.kernel, "ramdisk": instance.ramdisk}
