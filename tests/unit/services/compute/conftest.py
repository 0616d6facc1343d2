"""A source with a simulated hypervisor, and a destination and a conductor of paper."""

import datetime
from typing import cast

import pytest

from common import clock
from common import context
from common import errors
from common import objects
from common import states
from common.config import load
from rpc import bus
from rpc import conductor
from services.compute import cache
from services.compute import concurrency
from services.compute import live_migration
from services.compute.deps import Deps
from services.compute.reporter import Reporter
from services.compute.virt import local
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world as worlds
from tests import factories
from tests import waiting

FILES = local.Files(None, None, None)


class Conductor:
    """Keeps the move's row as the real one does: status by compare-and-swap."""

    def __init__(self, migration) -> None:
        self.row = migration
        self.reports: list[objects.MoveReport] = []
        self.calls: list[list[objects.MoveReport]] = []

    def move_report(self, context, report, earlier=()):
        self.calls.append([*earlier, report])
        for one in earlier:
            if self.row.status in one.expected:
                self.reports.append(one)
                self.row = self.row.replace(status=one.status)
        self.reports.append(report)
        if self.row.status == report.status:
            return self.row
        if self.row.status not in report.expected:
            raise errors.StaleWrite(f"it is {self.row.status}")
        self.row = self.row.replace(status=report.status)
        return self.row


class Peer:
    """The destination's compute, straight on its driver."""

    def __init__(self, made: driver.Driver) -> None:
        self.driver = made
        self.calls: list[str] = []

    def pre_live_migration(self, context, instance, migration):
        self.calls.append("prepare")
        return self.driver.prepare(instance, migration.data, FILES)

    def post_live_migration_at_destination(self, context, instance, migration):
        self.calls.append("finish")
        power = self.driver.finish(instance, migration.data)
        measured = self.driver.measured(instance.uuid)
        return objects.Arrival(power_state=int(power), **measured._asdict())

    def rollback_live_migration_at_destination(self, context, instance, migration):
        self.calls.append("undo")
        self.driver.undo(instance, migration.data)


class Bus:
    """Leads to the one peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def client(self, kind, server):
        assert "host2" == server
        return self.peer


class Stage:
    """A guest on host1 that is to go to host2, and who is asked about it."""

    def __init__(self, tmp_path, memory_mb=64, threads=None, kind=driver.Driver, **policy) -> None:
        self.world = worlds.World(clock.SystemClock())
        conf = {
            host: load.private(
                {
                    "host": host,
                    "simulated.rate": 2000.0,
                    "image.cache": str(tmp_path),
                }
            )
            for host in ("host1", "host2")
        }
        self.drivers = drivers = {host: kind(conf[host], self.world) for host in conf}
        self.server = factories.instance(flavor=factories.flavor(memory_mb=memory_mb))
        drivers["host1"].build(self.server, FILES)
        data = objects.LibvirtLiveMigrateData(
            migration_uuid="m", destination_address="host2", is_shared=False, block_migration=True
        )
        self.migration = factories.migration(
            uuid="m",
            status=states.Move.PREPARING,
            destination="host2",
            data=data,
            policy=factories.policy(**policy),
        )
        self.conductor = Conductor(self.migration)
        self.peer = Peer(drivers["host2"])
        self.reporter = Reporter("host1", cast("conductor.Conductor", self.conductor))
        self.outgoing = live_migration.Outgoing(
            Deps(
                conf["host1"],
                drivers["host1"],
                cache.Cache(conf["host1"]),
                threads or concurrency.plain(),
                self.reporter,
                cast("bus.Bus", Bus(self.peer)),
                clock.SystemClock(),
            )
        )

    def leased(self, seconds):
        """Give the move with a lease that lasts so long yet."""
        until = clock.SystemClock().now() + datetime.timedelta(seconds=seconds)
        return self.migration.replace(lease_until=until)

    def start(self):
        self.outgoing.start(context.admin(), self.server, self.migration)

    def copies(self):
        """Tell whether the source has seen how far the move is."""
        return self.reporter.arrived("m") is not None

    def over(self):
        """Wait until the source has forgotten the move."""

        def gone():
            try:
                self.outgoing.find("m")
            except errors.WrongState:
                return True
            return False

        waiting.until(lambda: self.conductor.row.status in states.TERMINAL, "the move ended")
        waiting.until(gone, "the source is done with it")
        return self.conductor.row.status


@pytest.fixture
def make(tmp_path):
    return lambda **values: Stage(tmp_path, **values)
