"""A cold move at its source: what is put aside, and what is forgotten by it."""

from common import ids
from services.compute.virt.libvirt import records
from services.compute.virt.libvirt.cold import departure
from services.compute.virt.libvirt.cold import places
from tests import factories

COLD = records.Role.COLD


def test_guest_put_aside_leaves_the_record_of_its_own_move(connection, here):
    """A resize that stays on its host has it there; those of earlier moves are forgotten."""
    server, move = factories.instance(), factories.cold_move()
    here.folder(server.uuid).mkdir()
    mine = records.Record(move.migration_uuid, server.uuid, [str(places.incoming(here, move))])
    earlier = records.Record(ids.new(), server.uuid, [str(here.folder(server.uuid))])
    for record in (mine, earlier):
        records.write(here.instances, COLD, record)

    departure.keep_aside(connection, here, server, move, 0)

    assert places.kept(here, move).exists()
    assert mine == records.read(here.instances, COLD, mine.migration)
    assert records.read(here.instances, COLD, earlier.migration) is None
