"""Moves of real guests by the driver alone, step by step as compute does them."""

from __future__ import annotations

import contextlib
import threading

from common import ids
from common import objects
from deploy.lab import plan
from deploy.lab import waiting
from deploy.lab.guest import build
from services.compute.virt import driver
from services.compute.virt import local
from services.compute.virt.libvirt import disks
from tests import factories
from tests.integration import driver_host
from tests.integration import labs

LOCAL = "/var/lib/whimbrel/instances"
PATIENCE = 40


class Move:
    """One live migration, step by step as compute does it."""

    def __init__(
        self,
        source: driver_host.Remote,
        destination: driver_host.Remote,
        server: objects.Instance,
        files: local.Files,
        policy: objects.MigrationPolicy | None = None,
        **wishes: object,
    ) -> None:
        """Check and prepare; nothing has moved yet."""
        self.policy = policy or factories.policy()
        self.source = source
        self.destination = destination
        self.server = server
        data = objects.LibvirtLiveMigrateData(migration_uuid=ids.new(), **wishes)
        data = destination.check_destination(server, data)
        try:
            data = source.check_source(server, data)
        finally:
            destination.clean_check(data)
        self.data = destination.prepare(server, data, files)
        self.progress: list[objects.MigrationProgress] = []
        self.end: driver.JobEnd | None = None
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> Move:
        """Start the job and see it run."""
        self._thread.start()
        waiting.until(self._moving, PATIENCE, "no progress")
        return self

    def finish(self) -> driver.JobEnd:
        """Wait for the job's end, and clean up after it on both sides."""
        end = self.wait()
        if end.gone:
            self.destination.finish(self.server, self.data)
            self.source.leave(self.server, self.data)
        elif not end.broken:
            self.destination.undo(self.server, self.data)
        return end

    def recover(self) -> driver.JobEnd:
        """Go on after it broke; clean up after it when it has ended well."""
        self._thread = threading.Thread(target=self._recover)
        self._thread.start()
        return self.finish()

    def wait(self) -> driver.JobEnd:
        """Wait for the job's end, asking how far it is."""
        while self._thread.is_alive():
            self._moving()
            self._thread.join(0.25)
        assert self.end is not None
        return self.end

    def _moving(self) -> bool:
        found = self.source.job(self.server.uuid)
        if found is not None:
            self.progress.append(found)
        return bool(self.progress) or not self._thread.is_alive()

    def _run(self) -> None:
        with contextlib.suppress(EOFError):  # of a driver that crashed
            self.end = self.source.migrate(self.server, self.data, self.policy)

    def _recover(self) -> None:
        self.end = self.source.recover(self.server, self.data, self.policy)


def left(lab: labs.Lab, host: driver_host.Remote) -> list[str]:
    """Give the names of what is in a host's instances folder, but for its own mark."""
    found = lab.inside(host.host, "ls", "-A", LOCAL).split()
    return [name for name in found if name != disks.MARK]


def server(address: str, **flavor: int) -> objects.Instance:
    """Describe a server of the lab's guest; its flavor is small unless told otherwise."""
    image = factories.image(disk_format="qcow2", properties={"os_command_line": build.COMMAND_LINE})
    port = objects.Port(
        id=ids.new(),
        network_id=ids.new(),
        network="tenant",
        bridge=plan.TENANT_BRIDGE,
        mac=plan.guest_mac(address),
        address=address,
    )
    return factories.instance(
        image=image,
        ports=[port],
        run_token=ids.new(),
        flavor=factories.flavor(**{"memory_mb": 128, "root_gb": 1, **flavor}),
    )


def guest_files() -> local.Files:
    """The lab's guest: the same paths on every host."""
    made = build.files()
    return local.Files(str(made.disk), str(made.kernel), str(made.initramfs))
