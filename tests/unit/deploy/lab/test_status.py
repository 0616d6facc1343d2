"""Tables line up, and variables survive a shell."""

import shlex

from deploy.lab import plan as plans
from deploy.lab import status

PORTS = plans.Ports(5680, 25680, 4380, 8774)
PLAN = plans.Plan("lab", "198.51.100.0/24", 2, PORTS, "secret")


def test_columns_line_up():
    assert "HOST   PID\nhost1  7" == status.table([("HOST", "PID"), ("host1", "7")])


def test_exports_are_what_the_variables_say():
    words = [word for word in shlex.split(status.exports(PLAN)) if word != "export"]

    assert status.variables(PLAN) == dict(word.split("=", 1) for word in words)


def test_variables_have_the_promised_names():
    expected = {
        "WHIMBREL_ENDPOINT": "http://127.0.0.1:8774",
        "WHIMBREL_LAB_HOSTS": "host1 host2",
        "WHIMBREL_LAB_URI_HOST1": "qemu+tcp://198.51.100.11/system",
        "WHIMBREL_LAB_URI_HOST2": "qemu+tcp://198.51.100.12/system",
        "WHIMBREL_LAB_IMAGE": "guest",
        "WHIMBREL_LAB_NETWORK": "tenant",
        "WHIMBREL_LAB_DIR": "/var/lib/whimbrel-lab/lab",
    }

    assert expected == status.variables(PLAN)
