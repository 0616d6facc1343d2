"""What is generated of the replays: golden decision logs, and the tables of doc/convergence.md."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

from common import migration_policy
from common import policy_fields
from tests.replay import prediction
from tests.replay import trace

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = pathlib.Path(__file__).parent / "golden"
PAGE = ROOT / "doc" / "convergence.md"


def log(name: str) -> str:
    """Give the decisions of every policy on one trace, one a line, with their inputs."""
    recorded = trace.load(name)
    lines = [f"# {recorded.says}"]
    for policy, make in prediction.deciders().items():
        outcome = prediction.replay(recorded, make(recorded))
        lines += ["", f"{policy}: {outcome}"]
        for at, decision in outcome.taken:
            value = "" if decision.value is None else f" {decision.value}"
            inputs = json.dumps(decision.inputs)
            lines.append(f"{at:10.3f} {decision.action}{value}: {decision.reason} {inputs}")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """Give the page with its tables made anew, between their marks."""
    for name, table in (("presets", presets()), ("replays", replays()), ("fields", fields())):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        head, _, rest = text.partition(begin)
        text = head + begin + table + end + rest.partition(end)[2]
    return text


def presets() -> str:
    """Give the table of presets: a row per field that differs, a column per preset."""
    names = list(migration_policy.PRESETS)
    made = [
        migration_policy.resolve(migration_policy.Defaults(), {}, {"policy": name})
        for name in names
    ]
    rows = [("", *names), ("---",) * (len(names) + 1)]
    for field in policy_fields.FIELDS:
        values = [policy_fields.write(getattr(policy, field)) for policy in made]
        rows.append((f"`{field}`", *(value.replace(",", ", ") for value in values)))
    return _table(rows)


def fields() -> str:
    """Give the table of fields: what may be written, and the option of the same meaning."""
    rows = [("field", "allowed", "option in `[libvirt]`"), ("---",) * 3]
    options = {
        **migration_policy.OPTIONS,
        "auto_converge": "live_migration_permit_auto_converge",
        "tls": "live_migration_with_native_tls",
    }
    for field, kind in policy_fields.FIELDS.items():
        option = f"`{options[field]}`" if field in options else ""
        rows.append((f"`{field}`", kind.allowed, option))
    return _table(rows)


def replays() -> str:
    """Give the table of predictions: a row per policy, a column per trace."""
    traces = [trace.load(name) for name in trace.names()]
    rows = [("", *(each.name for each in traces)), ("---",) * (len(traces) + 1)]
    for policy, make in prediction.deciders().items():
        rows.append((policy, *(str(prediction.replay(each, make(each))) for each in traces)))
    return _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
