"""Migration policies: what a request says of one, and the presets as they are here."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from common import migration_policy
from common import policy_fields
from services.api.views import migrations as views

if TYPE_CHECKING:
    from services.api.calls import Call
    from services.api.route import JSON


def strings(wanted: dict[str, Any]) -> dict[str, str]:
    """Give the fields of a policy as the conductor takes them."""
    return {name: policy_fields.write(value) for name, value in wanted.items()}


def list_policies(call: Call) -> JSON:
    """Give the presets as this configuration makes them; a flavor may say otherwise."""
    site = migration_policy.defaults(call.parts.conf)
    return {
        "policies": [
            views.record(migration_policy.resolve(site, {}, {migration_policy.PRESET: name}))
            for name in migration_policy.PRESETS
        ],
        "default": site.preset,
        "changeable": sorted(migration_policy.CHANGEABLE),
    }
