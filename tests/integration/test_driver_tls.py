"""Encrypted moves on real QEMU: memory and disks, and certificates that are wrong."""

from collections.abc import Iterator

import pytest

from common import objects
from common import states
from deploy.lab import certificates
from deploy.lab import plan as plans
from deploy.lab import probe
from deploy.lab import registry
from services.compute.virt import local
from tests import factories
from tests.integration import driver_host
from tests.integration import driver_moves
from tests.integration import labs

pytestmark = pytest.mark.lab

ADDRESS = "198.18.14.131"
PATIENCE = 40
ELSEWHERE = "198.18.14.99"
POLICY = factories.policy(tls=True)


@pytest.fixture(scope="module")
def lab() -> Iterator[labs.Lab]:
    """Run two bare hosts with certificates."""
    with labs.running(labs.Lab("pctls", "198.18.14.0/24"), "--bare", "--tls") as started:
        yield started


@pytest.fixture(scope="module")
def plan(lab) -> plans.Plan:
    """The lab's plan: where its files are."""
    return registry.find(lab.name)


@pytest.fixture(scope="module")
def host1(lab, tmp_path_factory) -> Iterator[driver_host.Remote]:
    """The first host's driver."""
    with driver_host.running(lab, "host1", tmp_path_factory.mktemp("host1")) as remote:
        yield remote


@pytest.fixture(scope="module")
def host2(lab, tmp_path_factory) -> Iterator[driver_host.Remote]:
    """The second host's driver."""
    with driver_host.running(lab, "host2", tmp_path_factory.mktemp("host2")) as remote:
        yield remote


@pytest.fixture(scope="module")
def files() -> local.Files:
    """The lab's guest."""
    return driver_moves.guest_files()


@pytest.fixture
def awake(host1, host2, files) -> Iterator[objects.Instance]:
    """Give a server whose guest answers; it is destroyed in the end."""
    made = driver_moves.server(ADDRESS)
    host1.build(made, files)
    probe.alive(ADDRESS, PATIENCE)
    yield made
    for host in (host1, host2):
        host.destroy(made)


def test_memory_and_disks_go_encrypted(host1, host2, awake, files):
    """The guest arrives; both hosts say that they can, and the policy is kept as it is."""
    probe.ask(ADDRESS, "write 4", PATIENCE)
    move = driver_moves.Move(host1, host2, awake, files, POLICY)
    agreed = host1.terms(awake, move.data, POLICY)

    end = move.begin().finish()

    assert end.gone, end.reason
    assert (POLICY, (), "") == agreed
    assert "tls" in host1.capacity().facts.features
    probe.alive(ADDRESS, PATIENCE)


def test_wrong_certificate_stops_the_move(lab, plan, host1, host2, awake, files):
    """A destination that shows another host's certificate gets nothing; without TLS it would."""
    certificates.issue(plan.root / "tls", plan.host("host2"), ELSEWHERE)
    try:
        refused = driver_moves.Move(host1, host2, awake, files, POLICY).begin()
        end = refused.finish()
        plain = driver_moves.Move(host1, host2, awake, files).begin().finish()
    finally:
        certificates.issue(plan.root / "tls", plan.host("host2"), plan.host("host2").address)

    assert (False, False, False) == (end.gone, end.broken, end.cancelled)
    assert "certificate" in end.reason.lower()
    assert plain.gone, plain.reason
    assert states.Power.RUNNING == host2.guest(awake.uuid).power
    assert [] == driver_moves.left(lab, host1)


def test_policy_is_refused_without_certificates(lab, plan, host1, host2, awake, files):
    """A host whose certificates are gone says so, and the guest does not move in the clear."""
    key = plan.host("host2").folder / certificates.OWN / "server-key.pem"
    kept = key.read_bytes()
    key.unlink()
    look_anew(lab, "host2")
    try:
        move = driver_moves.Move(host1, host2, awake, files, POLICY)
        end = move.begin().finish()
    finally:
        key.write_bytes(kept)
        look_anew(lab, "host2")

    assert not end.gone
    assert "TLS" in end.reason
    assert states.Power.RUNNING == host1.guest(awake.uuid).power
    assert [] == driver_moves.left(lab, host2)


def look_anew(lab: labs.Lab, host: str) -> None:
    """Start a host's libvirtd again: what the host can do is looked at once for each."""
    lab.run("kill", host, "libvirtd")
    lab.run("start", host, "libvirtd")
