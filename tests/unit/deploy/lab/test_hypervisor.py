"""A host's configuration keeps it apart from its neighbours on the same machine."""

from typing import Any

from deploy.lab import hypervisor
from deploy.lab import plan as plans

PORTS = plans.Ports(5680, 25680, 4380, 8774)


def make(name: str = "lab", **others: Any) -> plans.Plan:
    return plans.Plan(name, "198.51.100.0/24", 2, PORTS, "secret", **others)


def test_every_host_of_every_lab_has_its_own_uuid():
    """libvirt refuses to migrate to a peer with its own UUID."""
    texts = [
        hypervisor.libvirtd_conf(plan, host).split("host_uuid = ")[1].splitlines()[0]
        for plan in (make(), make("other"))
        for host in plan.hosts
    ]

    assert 4 == len(set(texts))


def test_uuid_stays_over_restarts():
    first, second = make(), make()

    assert hypervisor.libvirtd_conf(first, first.hosts[0]) == hypervisor.libvirtd_conf(
        second, second.hosts[0]
    )


def test_hosts_file_names_everyone():
    lines = hypervisor.hosts_file(make()).splitlines()

    assert ["198.51.100.1 controller", "198.51.100.11 host1", "198.51.100.12 host2"] == lines[1:]


def test_shared_instances_cover_the_private_ones():
    """The shared folder is bound after the private one that holds its place."""
    plan = make(shared=True)

    binds = [
        line
        for line in hypervisor.enter_script(plan, plan.hosts[0]).splitlines()
        if line.startswith("bind ")
    ]

    assert binds[-1] == f"bind {plan.root}/shared/instances /var/lib/whimbrel/instances"
    assert binds[-2].endswith(" /var/lib/whimbrel")


def test_local_instances_are_private():
    plan = make()

    assert "shared" not in hypervisor.enter_script(plan, plan.hosts[0])


def test_enter_names_every_namespace():
    argv = hypervisor.enter(make().hosts[0], "id")

    assert argv == [
        "nsenter",
        "--net=/run/netns/lab-host1",
        "--mount=/var/lib/whimbrel-lab/lab/ns/host1.mount",
        "--uts=/var/lib/whimbrel-lab/lab/ns/host1.uts",
        "--",
        "id",
    ]


def test_hosts_with_certificates_listen_for_tls():
    """Their libvirt finds its own certificates where it looks for them."""
    plain, secret = make(), make(tls=True)

    assert "listen_tls = 0" in hypervisor.libvirtd_conf(plain, plain.hosts[0])
    assert "listen_tls = 1" in hypervisor.libvirtd_conf(secret, secret.hosts[0])
    assert "/etc/pki" not in hypervisor.enter_script(plain, plain.hosts[0])
    assert "/pki /etc/pki\n" in hypervisor.enter_script(secret, secret.hosts[0])
