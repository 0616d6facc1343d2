"""The conductor's RPC methods, each handed to the module that knows the noun."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from common import errors
from common import objects
from common.db import journal
from common.db import moves as rows
from common.db import servers as instances
from services.conductor import building
from services.conductor import catalog
from services.conductor import control
from services.conductor import dry_run
from services.conductor import grouping
from services.conductor import hearing
from services.conductor import launching
from services.conductor import moves
from services.conductor import ranking
from services.conductor import resolve
from services.conductor import servers
from services.conductor.cold import begin as cold
from services.conductor.cold import entering
from services.conductor.cold import relocating

if TYPE_CHECKING:
    from common.context import Context
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)


class Manager(grouping.Grouping, hearing.Hearing, launching.Launching, relocating.Relocating):
    """Answers every call of rpc.conductor.Conductor."""

    def __init__(self, deps: Deps) -> None:
        """Work with the parts that main has wired."""
        self._deps = deps
        self._news: dict[str, float] = {}
        # Servers that wait here for a host, by their generation.
        self._placing: dict[str, int] = {}

    def renew(self) -> None:
        """Go on owning the moves and builds in work here; they may wait in a long line.

        Each in a transaction of its own: the queue locks several moves in its
        own order. One that was aborted is noticed by its next check.
        """
        database, lease = self._deps.database, moves.lease(self._deps)
        for move in self._deps.checking.moves():
            with contextlib.suppress(errors.StaleWrite), database.write() as tx:
                rows.renew(tx, move, self._deps.owner, lease)
        for server, generation in self._placing.copy().items():
            with contextlib.suppress(errors.StaleWrite), database.write() as tx:
                instances.change(tx, server, expect={"generation": generation})

    def create_server(self, context: Context, request: objects.NewServer) -> objects.Instance:
        """Write the server and look for its host in the background."""
        instance = building.create(self._deps, context, request)
        self._seek(context, instance)
        return instance

    def operate(self, context: Context, server: str, operation: str) -> None:
        """Begin an operation on a server; a cold move ends before its server is deleted."""
        if operation == "delete" and cold.delete(self._deps, context, server):
            return
        servers.operate(self._deps, context, server, operation)

    def operation_ended(  # noqa: PLR0913 - declared so
        self,
        context: Context,
        server: str,
        host: str,
        operation: str,
        *,
        generation: int,
        error_code: str | None,
        error_message: str | None,
        power_state: int,
    ) -> None:
        """Take a host's report of an operation."""
        error = errors.rebuild(error_code, error_message or "", {}) if error_code else None
        LOG.debug("server %s: %s reports that %s ended", server, host, operation)
        if operation == servers.BUILD and error is not None:
            again = building.again(self._deps, context, server, generation, error)
            if again is not None:
                self._seek(context, again)
                return
        servers.ended(self._deps, context, server, host, operation, generation, error, power_state)

    def check_migrate(
        self,
        context: Context,
        server: str,
        host: str | None,
        *,
        block_migration: bool | None,
        disk_over_commit: bool,
        zone: str | None = None,
        policy: dict[str, str] | None = None,
    ) -> list[objects.CheckResult]:
        """Check a live migration without beginning it."""
        return dry_run.table(
            self._deps,
            context,
            server,
            host,
            block_migration=block_migration,
            disk_over_commit=disk_over_commit,
            zone=zone,
            policy=policy or {},
        )

    def rank_new(self, context: Context, request: objects.NewServer) -> list[objects.Rank]:
        """Rank the hosts for a new server."""
        return ranking.new(self._deps, context, request)

    def rank_move(
        self,
        context: Context,
        server: str,
        host: str | None,
        *,
        block_migration: bool | None,
        disk_over_commit: bool,
        zone: str | None,
    ) -> list[objects.Rank]:
        """Rank the hosts for a live migration."""
        return ranking.move(
            self._deps,
            context,
            server,
            host,
            block_migration=block_migration,
            disk_over_commit=disk_over_commit,
            zone=zone,
        )

    def abort_migration(self, context: Context, server: str, migration: str) -> None:
        """Cancel or stop a migration."""
        control.abort(self._deps, context, server, migration)
        self._pump()

    def force_complete(self, context: Context, server: str, migration: str) -> None:
        """Make a live migration end."""
        control.force(self._deps, context, server, migration)

    def change_move(
        self, context: Context, server: str, migration: str, changes: dict[str, str]
    ) -> objects.Migration:
        """Change the policy of a live migration."""
        return control.change(self._deps, context, server, migration, changes)

    def resolve_move(self, context: Context, server: str, migration: str) -> objects.Resolution:
        """Settle a live migration that ended in error."""
        return resolve.resolve(self._deps, context, server, migration)

    def set_limits(self, context: Context, limits: dict[str, int]) -> dict[str, int]:
        """Change limits of moves at once; more room starts who waits for it."""
        del context
        after = control.set_limits(self._deps, limits)
        self._pump()
        entering.begin_copies(self._deps)
        return after

    def move_progress(
        self,
        context: Context,
        host: str,
        progress: list[objects.MigrationProgress],
        notes: list[objects.MigrationStep],
        reports: list[objects.MoveReport],
    ) -> None:
        """Write the progress of a host's moves; its owner's lease is renewed by it."""
        del context
        with self._deps.database.write() as tx:
            for told in reports:
                moves.catch_up(self._deps, tx, told)
            for step in notes:
                journal.step(tx, step)
            for one in progress:
                if not rows.progress(tx, one):
                    continue
                # Who took it over owns it; the others of this message are told all the same.
                with contextlib.suppress(errors.StaleWrite):
                    rows.renew(tx, one.migration_uuid, host, moves.lease(self._deps))

    def update_server(self, context: Context, server: str, changes: dict[str, str]) -> None:
        """Change a name or description."""
        del context
        catalog.update_server(self._deps, server, changes)

    def replace_metadata(
        self, context: Context, server: str, metadata: dict[str, str]
    ) -> dict[str, str]:
        """Replace a server's metadata."""
        del context
        return catalog.replace_metadata(self._deps, server, metadata)

    def create_flavor(self, context: Context, flavor: objects.Flavor) -> objects.Flavor:
        """Write a flavor."""
        del context
        return catalog.create_flavor(self._deps, flavor)

    def delete_flavor(self, context: Context, flavor: str) -> None:
        """Remove a flavor."""
        del context
        catalog.delete_flavor(self._deps, flavor)

    def update_extra_specs(
        self, context: Context, flavor: str, specs: dict[str, str], remove: list[str]
    ) -> dict[str, str]:
        """Set and remove a flavor's extra specs."""
        del context
        return catalog.update_extra_specs(self._deps, flavor, specs, remove)

    def create_network(self, context: Context, network: objects.Network) -> objects.Network:
        """Write a network."""
        del context
        return catalog.create_network(self._deps, network)

    def delete_network(self, context: Context, network: str) -> None:
        """Remove a network."""
        del context
        catalog.delete_network(self._deps, network)

    def update_service(
        self,
        context: Context,
        service: str,
        *,
        disabled: bool | None,
        reason: str | None,
        forced_down: bool | None,
    ) -> objects.Service:
        """Enable, disable or force down a service."""
        del context
        return catalog.update_service(
            self._deps, service, disabled=disabled, reason=reason, forced_down=forced_down
        )

    def _seek(self, context: Context, instance: objects.Instance) -> None:
        """Look for a host in the background."""
        self._placing[instance.uuid] = instance.generation
        self._deps.pool.submit(self._place, context, instance)

    def _place(self, context: Context, instance: objects.Instance) -> None:
        try:
            building.place(self._deps, context, instance)
        finally:
            # By now it may be sought for again: one host has refused already.
            if self._placing.get(instance.uuid) == instance.generation:
                del self._placing[instance.uuid]
