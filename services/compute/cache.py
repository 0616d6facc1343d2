"""Checked copies of images on this host, named by checksum: the base files of disks."""

from __future__ import annotations

import pathlib
import shutil
from typing import TYPE_CHECKING

from common import errors
from common import images
from services.compute import native
from services.compute.virt import local

if TYPE_CHECKING:
    from oslo_config.cfg import ConfigOpts

    from common import objects


class Cache:
    """The image cache of one host; its calls are made in native threads."""

    def __init__(self, conf: ConfigOpts) -> None:
        """Fetch from `[image] store` into `[image] cache`."""
        self._store = images.Store(conf.image.store)
        self._folder = pathlib.Path(conf.image.cache)
        self._lock = native.Lock()

    def files(self, instance: objects.Instance) -> local.Files:
        """Give local copies of all images of the server, fetching what is not here.

        Raises BadImage when the store's bytes are not those of the checksum.
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

    def adopt(self, instance: objects.Instance, name: str, path: pathlib.Path) -> None:
        """Take in an image that came from another host; BadImage unless it is that very image.

        A repeat, when the file is gone and the image here, is fine.
        """
        image = _images(instance)[name]
        if image is None:
            return
        target = self._target(image)
        with self._lock:
            if target.exists():
                return
            images.verify(image, path)
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = target.with_suffix(".new")
            shutil.copyfile(path, fresh)
            fresh.rename(target)

    def _target(self, image: objects.Image) -> pathlib.Path:
        return self._folder / f"{image.checksum}.{image.disk_format}"

    def _path(self, image: objects.Image | None) -> str | None:
        if image is None:
            return None
        path = self._target(image)
        with self._lock:
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store.fetch(image, path)
        return str(path)


def _images(instance: objects.Instance) -> dict[str, objects.Image | None]:
    """Give the server's images by what they are in local.Files."""
    return {"disk": instance.image, "kernel": instance.kernel, "ramdisk": instance.ramdisk}
