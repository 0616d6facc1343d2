"""Recorded moves, replayed: decisions are those of the golden logs, and the page has its tables."""

from __future__ import annotations

import pytest

from services.compute.convergence.sample import Action
from tests.replay import pages
from tests.replay import prediction
from tests.replay import trace

REWRITE = "python -m tests.replay --rewrite, then read the difference"


@pytest.mark.parametrize("name", trace.names())
def test_decisions_are_golden(name):
    """Every decision on a recorded move is the one that was read and committed."""
    golden = (pages.GOLDEN / f"{name}.log").read_text()

    assert golden == pages.log(name), REWRITE


def test_page_is_fresh():
    """The tables of doc/convergence.md are those that the code gives now."""
    written = pages.PAGE.read_text()

    assert pages.page(written) == written, "out of date: make docs"


def test_kinds_of_guests_are_all_recorded():
    assert {"idle", "busy-converging", "busy-oscillating", "never-converging", "two-disks"} == set(
        trace.names()
    )


@pytest.mark.parametrize("name", trace.names())
def test_trace_is_a_real_job(name):
    """Time and iterations of a recording only rise, and more than one iteration was seen."""
    samples = trace.load(name).samples

    assert samples == sorted(samples, key=lambda each: (each.elapsed, each.iteration))
    assert samples[-1].iteration > 1


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("gentle", Action.ABORT),
        ("balanced", Action.POST_COPY),
        ("must-finish", Action.POST_COPY),
        ("huge-vm", "switch"),
    ],
)
def test_never_converging_guest_ends_as_its_policy_says(policy, expected):
    """Only gentle gives up; the others arrive."""
    recorded = trace.load("never-converging")

    outcome = prediction.replay(recorded, prediction.deciders()[policy](recorded))

    assert expected == outcome.how


@pytest.mark.parametrize("policy", ["gentle", "balanced", "must-finish", "huge-vm"])
@pytest.mark.parametrize("name", ["idle", "busy-converging", "two-disks"])
def test_guest_that_converges_is_left_alone(name, policy):
    """Neither post-copy nor a pause nor an abort for a move that ends by itself."""
    recorded = trace.load(name)

    outcome = prediction.replay(recorded, prediction.deciders()[policy](recorded))

    assert "switch" == outcome.how
