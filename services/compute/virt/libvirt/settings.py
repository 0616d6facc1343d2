"""What the driver was told: its options, read once, and the disk ratio that holds by now."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from oslo_config import cfg

from common import errors
from common import ids
from services.compute.virt.libvirt import streams

PORTS = 1 << 16


class Settings(NamedTuple):
    """The options of this host's driver."""

    host: str
    uri: str
    address: str
    scheme: str
    instances: Path
    virt_type: str
    machine_type: str
    cpu_model: str
    trust_shared: bool
    reserved: int = 0  # bytes of disk kept for the host
    disk_ratio: float = 1.0  # disk promised per disk of the host, as the conductor counts
    ports: range = streams.MIGRATION  # of incoming guests
    cache: Path = Path()  # of images

    def folder(self, uuid: str) -> Path:
        """The directory of one server's disks, and nothing outside instances_path."""
        if not ids.is_uuid(uuid):
            raise errors.Invalid(f"{uuid!r} is no server id")
        return self.instances / uuid

    @property
    def peer_uri(self) -> str:
        """This host's libvirt as other hosts reach it."""
        return f"qemu+{self.scheme}://{self.address}/system"


def read(conf: cfg.ConfigOpts) -> Settings:
    """Take the driver's settings out of the configuration."""
    return Settings(
        host=conf.host,
        uri=conf.libvirt.uri,
        address=conf.libvirt.migration_address or conf.host,
        scheme=conf.libvirt.live_migration_scheme,
        instances=Path(conf.compute.instances_path),
        virt_type=conf.libvirt.virt_type,
        machine_type=conf.libvirt.machine_type,
        cpu_model=conf.libvirt.cpu_model,
        trust_shared=conf.libvirt.trust_shared_probe,
        reserved=conf.compute.reserved_host_disk_mb << 20,
        disk_ratio=conf.compute.disk_allocation_ratio,
        ports=_ports(conf.libvirt.migration_ports),
        cache=Path(conf.image.cache),
    )


def _ports(words: str) -> range:
    first, last = (int(word) for word in words.split("-"))
    if not 0 < first <= last < PORTS:
        raise errors.Invalid(
            f"[libvirt] migration_ports is {words}; it is FIRST-LAST, each from 1 to {PORTS - 1}"
        )
    return range(first, last + 1)
