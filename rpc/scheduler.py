"""What the scheduler does for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc import interface

if TYPE_CHECKING:
    from common import objects
    from common.context import Context


class Scheduler(interface.Interface):
    """Chooses hosts, and claims what it chooses."""

    TOPIC = "scheduler"
    VERSION = "1.0"

    @interface.call(since="1.0", timeout=30)
    def select_destinations(self, context: Context, spec: objects.RequestSpec) -> objects.Selection:
        """Choose the best host and write its claim in one go.

        Raises NoValidHost whose facts["reasons"] are those of common.reasons.
        A repeat gives the host already claimed, if it will do for what is asked
        now; else what the consumer holds is exchanged for the new claim.
        """

    @interface.call(since="1.0", timeout=30)
    def explain(self, context: Context, spec: objects.RequestSpec) -> list[objects.CheckResult]:
        """Say what each filter makes of each host, or of the requested one; claims nothing.

        What the request ignores is left out, and a requested host that nobody
        knows fails by the name `known`.
        """

    @interface.call(since="1.0", timeout=30)
    def rank(self, context: Context, spec: objects.RequestSpec) -> list[objects.Rank]:
        """Give every host with its points, best first, then those refused; claims nothing."""
