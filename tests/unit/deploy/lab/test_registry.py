"""Labs know of each other: names, ports, damaged files."""

import contextlib
import socket

import pytest

from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.lab import registry


@pytest.fixture(autouse=True)
def labs(monkeypatch, tmp_path):
    """Have a machine without labs."""
    monkeypatch.setattr(plans, "ROOT", tmp_path)
    return tmp_path


def make(name="lab"):
    return plans.Plan(name, "198.51.100.0/24", 2, plans.Ports(0, 0, 0, 0), "secret")


def test_reserved_plan_is_recalled():
    plan = registry.reserve(make())

    assert plan == registry.recall("lab")


def test_two_labs_share_no_port():
    first, second = registry.reserve(make()), registry.reserve(make("other"))

    assert not set(vars(first.ports).values()) & set(vars(second.ports).values())


def test_port_in_use_is_passed_over():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]

        assert port < registry.free(port, set())


def test_unknown_lab_names_the_known():
    registry.reserve(make())

    with pytest.raises(errors.Unknown, match="labs: lab"):
        registry.find("other")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "lab"}'])
def test_half_written_plan_is_no_plan(labs, text):
    """A start that died while it wrote is cleaned by name alone."""
    (labs / "lab").mkdir()
    (labs / "lab" / "lab.json").write_text(text)

    assert registry.recall("lab") is None
    assert [] == registry.known()


def test_lab_is_changed_by_one_command_at_a_time():
    with (
        registry.locked("lab"),
        pytest.raises(errors.Busy, match="by another command"),
        registry.locked("lab"),
    ):
        pass


def test_lab_that_never_started_is_not_healthy():
    assert not registry.healthy(make())


def test_a_lab_that_is_not_there_says_what_to_type():
    """The command is the one that the checkout has; none is installed."""
    with pytest.raises(errors.Unknown, match="start one: deploy/lab/lab up"):
        registry.find("none")
