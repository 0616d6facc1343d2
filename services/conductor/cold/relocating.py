"""Cold migration and resize: the conductor's methods that begin, end and carry them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc import conductor
from services.conductor import ranking
from services.conductor.cold import advance
from services.conductor.cold import begin as cold
from services.conductor.cold import place

if TYPE_CHECKING:
    from common import objects
    from common.context import Context
    from services.conductor.deps import Deps


class Relocating(conductor.Conductor):
    """The part of the manager that moves servers which may be off."""

    _deps: Deps

    def migrate_server(  # noqa: PLR0913 - declared so
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
        """Begin a cold migration or resize; its host is looked for now, or in the background."""
        _instance, migration = cold.begin(
            self._deps,
            context,
            server,
            host,
            flavor,
            auto_confirm=auto_confirm,
            bandwidth=bandwidth,
            zone=zone,
        )
        begin = place.place if wait else place.later
        begin(self._deps, migration)
        return migration

    def rank_relocation(
        self,
        context: Context,
        server: str,
        host: str | None,
        flavor: str | None,
        *,
        zone: str | None,
    ) -> list[objects.Rank]:
        """Rank the hosts for a cold migration or resize."""
        return ranking.relocation(self._deps, context, server, host, flavor, zone)

    def confirm_resize(self, context: Context, server: str) -> None:
        """Begin to remove what was kept."""
        cold.confirm(self._deps, context, server)

    def revert_resize(self, context: Context, server: str) -> None:
        """Begin to bring the guest back."""
        cold.revert(self._deps, context, server)

    def step_ended(self, context: Context, report: objects.StepReport) -> None:
        """Take a host's report of a step of a cold move."""
        del context
        advance.report(self._deps, report)
