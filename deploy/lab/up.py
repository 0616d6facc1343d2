"""Bringing a lab up."""

import shutil
import time
from collections.abc import Callable
from concurrent import futures

from deploy.lab import api
from deploy.lab import broker
from deploy.lab import down
from deploy.lab import errors
from deploy.lab import hypervisor
from deploy.lab import links
from deploy.lab import programs
from deploy.lab import registry
from deploy.lab import services
from deploy.lab import waiting
from deploy.lab.guest import build
from deploy.lab.plan import CONTROLLER
from deploy.lab.plan import IMAGE
from deploy.lab.plan import NETWORK
from deploy.lab.plan import Plan
from deploy.lab.plan import TENANT_BRIDGE

Say = Callable[[str], None]

UP = 60.0


class Clock:
    """Says each step of a long operation with the seconds since its begin."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def say(self, words: str) -> None:
        """Print one step, at once."""
        print(f"{time.monotonic() - self.began:6.1f} s  {words}", flush=True)


def start(plan: Plan, say: Say) -> None:
    """Make the lab, or nothing: what fails, or is interrupted, is taken away again."""
    try:
        build_up(plan, say)
    except BaseException:
        say(f"not up; taking it away again, the logs stay in {plan.root / down.KEPT}")
        down.remove(plan)
        raise


def clear(plan: Plan, say: Say) -> None:
    """Take away what is left of a former lab of that name; Busy if that lab is healthy."""
    former = registry.recall(plan.name)
    if former and registry.healthy(former):
        raise errors.Busy(
            f"lab {plan.name!r} runs already ({former.count} hosts, {former.subnet})",
            "see `lab status`; use it with `lab env`, or end it with `lab down`",
        )
    if former or (plan.root / "ns").exists():
        say("a former lab of this name is half there: taking it away first")
    down.remove(former or plan)
    shutil.rmtree(plan.root / down.KEPT, ignore_errors=True)


def build_up(plan: Plan, say: Say) -> None:
    """Network, namespaces, broker and libvirt; then Whimbrel, unless the lab is bare."""
    registry.save(plan)
    links.create(plan)
    hypervisor.keep_namespaces(plan.root / "ns")
    for host in plan.hosts:
        hypervisor.furnish(plan, host)
        hypervisor.seed(host, build.CACHE / "capabilities")
    broker.prepare(plan)
    services.write_configs(plan)
    say(f"network {plan.subnet} and {plan.count} hosts' namespaces are there")
    together(foundation(plan, say))
    hypervisor.harvest(plan.hosts[0], build.CACHE / "capabilities")
    if plan.bare:
        return
    whimbrel(plan, say)


def foundation(plan: Plan, say: Say) -> list[Callable[[], None]]:
    """What needs nothing of each other, and so starts at once."""
    jobs = [
        job(plan, host, service, say)
        for host, service in plan.everything()
        if service in {"rabbitmq", "libvirtd"}
    ]
    jobs.append(lambda: prepare_guest(plan, say))
    if not plan.bare:
        jobs.append(lambda: create_database(plan, say))
    return jobs


def together(jobs: list[Callable[[], None]]) -> None:
    """Run jobs side by side; the first error of any, once all have ended."""
    with futures.ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(each) for each in jobs]:
            done.result()


def job(plan: Plan, host: str, service: str, say: Say) -> Callable[[], None]:
    """The job that starts a service and sees it ready."""

    def run() -> None:
        services.start(plan, host, service)
        services.wait_ready(plan, host, service)
        say(f"{service} on {host} is ready")

    return run


def prepare_guest(plan: Plan, say: Say) -> None:
    """Have the guest's kernel, initramfs and disk, and register them as the lab's image."""
    files = build.files()
    say("the guest's kernel, initramfs and disk are there")
    if plan.bare:
        return
    programs.call(
        *manage(plan),
        *("image", "add", "--name", IMAGE, "--file", str(files.disk)),
        *("--kernel", str(files.kernel), "--ramdisk", str(files.initramfs)),
        *("--property", f"os_command_line={build.COMMAND_LINE}"),
    )
    say(f"image {IMAGE!r} is registered")


def manage(plan: Plan) -> tuple[str, ...]:
    """The beginning of a command line that administers this lab's Whimbrel."""
    config = services.config_path(plan, CONTROLLER, "api")
    return (services.program(services.MANAGE), "--config-file", str(config))


def create_database(plan: Plan, say: Say) -> None:
    """Create the services' tables."""
    programs.call(*manage(plan), "db", "upgrade")
    say("the database is there")


def whimbrel(plan: Plan, say: Say) -> None:
    """Start Whimbrel's services, register flavors and network, and see all services up."""
    rest = [each for each in plan.everything() if each[1] in services.PROGRAMS]
    together([job(plan, host, service, say) for host, service in rest])
    api.register(plan.endpoint, NETWORK, TENANT_BRIDGE, str(plan.tenant))
    say(f"flavors and network {NETWORK!r} are registered")
    wait_up(plan)
    say("every service is up")


def wait_up(plan: Plan) -> None:
    """Return once the API reports all services up; TooLate names those that are not."""
    hosts = [host.name for host in plan.hosts]
    absent: list[str] = []

    def done() -> bool:
        for host, service in plan.everything():
            services.check_alive(plan, host, service)
        absent[:] = api.down(plan.endpoint, hosts)
        return not absent

    try:
        waiting.until(done, UP, "all services up")
    except errors.TooLate as error:
        logs = plan.root / down.KEPT
        raise errors.TooLate(f"{error}: {', '.join(absent)}", f"see the logs in {logs}") from error
