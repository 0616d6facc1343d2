"""Checked copies of images on this host, named by checksum: the base files of disks."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from common import images
from services.compute import native
from services.compute.virt import driver

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

    def files(self, instance: objects.Instance) -> driver.Files:
        """Give local copies of all images of the server, fetching what is not here.

        Raises BadImage when the store's bytes are not those of the checksum.
        """
        return driver.Files(
            disk=self._path(instance.image),
            kernel=self._path(instance.kernel),
            ramdisk=self._path(instance.ramdisk),
        )

    def _path(self, image: objects.Image | None) -> str | None:
        if image is None:
            return None
        path = self._folder / f"{image.checksum}.{image.disk_format}"
        with self._lock:
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store.fetch(image, path)
        return str(path)
