"""What is generated is what the code says now."""

import pytest

from deploy import generated


@pytest.mark.parametrize("name", generated.FILES)
def test_file_is_fresh(root, name):
    """The file in the tree is the one that `make docs` would write."""
    written = (root / name).read_text()

    made = generated.FILES[name]()

    assert made == written, f"{name} is out of date: run make docs"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("Flavor 1.0 name: String", []),
        ("Flavor 1.0 name: String, ram: Integer", ["Flavor"]),
        ("Flavor 1.1 name: String, ram: Integer", []),
        ("Image 1.0 name: String", []),
    ],
    ids=["same", "changed under its version", "new version", "another object"],
)
def test_wire_change_needs_a_version(now, expected):
    """A fingerprint may change only together with its version."""
    before = "Flavor 1.0 name: String"

    found = generated.unversioned(before, now)

    assert expected == found
