"""Where hosts and records disagree: what each host reports of its guests, against the servers.

A host's report counts as of its last heartbeat, for a change would have come
with one. A server or guest that something was done to since, or shortly
before, is left out: the report may be older.
"""

from __future__ import annotations

import datetime
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

import sqlalchemy as sa

from common import states
from common.db import claims
from common.db import hosts
from common.db import needs
from common.db import pools
from common.db import tables

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Iterable
    from collections.abc import Iterator

    from common import objects
    from common.db.engine import Tx

COUNT = "count"
UNCLAIMED = "unclaimed"
AMOUNT = "amount"
SIZE = "size"
POWER = "power"
MISSING = "missing"
UNKNOWN = "unknown"
TWICE = "twice"
ELSEWHERE = "elsewhere"
OVER_PROMISED = "over-promised"
POOL = "pool"

# Heartbeats around a change within which a host's report may be older than the change.
SETTLED = 2
# States in which a server's guest is on its host, running or not.
LIVING = needs.STANDING
# What is not being done any more, or not yet again: nobody changes the guest.
SETTLED_MOVES = states.TERMINAL | {states.Move.FINISHED}
# What a server is when its host says so of its guest.
OBSERVED = {
    states.Power.RUNNING: states.Vm.ACTIVE,
    states.Power.PAUSED: states.Vm.PAUSED,
    states.Power.SHUTDOWN: states.Vm.STOPPED,
    states.Power.CRASHED: states.Vm.STOPPED,
}

_I = tables.INVENTORY.c
_A = tables.ALLOCATIONS.c
_M = tables.MIGRATIONS.c
_N = tables.COMPUTE_NODES.c
_S = tables.SERVICES.c
_V = tables.SERVERS.c


# A flavor's size as a host reports it of a guest.
REPORTED = {
    claims.VCPU: "vcpus",
    claims.MEMORY_MB: "memory_mb",
    claims.DISK_GB: "disk_gb",
}


class Finding(NamedTuple):
    """A disagreement about one subject on one host, in a sentence."""

    kind: str
    host: str
    subject: str
    sentence: str
    server: dict[str, Any] | None = None  # the row, where there is one
    power: int | None = None  # what the host reports


class Report(NamedTuple):
    """What a host that is up has told of its guests, and until when that holds."""

    host: str
    until: datetime.datetime
    guests: dict[str, objects.HostGuest]


def all(  # noqa: A001 - qualified where used
    tx: Tx, now: datetime.datetime, down_after: float, settled: float, names: Collection[str]
) -> list[Finding]:
    """Give all that an audit of these hosts would find; arguments are those of look()."""
    lacking = [needed(need) for need in needs.find(tx, names)]
    return [*lacking, *miscounted(tx, names), *look(tx, now, down_after, settled, names)]


def needed(need: needs.Need) -> Finding:
    """Say what is not held as it should be."""
    if need.held:
        kind, held = AMOUNT, claims.words(need.held)
    else:
        kind, held = UNCLAIMED, "no room"
    words = f"{need.host} held {held} for {need.who}, which needs {claims.words(need.amounts)}"
    return Finding(kind, need.host, need.consumer, words)


def look(
    tx: Tx,
    now: datetime.datetime,
    down_after: float,
    settled: float,
    names: Collection[str] | None = None,
) -> list[Finding]:
    """Give what these hosts, or all, have otherwise than the records; down hosts have no say.

    What changed within `settled` seconds of a host's last heartbeat is left out.
    """
    found: list[Finding] = []
    for some in hosts.chunks(tx, names):
        reports = list(_reports(tx, now, down_after, settled, some))
        servers = _servers(tx, reports)
        moving = _moving(tx, servers)
        for report in reports:
            found += _guests(tx, report, servers, moving)
            found += _absent(report, servers.values(), moving)
        found += [*over_promised(tx, some), *overdrawn(tx, some)]
    return found


def observed(vm_state: str, power: states.Power) -> str:
    """Give the state of a server whose guest is seen so; a resize waits for a person all along."""
    return vm_state if vm_state == states.Vm.RESIZED else OBSERVED[power]


def over_promised(tx: Tx, names: Collection[str]) -> list[Finding]:
    """Give the hosts that have promised more than they have."""
    query = sa.select(_I.host, _I["class"], *claims.AMOUNT).where(_I.host.in_(sorted(names)))
    amounts: dict[str, dict[str, claims.Amount]] = {}
    for host, kind, *numbers in tx.tuples(query):
        amounts.setdefault(host, {})[kind] = claims.Amount(*numbers)
    found = ((host, claims.promised_too_much(each)) for host, each in sorted(amounts.items()))
    return [
        Finding(OVER_PROMISED, host, "", f"{host} is {claims.too_much(over)}")
        for host, over in found
        if over
    ]


def overdrawn(tx: Tx, names: Collection[str]) -> list[Finding]:
    """Give the hosts that together have promised more disk than the one place has that they share.

    Each promises by itself what it has there.
    """
    return [
        Finding(
            POOL,
            host,
            pool.storage,
            f"{', '.join(pool.hosts)} keep their disks in one place and have promised "
            f"{pool.used} GiB of it together; it has {pool.capacity}",
        )
        for pool in pools.of(tx, names)
        if pool.over > 0
        for host in pool.hosts
        if host in names
    ]


def miscounted(tx: Tx, names: Collection[str] | None = None) -> list[Finding]:
    """Give the sums beside the inventory that are not those of the claims."""
    total = sa.func.coalesce(
        sa.select(sa.func.sum(_A.amount))
        .where(_A.host == _I.host, _A["class"] == _I["class"])
        .scalar_subquery(),
        0,
    )
    query = sa.select(_I.host, _I["class"], _I.used, total).where(_I.used != total)
    if names is not None:
        query = query.where(_I.host.in_(sorted(names)))
    return [
        Finding(COUNT, host, "", f"{host} counts {used} {kind} as claimed, its claims are {right}")
        for host, kind, used, right in tx.tuples(query)
    ]


def recount(tx: Tx, host: str) -> list[Finding]:
    """Make the sums beside the host's inventory those of its claims; gives what was wrong."""
    claims.lock(tx, [host])
    wrong = miscounted(tx, [host])
    if wrong:
        sums = claims.usage(tx, host).get(host, {})
        for kind in hosts.FIELDS:
            here = (_I.host == host, _I["class"] == kind)
            tx.run(sa.update(tables.INVENTORY).where(*here).values(used=sums.get(kind, 0)))
    return wrong


def _reports(
    tx: Tx, now: datetime.datetime, down_after: float, settled: float, names: list[str]
) -> Iterator[Report]:
    mine = sa.and_(_S.host == _N.host, _S.binary == hosts.BINARY)
    query = (
        sa.select(_N.host, _N.usage, _S.last_seen, _S.forced_down)
        .join(tables.SERVICES, mine)
        .where(_N.host.in_(names), _N.usage.is_not(None), _S.last_seen.is_not(None))
        .order_by(_N.host)
    )
    for host, usage, seen, forced in tx.tuples(query):
        if forced or (now - seen).total_seconds() > down_after:
            continue
        guests = {guest.uuid: guest for guest in usage.guests}
        yield Report(host, seen - datetime.timedelta(seconds=settled), guests)


def _servers(tx: Tx, reports: list[Report]) -> dict[str, dict[str, Any]]:
    """Give the rows of every server on these hosts, and of every guest that they report."""
    columns = sa.select(
        _V.uuid, _V.name, _V.host, _V.vm_state, _V.task_state, _V.power_state, _V.generation,
        _V.updated_at, _V.launched_at, sa.cast(_V.flavor, sa.Text).label("flavor"),
    )  # fmt: skip
    here = [report.host for report in reports]
    on = columns.where(_V.host.in_(here), _V.vm_state != states.Vm.DELETED)
    found = {row["uuid"]: row for row in tx.rows(on)}
    others = sorted({uuid for report in reports for uuid in report.guests} - found.keys())
    for start in range(0, len(others), hosts.AT_ONCE):
        some = columns.where(_V.uuid.in_(others[start : start + hosts.AT_ONCE]))
        found.update((row["uuid"], row) for row in tx.rows(some))
    return found


def _moving(tx: Tx, servers: dict[str, dict[str, Any]]) -> frozenset[str]:
    """Name the servers that have a move which goes on; one that waits for a person does not."""
    query = sa.select(_M.instance_uuid).where(_M.status.not_in(sorted(SETTLED_MOVES)))
    return frozenset(uuid for (uuid,) in tx.tuples(query)) & servers.keys()


def _quiet(report: Report, server: dict[str, Any], moving: frozenset[str]) -> bool:
    """Tell whether the host's report is younger than everything that was done to the server."""
    changed = server["updated_at"]
    idle = server["task_state"] is None and server["uuid"] not in moving
    return idle and (changed is None or changed < report.until)


def _guests(
    tx: Tx, report: Report, servers: dict[str, dict[str, Any]], moving: frozenset[str]
) -> Iterator[Finding]:
    sizes = needs.Sizes()
    for uuid, guest in sorted(report.guests.items()):
        server = servers.get(uuid)
        if server is None or server["vm_state"] == states.Vm.DELETED:
            if server is None or _quiet(report, server, moving):
                yield _stranger(report.host, guest, server)
        elif not _quiet(report, server, moving):
            continue
        elif server["host"] != report.host:
            yield _misplaced(tx, report.host, guest, server)
        else:
            yield from _power(report.host, guest, server)
            yield from _size(report.host, guest, server, sizes)


def _absent(
    report: Report, servers: Iterable[dict[str, Any]], moving: frozenset[str]
) -> Iterator[Finding]:
    for server in servers:
        lives = server["host"] == report.host and server["vm_state"] in LIVING
        if lives and server["uuid"] not in report.guests and _quiet(report, server, moving):
            said = f"{_called(server)} is {server['vm_state']} here by the records, but "
            words = f"{said}{report.host} has no such guest"
            yield Finding(MISSING, report.host, server["uuid"], words, server)


def _stranger(host: str, guest: objects.HostGuest, server: dict[str, Any] | None) -> Finding:
    records = "was deleted" if server is not None else "is in no record"
    takes = claims.words({kind: getattr(guest, name) for kind, name in REPORTED.items()})
    words = (
        f"{host} has guest {guest.uuid} ({_is(guest)}), which {records}; {takes} count as taken "
        "by it; Whimbrel leaves it"
    )
    return Finding(UNKNOWN, host, guest.uuid, words, server, guest.power_state)


def _misplaced(tx: Tx, host: str, guest: objects.HostGuest, server: dict[str, Any]) -> Finding:
    recorded = str(server["host"])
    there = _reported(tx, recorded).get(guest.uuid)
    kind, more = ELSEWHERE, f"{recorded}, where it is by the records, reports none"
    if there is not None:
        kind, more = TWICE, f"{recorded}, where it is by the records, has it too ({_is(there)})"
    words = f"{host} has the guest of {_called(server)} ({_is(guest)}); {more}"
    return Finding(kind, host, guest.uuid, words, server, guest.power_state)


def _power(host: str, guest: objects.HostGuest, server: dict[str, Any]) -> Iterator[Finding]:
    power = states.Power(guest.power_state)
    if power == states.Power.NOSTATE or server["vm_state"] not in LIVING:
        return
    if power == server["power_state"] and observed(server["vm_state"], power) == server["vm_state"]:
        return
    words = (
        f"{_called(server)} is {_is(guest)} on {host}; recorded was {server['vm_state']}, "
        f"power {states.Power(server['power_state']).name.lower()}"
    )
    yield Finding(POWER, host, guest.uuid, words, server, guest.power_state)


def _size(
    host: str, guest: objects.HostGuest, server: dict[str, Any], sizes: needs.Sizes
) -> Iterator[Finding]:
    """Compare the sizes that the host knows with what is promised for the server.

    A flavor without a root disk says nothing of the disk: the image decides.
    """
    promised, rooted = sizes[server["flavor"]]
    seen = {kind: int(getattr(guest, name)) for kind, name in REPORTED.items()}
    if not rooted:
        del seen[claims.DISK_GB]
    other = {kind: amount for kind, amount in seen.items() if amount and amount != promised[kind]}
    if server["vm_state"] not in LIVING or not other:
        return
    wanted = claims.words({kind: promised[kind] for kind in other})
    words = f"{_called(server)} has {claims.words(other)} on {host}, its flavor says {wanted}"
    yield Finding(SIZE, host, guest.uuid, words, server)


def _reported(tx: Tx, host: str) -> dict[str, objects.HostGuest]:
    row = tx.row(sa.select(_N.usage).where(_N.host == host))
    usage = row["usage"] if row is not None else None
    return {guest.uuid: guest for guest in usage.guests} if usage is not None else {}


def _called(server: dict[str, Any]) -> str:
    return f"server {server['uuid']} ({server['name']})"


def _is(guest: objects.HostGuest) -> str:
    return states.Power(guest.power_state).name.lower()
