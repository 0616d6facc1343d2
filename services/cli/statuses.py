"""What the statuses of a move tell."""

from __future__ import annotations

ENDED = frozenset({"completed", "confirmed", "reverted", "cancelled", "failed", "error"})
# The guest is at its destination, and all of it.
ARRIVED = frozenset({"completed", "finished", "confirming", "confirmed"})
