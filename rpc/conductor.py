"""What the conductor does for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc import interface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common import objects
    from common.context import Context

# Seconds without a sign of life after which a conductor that works on a long call is taken for
# dead: more than such a call waits for a worker.
ALIVE = 60


class Conductor(interface.Interface):
    """The only writer of server and migration state; it gives back what the scheduler claims."""

    TOPIC = "conductor"
    VERSION = "1.0"

    # ---- for the API ----

    @interface.call(since="1.0", timeout=30)
    def create_server(self, context: Context, request: objects.NewServer) -> objects.Instance:
        """Write the server as building and start looking for a host; returns at once."""

    @interface.call(since="1.0", timeout=30)
    def operate(self, context: Context, server: str, operation: str) -> None:
        """Begin one of states.OPERATIONS on the server, or raise WrongState."""

    @interface.call(since="1.0", timeout=30)
    def update_server(self, context: Context, server: str, changes: dict[str, str]) -> None:
        """Change the name or description of a server."""

    @interface.call(since="1.0", timeout=30)
    def replace_metadata(
        self, context: Context, server: str, metadata: dict[str, str]
    ) -> dict[str, str]:
        """Make this the server's whole metadata."""

    @interface.call(since="1.0", timeout=180, slow=True, monitor=ALIVE)
    def live_migrate(  # noqa: PLR0913 - all that a request says
        self,
        context: Context,
        server: str,
        host: str | None,
        *,
        block_migration: bool | None,
        disk_over_commit: bool,
        policy: dict[str, str],
        wait: bool,
        zone: str | None = None,
    ) -> objects.Migration:
        """Begin a live migration and give its row.

        A block_migration of None means auto; `policy` overrides fields of the
        migration policy, or names a preset. `zone` lets the server leave its
        availability zone: for the one named, or for "any". With `wait` the checks are made
        before the answer and their refusals are raised (NoValidHost,
        CheckFailed); without, they end up in the row.
        """

    @interface.call(since="1.0", timeout=180, monitor=ALIVE)
    def migrate_server(  # noqa: PLR0913 - one request
        self,
        context: Context,
        server: str,
        host: str | None,
        flavor: str | None,
        *,
        auto_confirm: bool,
        bandwidth: int,
        wait: bool,
        zone: str | None,
    ) -> objects.Migration:
        """Begin a cold migration, or a resize to the flavor of this id, and give its row.

        `bandwidth` caps the copy, in MiB per second, 0 for no limit; `zone` is
        a zone's name or `any` for a server that may leave its own. With
        `wait` a host is chosen before the answer and NoValidHost is raised;
        without, a refusal ends up in the row. WrongState, FlavorNotFound, and
        Invalid for a flavor with a smaller disk come at once in both.
        """

    @interface.call(since="1.0", timeout=60, slow=True)
    def confirm_resize(self, context: Context, server: str) -> None:
        """Begin to remove what was kept at the source, once its guest is seen elsewhere.

        WrongState unless resized, and while the destination does not have the
        guest as it is recorded; what is seen becomes the record.
        """

    @interface.call(since="1.0", timeout=60)
    def revert_resize(self, context: Context, server: str) -> None:
        """Begin to bring the guest back as it was; WrongState unless resized."""

    @interface.call(since="1.0", timeout=90, slow=True)
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
        """Give every answer to a live migration of the server, for one host or for all others.

        The policy is that of live_migrate; the answers say what of it the hosts
        cannot do. Nothing is moved, claimed or marked; a repeat is another look. A host
        that says nothing within [conductor] check_timeout fails by the name
        `answer`.
        """

    @interface.call(since="1.0", timeout=60)
    def rank_new(self, context: Context, request: objects.NewServer) -> list[objects.Rank]:
        """Rank every host for a server that is only thought of; nothing is written."""

    @interface.call(since="1.0", timeout=60)
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
        """Rank every host, or the named one, for a live migration; nothing is claimed."""

    @interface.call(since="1.0", timeout=60)
    def rank_relocation(
        self,
        context: Context,
        server: str,
        host: str | None,
        flavor: str | None,
        *,
        zone: str | None,
    ) -> list[objects.Rank]:
        """Rank every host, or the named one, for a cold migration; nothing is claimed.

        With the id of a flavor it is for a resize to that. What migrate_server
        refuses at once is refused here, too.
        """

    @interface.call(since="1.0", timeout=60, slow=True)
    def abort_migration(self, context: Context, server: str, migration: str) -> None:
        """Cancel a queued migration, live or cold, or stop a running one; else raise WrongState."""

    @interface.call(since="1.0", timeout=60, slow=True)
    def force_complete(self, context: Context, server: str, migration: str) -> None:
        """Make a running live migration end, by post-copy or a pause; else raise WrongState."""

    @interface.call(since="1.0", timeout=60, slow=True)
    def change_move(
        self, context: Context, server: str, migration: str, changes: dict[str, str]
    ) -> objects.Migration:
        """Change the policy of a live migration that has not ended, and give its row."""

    @interface.call(since="1.0", timeout=240, slow=True, monitor=ALIVE)
    def resolve_move(self, context: Context, server: str, migration: str) -> objects.Resolution:
        """Settle a live migration that ended in `error` by what both hosts have of the guest.

        One whose source was forced down and is silent for a lease ends in
        `error` by this. Raises Unresolved, with what was seen, when that does not
        decide; then nothing else is changed, and it can be asked again.
        WrongState when there is nothing to settle.
        """

    @interface.call(since="1.0", timeout=60)
    def audit(self, context: Context, host: str | None) -> list[objects.Finding]:
        """Compare one host or all with the records, put right what is ours, and give all found.

        No guest is touched; a repeat is another look. HostNotFound for a
        host that never reported.
        """

    @interface.call(since="1.0", timeout=30)
    def set_limits(self, context: Context, limits: dict[str, int]) -> dict[str, int]:
        """Change how many moves or copies leave and enter a host at once; gives every limit."""

    @interface.call(since="1.0", timeout=30)
    def create_flavor(self, context: Context, flavor: objects.Flavor) -> objects.Flavor:
        """Write a flavor, or raise Exists."""

    @interface.call(since="1.0", timeout=30)
    def delete_flavor(self, context: Context, flavor: str) -> None:
        """Remove a flavor; servers keep their copies."""

    @interface.call(since="1.0", timeout=30)
    def update_extra_specs(
        self, context: Context, flavor: str, specs: dict[str, str], remove: list[str]
    ) -> dict[str, str]:
        """Set and remove extra specs of a flavor and give all of them."""

    @interface.call(since="1.0", timeout=30)
    def create_network(self, context: Context, network: objects.Network) -> objects.Network:
        """Write a network, or raise Exists."""

    @interface.call(since="1.0", timeout=30)
    def delete_network(self, context: Context, network: str) -> None:
        """Remove a network that no server uses."""

    @interface.call(since="1.0", timeout=30)
    def update_service(
        self,
        context: Context,
        service: str,
        *,
        disabled: bool | None,
        reason: str | None,
        forced_down: bool | None,
    ) -> objects.Service:
        """Enable, disable or force down a service by its uuid; None leaves as it is."""

    @interface.call(since="1.0", timeout=30)
    def create_aggregate(self, context: Context, aggregate: objects.Aggregate) -> objects.Aggregate:
        """Write an aggregate without hosts, or raise Exists."""

    @interface.call(since="1.0", timeout=30)
    def update_aggregate(
        self, context: Context, aggregate: int, changes: dict[str, str | None]
    ) -> objects.Aggregate:
        """Change name or availability_zone of an aggregate, or raise ZoneConflict."""

    @interface.call(since="1.0", timeout=30)
    def describe_aggregate(
        self, context: Context, aggregate: int, metadata: dict[str, str | None]
    ) -> objects.Aggregate:
        """Set metadata of an aggregate; items that are None are taken out."""

    @interface.call(since="1.0", timeout=30)
    def delete_aggregate(self, context: Context, aggregate: int) -> None:
        """Remove an aggregate that has no host."""

    @interface.call(since="1.0", timeout=30)
    def add_aggregate_host(self, context: Context, aggregate: int, host: str) -> objects.Aggregate:
        """Put a host into an aggregate; raises Exists on a repeat, or ZoneConflict."""

    @interface.call(since="1.0", timeout=30)
    def remove_aggregate_host(
        self, context: Context, aggregate: int, host: str
    ) -> objects.Aggregate:
        """Take a host out of an aggregate, or raise ZoneConflict."""

    @interface.call(since="1.0", timeout=30)
    def create_server_group(
        self, context: Context, group: objects.ServerGroup
    ) -> objects.ServerGroup:
        """Write a server group without members."""

    @interface.call(since="1.0", timeout=30)
    def delete_server_group(self, context: Context, group: str) -> None:
        """Remove a server group; its members stay as they are."""

    # ---- for every service ----

    @interface.call(since="1.0", timeout=10)
    def report(
        self, context: Context, service: objects.Service, node: objects.ComputeNode | None
    ) -> dict[str, float]:
        """Take a service's heartbeat and, from compute, what its host has if that has changed.

        Gives compute the ratios that hold for its host, {"disk_allocation_ratio": 1.0}
        and so on: its aggregates', or else its own; a host that is not known has none.
        """

    # ---- for compute ----

    @interface.call(since="1.0", timeout=60)
    def operation_ended(  # noqa: PLR0913 - one report
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
        """Write how an operation, or "build", ended on the host; a repeat changes nothing."""

    @interface.call(since="1.0", timeout=60)
    def move_report(
        self,
        context: Context,
        report: objects.MoveReport,
        earlier: Sequence[objects.MoveReport] = (),
    ) -> objects.Migration:
        """Write a change of a move's status with its steps, and give the row as it is then.

        Before it come those that may not have been heard: one that the move is beyond is left out.
        Raises StaleWrite when the generation or status is not the expected
        one. A terminal status also settles server, allocations and queue; a
        repeat of the same report gives the same answer.
        """

    @interface.call(since="1.0", timeout=60)
    def step_ended(self, context: Context, report: objects.StepReport) -> None:
        """Take how a step of a cold move ended, and send what follows from it.

        A report of a step that is not the move's present one, or of an older
        generation, is late or repeated and changes nothing.
        """

    @interface.cast(since="1.0")
    def move_progress(
        self,
        context: Context,
        host: str,
        progress: list[objects.MigrationProgress],
        notes: list[objects.MigrationStep],
        reports: list[objects.MoveReport],
    ) -> None:
        """Write the progress of all running moves of a host, and what was decided and reported.

        The next message replaces the progress; a decision also comes with the
        move's next change of status, and so does a report that nobody waits for.
        """
