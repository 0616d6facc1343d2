"""The bus is measured with an interface of its own: that of a service grows."""

from tests.benchmarks import bus


def test_calls_are_timed(monkeypatch):
    """The first of them connects and does not count."""
    monkeypatch.setattr(bus, "CALLS", 3)

    found = bus.measure("in memory", "fake://")

    assert ("in memory", 3) == (found.name, len(found.values))
    assert all(value > 0 for value in found.values)
