"""Compute's RPC methods, each handed to the module that knows the noun."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rpc import compute
from services.compute import copying
from services.compute import examination
from services.compute import incoming
from services.compute import live_migration
from services.compute import observation
from services.compute import resize
from services.compute import servers

if TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Sequence

    from common import objects
    from common.context import Context
    from services.compute.deps import Deps


class Manager(compute.Compute):
    """Answers every call of rpc.compute.Compute for one host."""

    def __init__(self, deps: Deps) -> None:
        """Work with the parts that main has wired."""
        self._deps = deps
        self._servers = servers.Servers(deps)
        self._incoming = incoming.Incoming(deps)
        self._outgoing = live_migration.Outgoing(deps)
        self._resizes = resize.Resizes(deps)

    def build_server(self, context: Context, instance: objects.Instance) -> None:
        """Build a server and report it."""
        self._servers.build(context, instance)

    def operate(self, context: Context, instance: objects.Instance, operation: str) -> None:
        """Do an operation and report it."""
        self._servers.operate(context, instance, operation)

    def check_can_live_migrate_destination(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
    ) -> objects.LibvirtLiveMigrateData:
        """Check as the destination."""
        del context
        return self._deps.threads.native(self._deps.driver.check_destination, instance, data)

    def check_can_live_migrate_source(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy | None,
    ) -> objects.LibvirtLiveMigrateData:
        """Check as the source."""
        del context
        return self._deps.threads.native(
            examination.check_source, self._deps.driver, instance, data, policy
        )

    def examine_live_migration_destination(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
    ) -> objects.CheckReport:
        """Give every answer as the destination."""
        del context
        return self._deps.threads.native(self._deps.driver.examine_destination, instance, data)

    def examine_live_migration_source(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> objects.CheckReport:
        """Give every answer as the source."""
        del context
        return self._deps.threads.native(
            examination.as_source, self._deps.driver, instance, data, policy
        )

    def check_can_live_migrate_destination_cleanup(
        self, context: Context, data: objects.LibvirtLiveMigrateData
    ) -> None:
        """Remove the test file."""
        del context
        self._deps.threads.native(self._deps.driver.clean_check, data)

    def survey_cold_move(
        self, context: Context, instance: objects.Instance, cold: objects.ColdMove
    ) -> objects.ColdMove:
        """Tell what the source knows of a guest before a cold move."""
        del context
        return self._deps.threads.native(self._deps.driver.survey, instance, cold)

    def cold_step(
        self,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
        step: str,
    ) -> None:
        """Begin a step of a cold move."""
        self._resizes.start(context, instance, migration, step)

    def landed(
        self, context: Context, instance: objects.Instance, cold: objects.ColdMove, name: str
    ) -> list[str]:
        """Tell what has come of a copy."""
        del context
        return self._deps.threads.native(self._deps.driver.landed, instance, cold, name)

    def adopt_images(
        self, context: Context, instance: objects.Instance, cold: objects.ColdMove
    ) -> list[str]:
        """Take images that a source has sent."""
        del context
        return self._deps.threads.native(copying.adopt, self._deps.cache, instance, cold)

    def abort_cold_move(self, context: Context, migration: str) -> None:
        """Stop the copy of a cold move."""
        del context
        self._resizes.abort(migration)

    def live_migration(
        self,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
        written: Sequence[objects.MigrationStep] = (),
    ) -> None:
        """Begin a move from here, or take it up."""
        self._outgoing.start(context, instance, migration, written)

    def pre_live_migration(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> objects.LibvirtLiveMigrateData:
        """Make ready for a guest."""
        del context
        with self._changing():
            return self._incoming.prepare(instance, migration)

    def post_live_migration_at_destination(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> objects.Arrival:
        """Take a guest over."""
        del context
        with self._changing():
            return self._incoming.finish(instance, migration)

    def rollback_live_migration_at_destination(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> None:
        """Undo what was made for a guest."""
        del context
        with self._changing():
            self._incoming.undo(instance, migration)

    def leave_live_migration_source(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> None:
        """Remove what a guest left here."""
        del context
        with self._changing():
            self._deps.threads.native(self._deps.driver.leave, instance, migration.data)

    def observe_guest(self, context: Context, instance: objects.Instance) -> objects.GuestSeen:
        """Say what this host has of a guest."""
        del context
        return observation.observe(self._deps, instance)

    def let_go_live_migration(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> int:
        """End dead streams of a guest that waits here."""
        del context
        return self._incoming.let_go(instance, migration)

    def abort_live_migration(self, context: Context, migration: str) -> None:
        """Stop a move from here."""
        del context
        self._outgoing.find(migration).abort("aborted by a user")

    def force_live_migration(self, context: Context, migration: str) -> None:
        """Make a move from here end."""
        del context
        self._outgoing.find(migration).force()

    def change_live_migration(
        self, context: Context, migration: str, policy: objects.MigrationPolicy
    ) -> None:
        """Steer a move from here by another policy."""
        del context
        self._outgoing.find(migration).change(policy)

    @contextlib.contextmanager
    def _changing(self) -> Generator[None]:
        """Have the host's numbers told when the block has changed them, however it ends."""
        try:
            yield
        finally:
            self._deps.reporter.host_changed.set()
