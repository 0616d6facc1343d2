"""The services of a lab: how each is configured, started, and known to be ready."""

import configparser
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

from deploy.lab import api
from deploy.lab import broker
from deploy.lab import errors
from deploy.lab import hypervisor
from deploy.lab import processes
from deploy.lab import waiting
from deploy.lab.plan import INSTANCES
from deploy.lab.plan import Plan

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = {
    "conductor": "whimbrel-conductor",
    "scheduler": "whimbrel-scheduler",
    "api": "whimbrel-api",
    "compute": "whimbrel-compute",
}
MANAGE = "whimbrel-manage"
WITH_DATABASE = ("conductor", "scheduler", "api")
READY = 60.0


def program(name: str) -> str:
    """A program of Whimbrel: from WHIMBREL_BIN, or else the repository's .venv, or Missing."""
    folder = Path(os.environ.get("WHIMBREL_BIN", REPOSITORY / ".venv" / "bin"))
    path = folder / name
    if not path.exists():
        raise errors.Missing(f"there is no {path}", "run `make setup`, or set WHIMBREL_BIN")
    return str(path)


def options(plan: Plan, host: str, service: str) -> dict[str, dict[str, str]]:
    """The settings of one service by section; only what touches the database knows where it is."""
    sections = {
        "DEFAULT": {"host": host, "transport_url": plan.transport_url, "debug": "true"},
        "image": {"store": str(plan.root / "images")},
        "service": {"heartbeat": "2", "down_after": "10"},
    }
    if service in WITH_DATABASE:
        sections["database"] = {"connection": plan.database_url}
    if service == "api":
        sections["api"] = {
            "listen": "127.0.0.1",
            "port": str(plan.ports.api),
            "auth": "noauth",
        }
    if service == "compute":
        sections["compute"] = {
            "driver": "libvirt",
            "instances_path": INSTANCES,
            # Below libvirt's patience here, keepalive_* in hypervisor.py.
            "migration_link_timeout": "5",
        }
        sections["libvirt"] = {
            "uri": "qemu:///system",
            "migration_address": plan.host(host).address,
            "virt_type": plan.virt_type,
            "trust_shared_probe": str(plan.shared).lower(),
        }
    # The conductor makes the policies, and the hosts carry them out.
    sections["libvirt"] = sections.get("libvirt", {}) | {
        "live_migration_scheme": plan.scheme,
        "live_migration_with_native_tls": str(plan.tls).lower(),
    }
    return sections | override(sections, plan.settings)


def override(
    sections: dict[str, dict[str, str]], settings: tuple[str, ...]
) -> dict[str, dict[str, str]]:
    """The sections that `section.key=value` settings change or add."""
    changed: dict[str, dict[str, str]] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        section, _, option = key.partition(".")
        known = changed.get(section, sections.get(section, {}))
        changed[section] = {**known, option: value}
    return changed


def check_setting(setting: str) -> str:
    """The setting itself, or Unknown unless it reads section.key=value."""
    key, equals, _ = setting.partition("=")
    section, dot, option = key.partition(".")
    if not (equals and dot and section and option):
        raise errors.Unknown(f"{setting!r} is no setting", "write section.key=value")
    return setting


def render(sections: dict[str, dict[str, str]]) -> str:
    """The settings as an INI file."""
    parser = configparser.RawConfigParser()
    for section, values in sections.items():
        parser[section] = values
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def config_path(plan: Plan, host: str, service: str) -> Path:
    """Where a service's configuration is."""
    return plan.root / "config" / f"{host}-{service}.conf"


def write_configs(plan: Plan) -> None:
    """Write the configuration of every service of the lab."""
    (plan.root / "config").mkdir(exist_ok=True)
    (plan.root / "db").mkdir(exist_ok=True)
    (plan.root / "images").mkdir(exist_ok=True)
    for host, service in plan.everything():
        if service in PROGRAMS:
            path = config_path(plan, host, service)
            path.touch(mode=0o600)
            path.write_text(render(options(plan, host, service)))


def command(plan: Plan, host: str, service: str) -> list[str]:
    """The command line of a service, entering its host's namespaces where it has some."""
    if service == "rabbitmq":
        return broker.command()
    if service == "libvirtd":
        return hypervisor.command(plan.host(host))
    config = str(config_path(plan, host, service))
    argv = [program(PROGRAMS[service]), "--config-file", config]
    return hypervisor.enter(plan.host(host), *argv) if service == "compute" else argv


def start(plan: Plan, host: str, service: str) -> processes.Record:
    """Start a service that does not run; Unknown if it does not belong there."""
    plan.check_service(host, service)
    environ = broker.environ(plan) if service == "rabbitmq" else dict(os.environ)
    return processes.start(plan.root, host, service, command(plan, host, service), environ)


def shown(service: str) -> str:
    """How much `wait_ready` has shown of a service."""
    return "has started" if service in PROGRAMS and service != "api" else "is ready"


def readiness(plan: Plan, host: str, service: str) -> Callable[[], bool]:
    """The test that tells that a service does its work; being alive is all some can show."""
    tests: dict[str, Callable[[], bool]] = {
        "rabbitmq": lambda: broker.answers(plan),
        "libvirtd": lambda: hypervisor.answers(plan.host(host)),
        "api": lambda: api.answers(plan.endpoint),
    }
    return tests.get(service, lambda: True)


def wait_ready(
    plan: Plan, host: str, service: str, called_off: threading.Event | None = None
) -> None:
    """Return once a service is ready; ProgramFailed with its last words if it dies first."""
    ready = readiness(plan, host, service)

    def done() -> bool:
        check_alive(plan, host, service)
        return ready()

    what = f"{service} on {host} (see {processes.log(plan.root, host, service)})"
    waiting.until(done, READY, what, called_off)


def check_alive(plan: Plan, host: str, service: str) -> None:
    """Raise ProgramFailed, with the end of its log, if a service has died."""
    if processes.state(processes.recall(plan.root, host, service)) != "dead":
        return
    path = processes.log(plan.root, host, service)
    words = "\n  ".join(path.read_text(errors="replace").splitlines()[-8:])
    raise errors.ProgramFailed(f"{service} on {host} ended; the end of {path}:\n  {words}")
