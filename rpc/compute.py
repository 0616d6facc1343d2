"""What the compute of one host does for the conductor and for other computes.

What may take minutes is monitored: whoever asked hears within ALIVE seconds that
the host or its compute has died, and goes on with what it does then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc import interface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from common.context import Context

# Seconds without a sign of life after which a host that works on a long call is taken for dead.
ALIVE = 20
# Seconds for what reads a whole disk, however large: only the death of its host ends it.
DAY = 86_400


class Compute(interface.Interface):
    """Drives the hypervisor of its host; addressed by host name."""

    TOPIC = "compute"
    VERSION = "1.0"

    @interface.cast(since="1.0")
    def build_server(self, context: Context, instance: objects.Instance) -> None:
        """Make the server's disks and start it; ends in conductor.operation_ended("build").

        A guest that is there already is left as it is and reported.
        """

    @interface.cast(since="1.0")
    def operate(self, context: Context, instance: objects.Instance, operation: str) -> None:
        """Do one of states.OPERATIONS; ends in conductor.operation_ended.

        A guest that is already in the wanted state is reported as done.
        """

    @interface.call(since="1.0", timeout=60)
    def check_can_live_migrate_destination(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
    ) -> objects.LibvirtLiveMigrateData:
        """Check as the destination, changing nothing but the test file that it leaves."""

    @interface.call(since="1.0", timeout=60)
    def check_can_live_migrate_source(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy | None,
    ) -> objects.LibvirtLiveMigrateData:
        """Check as the source: is the test file seen here, and does everything fit together.

        A policy that must not be left, and cannot be had, is refused here, too.
        """

    @interface.call(since="1.0", timeout=20)
    def examine_live_migration_destination(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
    ) -> objects.CheckReport:
        """Give the answer of every check of the destination; only the test file is left.

        Like check_can_live_migrate_destination, which raises the first fail;
        the same cleanup belongs to it.
        """

    @interface.call(since="1.0", timeout=20)
    def examine_live_migration_source(
        self,
        context: Context,
        instance: objects.Instance,
        data: objects.LibvirtLiveMigrateData,
        policy: objects.MigrationPolicy,
    ) -> objects.CheckReport:
        """Give the answer of every check of the source, and what it says of the policy."""

    @interface.cast(since="1.0")
    def check_can_live_migrate_destination_cleanup(
        self, context: Context, data: objects.LibvirtLiveMigrateData
    ) -> None:
        """Remove the test file; one that stays because this was lost is removed at the start."""

    @interface.cast(since="1.0")
    def live_migration(
        self,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
        written: Sequence[objects.MigrationStep] = (),
    ) -> None:
        """Move the guest from here to migration.destination; its slot is held already.

        A repeat for a move that is already going on here changes nothing; it
        has what is `written` in the move's journal, for a process that takes
        the move up from one that has ended.
        """

    @interface.call(since="1.0", timeout=60)
    def survey_cold_move(
        self, context: Context, instance: objects.Instance, cold: objects.ColdMove
    ) -> objects.ColdMove:
        """Give what the source knows of its guest before a cold move: disks, machine, CPU."""

    @interface.cast(since="1.0")
    def cold_step(
        self,
        context: Context,
        instance: objects.Instance,
        migration: objects.Migration,
        step: str,
    ) -> None:
        """Do one step of a cold move; ends in conductor.step_ended.

        Steps are Nova's: prep_resize, resize_instance, finish_resize,
        confirm_resize, revert_resize, finish_revert_resize, and for a move
        that failed undo_resize at its destination and restore_instance at its
        source; settle_resize lets a destination forget how to undo a confirmed
        one. A step that is done already is reported again.
        """

    @interface.call(since="1.0", timeout=DAY, monitor=ALIVE)
    def landed(
        self, context: Context, instance: objects.Instance, cold: objects.ColdMove, name: str
    ) -> list[str]:
        """Give the XXH3-128, in hex, of each whole or last chunk of a copy as it landed here.

        Chunks are of driver.CHUNK bytes; a file that is not here has none.
        """

    @interface.call(since="1.0", timeout=DAY, monitor=ALIVE)
    def adopt_images(
        self, context: Context, instance: objects.Instance, cold: objects.ColdMove
    ) -> list[str]:
        """Take the images that have landed here for a cold move; gives those that have not.

        One that is here already, or was taken before, is fine; one that is not whole stays.
        """

    @interface.call(since="1.0", timeout=30)
    def abort_cold_move(self, context: Context, migration: str) -> None:
        """Stop the copy of this move; WrongState when there is nothing to stop here."""

    @interface.call(since="1.0", timeout=600, monitor=ALIVE)
    def pre_live_migration(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> objects.LibvirtLiveMigrateData:
        """Prepare the destination: base images, directory, target disks, bridges.

        What fails is undone before the error goes back, and what is undone
        meanwhile fails with WrongState. A repeat makes nothing twice.
        """

    @interface.call(since="1.0", timeout=120, monitor=ALIVE)
    def post_live_migration_at_destination(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> objects.Arrival:
        """See the guest run here, make its domain permanent; gives its power state.

        And the numbers of the job, for a source that could not see its end.
        """

    @interface.call(since="1.0", timeout=20)
    def rollback_live_migration_at_destination(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> None:
        """Remove what this attempt created here and nothing else; never a running guest.

        From then on a preparation of this move makes nothing, however late it
        comes. NoAnswer while one goes on: ask again.
        """

    @interface.call(since="1.0", timeout=60)
    def leave_live_migration_source(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> None:
        """Remove what a guest that was seen running elsewhere left here; never a running guest."""

    @interface.call(since="1.0", timeout=20)
    def observe_guest(self, context: Context, instance: objects.Instance) -> objects.GuestSeen:
        """Say what this host has of a guest; changes nothing, and a repeat is another look."""

    @interface.call(since="1.0", timeout=20)
    def let_go_live_migration(
        self, context: Context, instance: objects.Instance, migration: objects.Migration
    ) -> int:
        """End the dead streams over which the guest of this move waits here for memory.

        One over which anything goes is left alone, so a repeat does no harm;
        gives how many were ended.
        """

    @interface.call(since="1.0", timeout=30)
    def force_live_migration(self, context: Context, migration: str) -> None:
        """Make the hypervisor's job of this move end; WrongState when it does not run here."""

    @interface.call(since="1.0", timeout=30)
    def change_live_migration(
        self, context: Context, migration: str, policy: objects.MigrationPolicy
    ) -> None:
        """Steer the running job by another policy; WrongState when it does not run here."""

    @interface.call(since="1.0", timeout=30)
    def abort_live_migration(self, context: Context, migration: str) -> None:
        """Stop the hypervisor's job of this move; raises WrongState when none runs here."""
