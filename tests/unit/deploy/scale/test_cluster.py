import os
import subprocess
import sys

import pytest

from deploy.lab import broker
from deploy.lab import errors
from deploy.lab import plan as plans
from deploy.scale import cluster
from deploy.scale import run
from deploy.scale import watch


@pytest.fixture
def plan():
    return cluster.Local("scale", "127.0.0.0/8", 0, plans.Ports(5680, 1, 2, 3), "secret")


def test_broker_listens_on_the_loopback_once(plan):
    """A lab's broker has an address for its hosts beside it; here both are one."""
    lines = [line for line in broker.config(plan).splitlines() if line.startswith("listeners")]

    assert ["listeners.tcp.1 = 127.0.0.1:5680"] == lines


def test_each_process_of_a_fleet_has_its_part(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "ROOT", tmp_path)
    plan.root.mkdir()
    wish = cluster.Wish(run.THOUSAND, 500, parts=2)

    options = [cluster.fleet_options(plan, wish, part) for part in (1, 2)]

    assert ["1", "2"] == [each["fleet"]["part"] for each in options]
    assert ["fleet1", "fleet2"] == [each["DEFAULT"]["host"] for each in options]
    assert all(each["fleet"]["hosts"] == "500" for each in options)


def test_use_counts_what_a_process_started():
    """A shell's child that burnt processor time and has ended counts by its parent."""
    burn = f"{sys.executable} -c 'sum(range(3_000_000))'; echo done; read line"
    with subprocess.Popen(
        ["bash", "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        found = watch.use(shell.pid)

    assert found.cpu > 0
    assert found.memory > 0


def test_family_holds_the_process_itself():
    assert os.getpid() == watch.family(os.getpid())[0]


@pytest.mark.parametrize(
    "order", [{"parts": 0}, {"schedulers": 0}, {"seconds": 0.0}, {"moves": -1}]
)
def test_order_that_cannot_be_run_is_refused(order):
    with pytest.raises(errors.Unknown, match="at least one process"):
        run.check(run.Order(**order))
