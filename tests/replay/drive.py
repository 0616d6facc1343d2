"""Move a recorded scenario's guest for real, under a policy, and say what was decided and measured.

`python -m tests.replay.drive --lab NAME never-converging must-finish stall_window=10`, as root
and with a lab, shows how far the predictions of doc/convergence.md can be trusted. Connections,
compression, TLS, auto-converge and bandwidth of the policy are left aside: one connection, and
the scenario's bandwidth.
"""

from __future__ import annotations

import argparse
from typing import Any

import libvirt

from common import migration_policy
from common import objects
from deploy.lab import registry
from services.compute.convergence import engine
from services.compute.convergence.sample import Action
from services.compute.convergence.sample import Decision
from tests.replay import record
from tests.replay import trace


class Driver(record.Recorder):
    """Does what the engine decides about the job that it records."""

    def __init__(
        self, guest: record.Guest, scenario: record.Scenario, policy: objects.MigrationPolicy
    ) -> None:
        """Begin with the policy's first downtime."""
        self._engine = engine.Engine(policy, record.MEMORY * record.MIB)
        first = self._engine.begin()
        super().__init__(guest, scenario._replace(downtime=first.value or 0, seconds=0.0))
        self._say(0.0, first)
        self._switched = False
        if policy.post_copy != "never":
            self.extra = libvirt.VIR_MIGRATE_POSTCOPY

    def looked(self, moved: libvirt.virDomain, row: dict[str, Any]) -> None:
        """Take a look in, and do what follows."""
        seen = trace.sample(row)._replace(in_postcopy=self._switched)
        for decision in self._engine.observe(seen):
            self._say(seen.elapsed, decision)
            self._do(moved, decision)

    def found(self, host: str, domain: libvirt.virDomain) -> None:
        """Say where the guest is, and what libvirt measured."""
        running = domain.isActive() and domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        print(f"on {host}, {'running' if running else 'not running'}")  # noqa: T201 - people read it
        try:
            stats = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        except libvirt.libvirtError:  # gone already
            return
        print(f"{stats.get('time_elapsed')} ms, downtime {stats.get('downtime')} ms")  # noqa: T201 - as above

    def _do(self, moved: libvirt.virDomain, decision: Decision) -> None:
        if decision.action is Action.SET_DOWNTIME:
            moved.migrateSetMaxDowntime(decision.value, 0)
        elif decision.action is Action.POST_COPY:
            self._switched = True
            moved.migrateStartPostCopy(0)
        elif decision.action is Action.PAUSE:
            moved.suspend()
        else:
            moved.abortJob()

    def _say(self, at: float, decision: Decision) -> None:
        value = "" if decision.value is None else f" {decision.value}"
        print(f"{at:8.3f} {decision.action}{value}: {decision.reason}")  # noqa: T201 - people read it


def main() -> None:
    """Drive one move."""
    parser = argparse.ArgumentParser(description="Move a guest in a lab under a policy.")
    parser.add_argument("--lab", default="lab", help="a lab that is up (default: %(default)s)")
    parser.add_argument("scenario", choices=[each.name for each in record.SCENARIOS])
    parser.add_argument("preset", choices=list(migration_policy.PRESETS))
    parser.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help="of the policy")
    args = parser.parse_args()
    request = {"policy": args.preset, **dict(field.split("=", 1) for field in args.fields)}
    policy = migration_policy.resolve(migration_policy.Defaults(), {}, request)
    scenario = next(each for each in record.SCENARIOS if each.name == args.scenario)
    plan = registry.find(args.lab)
    record.listen()
    guest = record.Guest(plan, scenario)
    driver = Driver(guest, scenario, policy)
    ended = record.move(plan, scenario, guest, driver)
    print(f"{driver.rows[-1]['at']:8.3f} {ended}")  # noqa: T201 - people read it


if __name__ == "__main__":
    main()
