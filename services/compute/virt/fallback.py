"""What is left out of a policy that two hosts cannot carry out together: one rule each, in order.

A rule looks at what the earlier ones left. Speed and convergence may be given
up, with a reason; secrecy may not, so that without TLS the move is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from services.compute.virt import driver

if TYPE_CHECKING:
    from common import objects

RECOVERY = "post-copy-recovery"
SIMPLE = frozenset({"none", "xbzrle"})


class Case(NamedTuple):
    """One move: its policy so far, what both hosts can, and whether the guest is paused."""

    policy: objects.MigrationPolicy
    both: frozenset[str]
    paused: bool

    @property
    def post_copy(self) -> bool:
        """Whether the move may switch to post-copy."""
        return bool(self.policy.post_copy != "never")

    @property
    def parallel(self) -> bool:
        """Whether memory goes over several connections."""
        return bool(self.policy.parallel_connections > 1)


class Rule(NamedTuple):
    """When it applies, what it changes in the policy, and the reason, as people read it."""

    applies: Callable[[Case], bool]
    change: Mapping[str, Any]
    reason: str


NO_POST_COPY = {"post_copy": "never"}
ONE_CONNECTION = {"parallel_connections": 1}
NO_COMPRESSION = {"compression": "none"}

RULES: tuple[Rule, ...] = (
    Rule(
        lambda case: case.post_copy and "post-copy" not in case.both,
        NO_POST_COPY,
        "no post-copy: libvirt, QEMU or their settings on one of the hosts do not allow it",
    ),
    Rule(
        lambda case: case.post_copy and RECOVERY not in case.both,
        NO_POST_COPY,
        "no post-copy: libvirt before 8.5 or QEMU before 3.0 on one of the hosts cannot go on with "
        "one whose link broke, and its guest would be lost",
    ),
    Rule(
        lambda case: case.post_copy and case.paused,
        NO_POST_COPY,
        "no post-copy: the guest is paused, and so its memory holds still anyway",
    ),
    Rule(
        lambda case: bool(case.policy.auto_converge) and "auto-converge" not in case.both,
        {"auto_converge": False},
        "no auto-converge: QEMU or libvirt on one of the hosts is too old",
    ),
    Rule(
        lambda case: case.parallel and "parallel" not in case.both,
        ONE_CONNECTION,
        "one connection: QEMU or libvirt on one of the hosts is too old for several",
    ),
    Rule(
        lambda case: case.parallel and case.post_copy and "parallel-post-copy" not in case.both,
        ONE_CONNECTION,
        "one connection: QEMU before 10.1 cannot switch to post-copy with several",
    ),
    Rule(
        lambda case: case.policy.compression != "none" and case.policy.compression not in case.both,
        NO_COMPRESSION,
        "no compression: QEMU or libvirt on one of the hosts does not know the method",
    ),
    Rule(
        lambda case: case.parallel and case.policy.compression == "xbzrle",
        NO_COMPRESSION,
        "no compression: xbzrle works over one connection only",
    ),
    Rule(
        lambda case: not case.parallel and case.policy.compression not in SIMPLE,
        NO_COMPRESSION,
        "no compression: zlib and zstd work over several connections only",
    ),
)

TOO_OLD = "QEMU or libvirt on one of the hosts is too old"
PLAIN = (
    "plain TCP must be asked for, on all hosts and on the controller: [libvirt] "
    "live_migration_scheme = tcp, live_migration_with_native_tls = false"
)


class Secrecy(NamedTuple):
    """What keeps two hosts from TLS but their versions, and what soon will."""

    fault: str = ""
    doubt: str = ""


READY = Secrecy()


def settle(
    policy: objects.MigrationPolicy,
    both: frozenset[str],
    *,
    paused: bool,
    secrecy: Secrecy = READY,
) -> driver.Terms:
    """Take out of the policy what the rules say, with the reasons."""
    notes: list[str] = []
    for rule in RULES:
        if rule.applies(Case(policy, both, paused)):
            policy = policy.replace(**rule.change)
            notes.append(rule.reason)
    recovers = RECOVERY in both
    if not policy.tls:
        return driver.Terms(policy, tuple(notes), recovers=recovers)
    fault = secrecy.fault if "tls" in both else TOO_OLD
    refusal = f"the policy wants TLS, and {fault}; {PLAIN}" if fault else ""
    return driver.Terms(policy, tuple(notes), refusal, secrecy.doubt, recovers)
