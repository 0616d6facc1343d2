"""What is read while a cluster runs: the broker's counters, processes, the silence of hosts."""

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.lab import broker
from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.lab import processes
from deploy.scale import beats
from deploy.scale import postgres

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")

# What the broker has counted since it started: messages that clients sent it, and messages
# that it sent to clients. rabbit_global_counters has them without any plugin.
COUNT = """
Sum = fun(Key) -> lists:sum([maps:get(Key, C, 0) || C <- maps:values(
    rabbit_global_counters:overview())]) end,
{Sum(messages_received_total), Sum(messages_delivered_total)
    + Sum(messages_delivered_consume_auto_ack_total)
    + Sum(messages_delivered_consume_manual_ack_total),
 length(rabbit_networking:connections()), length(rabbit_amqqueue:list_names())}.
"""

SILENCE = """
SELECT count(*),
       coalesce(max(extract(epoch FROM timezone('UTC', now()) - last_seen)), 0),
       count(*) FILTER (WHERE timezone('UTC', now()) - last_seen > %s * interval '1 second')
FROM services WHERE "binary" = 'nova-compute' AND last_seen IS NOT NULL
"""
REPORTS = """
SELECT host, report_count, extract(epoch FROM last_seen), extract(epoch FROM timezone('UTC', now()))
FROM services WHERE "binary" = 'nova-compute' AND last_seen IS NOT NULL
"""
WRITES = """
SELECT xact_commit, tup_inserted + tup_updated + tup_deleted
FROM pg_stat_database WHERE datname = 'postgres'
"""


@dataclass(frozen=True)
class Silence:
    """How long the most silent host has not reported."""

    hosts: int
    seconds: float
    down: int


@dataclass(frozen=True)
class Use:
    """What a process and those that it started have used so far, and hold now."""

    cpu: float  # seconds
    memory: int  # bytes, resident


@dataclass(frozen=True)
class Sight:
    """Everything that grows, at one moment."""

    at: float
    received: int  # messages that clients sent to the broker
    delivered: int
    connections: int
    queues: int
    commits: int
    rows: int
    uses: dict[str, Use]


def sight(plan: plans.Plan, database: postgres.Database, pids: dict[str, int]) -> Sight:
    """Look at everything."""
    received, delivered, connections, queues = counters(plan)
    row = database.execute(WRITES).fetchone()
    if row is None:
        raise errors.BadAnswer("PostgreSQL keeps no statistics of its database")
    commits, rows = (int(str(value)) for value in row)
    uses = {name: use(pid) for name, pid in pids.items()}
    return Sight(time.monotonic(), received, delivered, connections, queues, commits, rows, uses)


def counters(plan: plans.Plan) -> tuple[int, int, int, int]:
    """Messages received and delivered, connections and queues, as the broker counts them."""
    done = subprocess.run(
        [str(broker.SBIN / "rabbitmqctl"), "-q", "-n", broker.node(plan), "eval", COUNT],
        env=broker.environ(plan),
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"\{(\d+),(\d+),(\d+),(\d+)\}", done.stdout.replace("\n", ""))
    if found is None:
        said = (done.stderr or done.stdout).strip()[-400:]
        raise errors.ProgramFailed(f"rabbitmqctl eval: {said}")
    received, delivered, connections, queues = (int(word) for word in found.groups())
    return received, delivered, connections, queues


def silence(database: postgres.Database, down_after: float = 30.0) -> Silence:
    """Ask the table of services who has not reported for how long."""
    row = database.execute(SILENCE, (down_after,)).fetchone()
    if row is None:
        raise errors.BadAnswer("PostgreSQL did not count the services")
    hosts, seconds, down = row
    return Silence(int(str(hosts)), float(str(seconds)), int(str(down)))


def reports(database: postgres.Database) -> tuple[list[beats.Report], float]:
    """Ask the same table how often each host has reported; gives its time, too."""
    rows = database.execute(REPORTS).fetchall()
    found = [
        beats.Report(str(host), int(str(count)), float(str(at))) for host, count, at, _ in rows
    ]
    return found, max((float(str(now)) for *_rest, now in rows), default=0.0)


def use(pid: int) -> Use:
    """Sum a process and all its descendants up; those that have ended count by their parent."""
    cpu, memory = 0.0, 0
    for each in family(pid):
        words = processes.content(Path(f"/proc/{each}/stat")).rpartition(b")")[2].split()
        pages = processes.content(Path(f"/proc/{each}/statm")).split()
        if not words or not pages:
            continue
        cpu += sum(int(word) for word in words[11:15]) / TICKS
        memory += int(pages[1]) * PAGE - int(pages[2]) * PAGE * (each != pid)
    return Use(cpu, memory)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            words = processes.content(entry / "stat").rpartition(b")")[2].split()
            if words:
                parents.setdefault(int(words[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found
