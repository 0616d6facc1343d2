"""What a run has shown, as tables for people."""

from deploy.lab import status
from deploy.scale import guests
from deploy.scale.run import Result
from deploy.scale.run import Span

Row = tuple[str, ...]

GOAL = 1.0  # messages per second and host
HEADS = ("PROCESS", "CPU AT REST", "CPU AT WORK", "MEMORY MiB")


def text(result: Result) -> str:
    """The whole report."""
    parts = [status.table(_facts(result)), status.table([HEADS, *_processes(result)])]
    failures = [*_failures("build", result.builds), *_failures("move", result.moves)]
    return "\n\n".join([*parts, *(["\n".join(failures)] if failures else [])])


def _facts(result: Result) -> list[Row]:
    rest = result.quiet
    kept = "none" if not result.down else f"{result.down} at once"
    rows: list[Row] = [
        ("hosts", f"{result.hosts} in {result.parts} process(es)"),
        ("until all had reported", f"{result.starting:.0f} s"),
        ("measured at rest", f"{rest.seconds:.0f} s, heartbeat {result.heartbeat} s"),
        (
            "messages to the broker",
            _messages(result),
        ),
        ("messages from the broker", f"{_rate(rest.delivered, rest)} in all"),
        ("connections, queues", f"{rest.connections}, {rest.queues}"),
        (
            "database",
            f"{_rate(rest.commits, rest)} transactions, {_rate(rest.rows, rest)} rows written",
        ),
        ("heartbeats", _heartbeats(result)),
        ("longest silence of a host", f"{result.silence:.1f} s at rest"),
        ("hosts that were down", f"{kept}, in {result.looks} looks, one a second"),
        ("memory of the fleet", f"{1024 * _fleet(rest) / result.hosts:.0f} KiB per host"),
    ]
    if result.builds:
        rows.append(("guests built", _took(result.builds)))
    if result.moves:
        rows.append(("guests moved", _took(result.moves)))
        rows.append(("longest silence, in all", f"{result.silence_all:.1f} s"))
    return rows


def _messages(result: Result) -> str:
    verdict = "reached" if result.messages < GOAL else "missed"
    each = f"{result.messages:.3f} a second and host (aim: below {GOAL:g}, {verdict})"
    return f"{_rate(result.quiet.received, result.quiet)} in all, {each}"


def _heartbeats(result: Result) -> str:
    each = f"{result.reports / result.hosts:.1f} of each host"
    lost = f"{result.missed} missed"
    if result.missed:
        lost = f"{lost}, by {result.missing} hosts"
    return f"{result.reports} heard, {each}; {lost}"


def _processes(result: Result) -> list[Row]:
    rest, busy = result.quiet, result.busy
    last = busy or rest
    rows = [
        (
            name,
            f"{rest.cpu[name]:.1f} %",
            f"{busy.cpu[name]:.1f} %" if busy else "-",
            f"{last.memory[name]:.0f}",
        )
        for name in sorted(rest.cpu)
    ]
    total = f"{sum(busy.cpu.values()):.1f} %" if busy else "-"
    whole = f"{sum(rest.cpu.values()):.1f} %"
    return [*rows, ("all", whole, total, f"{sum(last.memory.values()):.0f}")]


def _fleet(span: Span) -> float:
    return sum(size for name, size in span.memory.items() if name.startswith("fleet"))


def _rate(count: int, span: Span) -> str:
    return f"{count / span.seconds:.1f}/s"


def _took(took: guests.Took) -> str:
    done, failed = len(took.seconds), len(took.failures)
    return (
        f"{done} in {took.wall:.0f} s, {failed} failed; "
        f"one took {took.middle:.1f} s, 19 of 20 less than {took.slow:.1f} s"
    )


def _failures(what: str, took: guests.Took | None) -> list[str]:
    """The first reasons, for whoever wonders."""
    return [f"{what} failed: {reason}" for reason in (took.failures[:3] if took else [])]
