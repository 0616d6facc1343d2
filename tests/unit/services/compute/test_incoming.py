"""A destination, and what may come to it in any order: prepare and undo."""

from typing import cast

import pytest

from common import clock
from common import errors
from common import objects
from common.config import load
from rpc import bus
from services.compute import cache
from services.compute import concurrency
from services.compute import incoming
from services.compute.deps import Deps
from services.compute.reporter import Reporter
from services.compute.virt.simulated import driver
from services.compute.virt.simulated import world
from tests import factories

SOON = 10


class Destination:
    """host2, and a server that is to come there."""

    def __init__(self, folder) -> None:
        conf = load.private({"host": "host2", "image.cache": str(folder)})
        self.world = world.World(clock.SystemClock())
        self.threads = concurrency.plain()
        nobody = cast("Reporter", None)
        deps = Deps(
            conf,
            driver.Driver(conf, self.world),
            cache.Cache(conf),
            self.threads,
            nobody,
            cast("bus.Bus", None),
            clock.SystemClock(),
        )
        self.incoming = incoming.Incoming(deps, patience=0.05)
        self.server = factories.instance()
        data = objects.LibvirtLiveMigrateData(migration_uuid="m", is_shared=False)
        self.migration = factories.migration(uuid="m", destination="host2", data=data)

    def prepare(self):
        return self.incoming.prepare(self.server, self.migration)

    def undo(self):
        self.incoming.undo(self.server, self.migration)

    @property
    def files(self):
        return self.world.host("host2").files


@pytest.fixture
def destination(tmp_path):
    return Destination(tmp_path)


def test_what_was_prepared_is_undone(destination):
    """And prepared twice makes no difference."""
    destination.prepare()
    made = destination.prepare()
    assert set(made.created) == destination.files

    destination.undo()
    destination.undo()

    assert set() == destination.files


def test_preparation_that_comes_after_its_undo_makes_nothing(destination):
    """The source had given up before its message was read here."""
    destination.undo()

    with pytest.raises(errors.WrongState, match="was undone on host2"):
        destination.prepare()

    assert set() == destination.files


def test_undo_waits_for_a_preparation_that_ends_soon(destination):
    """Nothing is left, in whatever order they end."""
    held = destination.world.hold("host2", "prepare")
    preparing = destination.threads.spawn(destination.prepare)
    assert held.begun.wait(SOON)
    destination.incoming._patience = SOON
    undoing = destination.threads.spawn(destination.undo)

    held.go.set()

    undoing.result()
    with pytest.raises(errors.WrongState, match="was undone"):
        preparing.result()
    assert set() == destination.files


def test_preparation_that_its_source_gave_up_removes_what_it_made(destination):
    """The undo is refused, so that it is asked for again; nothing depends on that."""
    held = destination.world.hold("host2", "prepare")
    preparing = destination.threads.spawn(destination.prepare)
    assert held.begun.wait(SOON)

    with pytest.raises(errors.NoAnswer, match="still preparing"):
        destination.undo()
    held.go.set()

    with pytest.raises(errors.WrongState, match="was undone"):
        preparing.result()
    assert set() == destination.files
    destination.undo()


def test_other_moves_do_not_wait(destination):
    """The turn is the move's, not the host's."""
    held = destination.world.hold("host2", "prepare")
    preparing = destination.threads.spawn(destination.prepare)
    assert held.begun.wait(SOON)
    other = factories.instance()
    data = objects.LibvirtLiveMigrateData(migration_uuid="n", is_shared=False)

    made = destination.incoming.prepare(other, factories.migration(uuid="n", data=data))

    assert [f"instances/{other.uuid}"] == made.created
    held.go.set()
    preparing.result()


def test_files_of_others_stay(destination):
    """Neither a refused preparation nor its undo touches them."""
    theirs = f"instances/{destination.server.uuid}"
    destination.files.add(theirs)

    with pytest.raises(errors.DiskExists):
        destination.prepare()
    destination.undo()

    assert {theirs} == destination.files
