"""The lab's RabbitMQ: Debian's server run directly, its node, ports and data its own."""

import os
import socket
from pathlib import Path

from deploy.lab.plan import Plan

SBIN = Path("/usr/lib/rabbitmq/bin")
LOOPBACK = "127.0.0.1"
# Busy waiting speeds a broker up that has its cores for itself; here it has not.
ERLANG = "-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"

CONFIG = """\
{listeners}
default_user = whimbrel
default_pass = {password}
loopback_users.guest = true
disk_free_limit.absolute = 1MB
log.console = true
log.console.level = info
log.file = false
"""


def folder(plan: Plan) -> Path:
    """Everything of the broker on disk."""
    return plan.root / "rabbitmq"


def config(plan: Plan) -> str:
    """rabbitmq.conf: the lab's user exists from the first start on."""
    addresses = dict.fromkeys((plan.controller_address, LOOPBACK))
    listeners = "\n".join(
        f"listeners.tcp.{number} = {address}:{plan.ports.amqp}"
        for number, address in enumerate(addresses, 1)
    )
    return CONFIG.format(listeners=listeners, password=plan.password)


def prepare(plan: Plan) -> None:
    """Write the broker's configuration, plugins (none) and cookie."""
    home = folder(plan) / "home"
    home.mkdir(parents=True, exist_ok=True)
    (folder(plan) / "rabbitmq.conf").write_text(config(plan))
    (folder(plan) / "enabled_plugins").write_text("[].\n")
    cookie = home / ".erlang.cookie"
    if not cookie.exists():
        cookie.touch(mode=0o600)
        cookie.write_text(plan.password)
        cookie.chmod(0o400)


def environ(plan: Plan) -> dict[str, str]:
    """The environment of the server and of rabbitmqctl: the node's name, ports and folders."""
    own = folder(plan)
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": str(own / "home"),
        "ERL_EPMD_PORT": str(plan.ports.epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": node(plan),
        "RABBITMQ_DIST_PORT": str(plan.ports.dist),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(own / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(own / "data"),
        "RABBITMQ_LOG_BASE": str(own / "log"),
        # With this the script becomes the server instead of watching over it.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
    }


def node(plan: Plan) -> str:
    """The Erlang node's name."""
    return f"{plan.name}@localhost"


def command() -> list[str]:
    """The command line of the server."""
    return [str(SBIN / "rabbitmq-server")]


def control(plan: Plan) -> str:
    """How a person runs rabbitmqctl against this broker."""
    words = {
        "HOME": str(folder(plan) / "home"),
        "ERL_EPMD_PORT": str(plan.ports.epmd),
    }
    setting = " ".join(f"{key}={value}" for key, value in words.items())
    return f"{setting} {SBIN / 'rabbitmqctl'} -n {node(plan)}"


def answers(plan: Plan) -> bool:
    """Whether the broker takes connections where the hosts reach it."""
    try:
        with socket.create_connection((plan.controller_address, plan.ports.amqp), timeout=1):
            return True
    except OSError:
        return False
