"""The page of measured numbers."""

import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import document
from tests.benchmarks import figures

PAGE = """Before
<!-- bench a -->
old
<!-- /bench -->
between
<!-- bench b -->
kept
<!-- /bench -->
"""


def test_only_its_own_part_is_replaced():
    """What stands between the marks of one part goes; everything else stays."""
    found = document.replaced(PAGE, "a", "new\n")

    assert PAGE.replace("old", "new") == found


def test_part_without_marks_is_refused():
    """A part that the page does not have is named."""
    with pytest.raises(ValueError, match="bench c"):
        document.replaced(PAGE, "c", "new\n")


@pytest.mark.parametrize("part", benchmarks.BENCHMARKS)
def test_page_has_every_part(part):
    """Each benchmark has its place on the page."""
    assert f"\n<!-- bench {part} -->\n" in document.PAGE.read_text()


def test_tables_say_where_they_come_from():
    """The machine stands above the tables, and a row has the median."""
    one = figures.Figure("moved", "s", [1.0, 3.0, 2.0])
    found = document.rendered({"Some": [one]}, "2 cores, TCG")

    assert " on 2 cores, TCG.\n" in found
    assert "| moved | 2.00 | 1.00 | 3.00 | 3 | s |\n" in found
