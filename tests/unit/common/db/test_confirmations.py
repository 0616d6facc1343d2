import datetime

import pytest

from common.db import confirmations
from common.db import moves
from tests import factories

NOW = factories.NOW


def finished(tx, **values):
    """Write a resize that waits for its user."""
    return moves.create(
        tx, factories.migration(**{"type": "resize", "status": "finished", **values})
    )


@pytest.mark.parametrize(
    ("status", "seconds", "is_due"),
    [
        ("finished", -1, True),
        ("finished", 0, True),
        ("finished", 1, False),
        ("finished", None, False),
        ("confirming", -1, False),
    ],
)
def test_a_finished_move_confirms_itself_when_its_time_has_come(database, status, seconds, is_due):
    at = None if seconds is None else NOW + datetime.timedelta(seconds=seconds)
    with database.write() as tx:
        uuid = finished(tx, status=status, confirm_at=at).uuid

        assert ([uuid] if is_due else []) == [move.uuid for move in confirmations.due(tx, NOW)]


def test_only_servers_that_confirm_themselves_have_a_time(database):
    """Of those that are asked for."""
    with database.write() as tx:
        timed, other, free = (finished(tx, confirm_at=at) for at in (NOW, NOW, None))
        over = finished(tx, status="confirmed", confirm_at=NOW)
        asked = [move.instance_uuid for move in (timed, free, over)]

        assert {timed.instance_uuid: NOW} == confirmations.times(tx, asked)
        assert other.instance_uuid not in confirmations.times(tx, asked)
        assert {} == confirmations.times(tx, [])
