"""A refusal of several hosts is read host by host."""

import pytest

from services.cli import api as apis

SENTENCE = "no valid host for server 1: a: Ram: 1 MiB free, 2 needed; b: Up: disabled: new; memory"
REASONS = {
    "b": [{"filter": "Up", "reason": "disabled: new; memory"}],
    "a": [{"filter": "Ram", "reason": "1 MiB free, 2 needed"}],
}
LINES = ["a: Ram: 1 MiB free, 2 needed", "b: Up: disabled: new; memory"]


@pytest.mark.parametrize(
    ("sentence", "reasons", "parted"),
    [
        (SENTENCE, REASONS, ("no valid host for server 1", LINES)),
        (
            "no valid host: a: Ram: 1 MiB free, 2 needed; and 1 more",
            REASONS,
            ("no valid host", LINES),
        ),
        ("nothing fits", REASONS, ("nothing fits", LINES)),
        (LINES[0], {"a": REASONS["a"]}, None),
        (LINES[0], REASONS, None),
        ("no such server", None, None),
        ("no such server", ["a", "b"], None),
    ],
    ids=["all named", "some named", "none named", "one", "no head", "no reasons", "no mapping"],
)
def test_hosts_are_parted_from_what_they_are_about(sentence, reasons, parted):
    """One line a host, by name; what has fewer than two hosts stays as it is."""
    assert (parted or (sentence, [])) == apis.by_host(sentence, reasons)


def test_each_host_has_its_line(api, whimbrel, server):
    """The sentence is first, with what to search the logs for."""
    api.answer("GET", "/servers/detail", {"servers": [server]})
    api.refuse("POST", f"/servers/{server['id']}/action", 400, SENTENCE, reasons=REASONS)

    typed = whimbrel("server", "live-migrate", "tern")

    assert 1 == typed.status
    assert typed.err.splitlines() == [
        "error: no valid host for server 1 (HTTP 400, req-1)",
        "  a: Ram: 1 MiB free, 2 needed",
        "  b: Up: disabled: new; memory",
    ]
