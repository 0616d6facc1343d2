"""A 202 says what it began: a client need not guess."""

import pytest

from common.db import claims
from common.db import moves


@pytest.mark.parametrize("version", ["2.34", "2.96"])
def test_a_live_migration_names_its_migration(api, version):
    """Location leads to the row of the move that this order began, and of no other."""
    api.host("host1")
    server = api.server()
    api.move(server, status="completed")
    with api.database.write() as tx:
        claims.claim(tx, "host1", server.uuid, claims.amounts(server.flavor))

    response = api.ask(
        "POST",
        f"/servers/{server.uuid}/action",
        {"os-migrateLive": {"host": None, "block_migration": "auto"}},
        version=version,
    )

    assert 202 == response.status_code
    assert b"" == response.data
    with api.database.read() as tx:
        newest = moves.find(tx, instance_uuid=server.uuid, limit=1)[0]
    assert f"http://localhost/v2.1/os-migrations/{newest.uuid}" == response.headers["Location"]


def test_other_actions_have_no_location(api):
    """What begins no migration points to none."""
    api.host("host1")
    server = api.server()

    response = api.ask("POST", f"/servers/{server.uuid}/action", {"os-stop": None})

    assert "Location" not in response.headers
