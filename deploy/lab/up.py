"""Bringing a lab up."""

import shutil
import time
from collections.abc import Callable

from deploy.lab import api
from deploy.lab import broker
from deploy.lab import certificates
from deploy.lab import crew
from deploy.lab import down
from deploy.lab import errors
from deploy.lab import hypervisor
from deploy.lab import links
from deploy.lab import programs
from deploy.lab import registry
from deploy.lab import services
from deploy.lab import waiting
from deploy.lab.guest import build
from deploy.lab.plan import BARE_SERVICES
from deploy.lab.plan import CONTROLLER
from deploy.lab.plan import IMAGE
from deploy.lab.plan import NETWORK
from deploy.lab.plan import Plan
from deploy.lab.plan import TENANT_BRIDGE

Say = Callable[[str], None]
Job = Callable[[], None]

UP = 60.0


class Clock:
    """Says each step of a long operation with the seconds since its begin."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def say(self, words: str) -> None:
        """Print one step, at once."""
        print(f"{time.monotonic() - self.began:6.1f} s  {words}", flush=True)


def start(plan: Plan, say: Say, *, keep: bool = False) -> None:
    """Make the lab, or nothing: what fails, or is interrupted, is taken away again.

    With `keep`, what there is stays, to be looked at.
    """
    try:
        Builder(plan, say).build()
    except BaseException:
        if keep:
            lab = programs.LAB
            say(f"not up; what there is stays, until `{lab} down` or the next `{lab} up`")
            raise
        say(f"not up; taking it away again, the logs stay in {plan.root / down.KEPT}")
        down.remove(plan)
        raise


def clear(plan: Plan, say: Say) -> None:
    """Take away what is left of a former lab of that name; Busy if that lab is healthy."""
    former = registry.recall(plan.name)
    if former and registry.healthy(former):
        lab = programs.LAB
        raise errors.Busy(
            f"lab {plan.name!r} runs already ({former.count} hosts, {former.subnet})",
            f"see `{lab} status`; use it with `{lab} env`, or end it with `{lab} down`",
        )
    if former or (plan.root / "ns").exists():
        say("a former lab of this name is half there: taking it away first")
    down.remove(former or plan)
    shutil.rmtree(plan.root / down.KEPT, ignore_errors=True)


class Builder:
    """Makes one lab, what needs nothing of each other at once."""

    def __init__(self, plan: Plan, say: Say) -> None:
        self.plan = plan
        self.say = say
        self.crew = crew.Crew()

    def build(self) -> None:
        """Network, namespaces, broker and libvirt; then Whimbrel, unless the lab is bare."""
        plan = self.plan
        if not build.ready():
            # The lab's subnet may hide the mirror from which the kernel comes.
            self.say("fetching a kernel for the guest, and building its disk")
            build.files()
        links.create(plan)
        hypervisor.keep_namespaces(plan.root / "ns")
        for host in plan.hosts:
            hypervisor.furnish(plan, host)
            hypervisor.seed(host, build.CACHE / "capabilities")
        if plan.tls:
            certificates.make(plan)
        broker.prepare(plan)
        services.write_configs(plan)
        self.say(f"network {plan.subnet} and {plan.count} hosts' namespaces are there")
        self.crew.run(self.foundation())
        hypervisor.harvest(plan.hosts[0], build.CACHE / "capabilities")
        if not plan.bare:
            self.whimbrel()

    def foundation(self) -> list[Job]:
        """The jobs that Whimbrel's services build on."""
        every = self.plan.everything()
        jobs = [self.service(*each) for each in every if each[1] in BARE_SERVICES]
        jobs.append(self.guest)
        return jobs if self.plan.bare else [*jobs, self.database]

    def whimbrel(self) -> None:
        """Start Whimbrel's services, register flavors and network, and see all services up."""
        plan = self.plan
        every = [each for each in plan.everything() if each[1] in services.PROGRAMS]
        self.crew.run(self.service(*each) for each in every if each[0] == CONTROLLER)
        # A compute whose first report meets no conductor waits long before its second.
        self.wait_up([])
        self.crew.run(self.service(*each) for each in every if each[0] != CONTROLLER)
        api.register(plan.endpoint, NETWORK, TENANT_BRIDGE, str(plan.tenant))
        self.say(f"flavors and network {NETWORK!r} are registered")
        self.wait_up([host.name for host in plan.hosts])
        self.say("every service is up")

    def service(self, host: str, service: str) -> Job:
        """The job that starts a service and sees it ready."""

        def run() -> None:
            services.start(self.plan, host, service)
            services.wait_ready(self.plan, host, service, self.crew.called_off)
            self.say(f"{service} on {host} {services.shown(service)}")

        return run

    def guest(self) -> None:
        """Have the guest's kernel, initramfs and disk, and register them as the lab's image."""
        files = build.files()
        self.say("the guest's kernel, initramfs and disk are there")
        if self.plan.bare:
            return
        self.manage(
            *("image", "add", "--name", IMAGE, "--file", str(files.disk)),
            *("--kernel", str(files.kernel), "--ramdisk", str(files.initramfs)),
            *("--property", f"os_command_line={build.COMMAND_LINE}"),
        )
        self.say(f"image {IMAGE!r} is registered")

    def database(self) -> None:
        """Create the services' tables."""
        self.manage("db", "upgrade")
        self.say("the database is there")

    def manage(self, *words: str) -> None:
        """Run one command of whimbrel-manage on this lab."""
        config = services.config_path(self.plan, CONTROLLER, "api")
        programs.call(services.program(services.MANAGE), "--config-file", str(config), *words)

    def wait_up(self, hosts: list[str]) -> None:
        """Return once the API reports the controller's services and these computes up.

        TooLate names those that are not.
        """
        absent: list[str] = []

        def done() -> bool:
            for host, service in self.plan.everything():
                services.check_alive(self.plan, host, service)
            absent[:] = api.down(self.plan.endpoint, hosts)
            return not absent

        try:
            waiting.until(done, UP, "all services up")
        except errors.TooLate as error:
            raise errors.TooLate(f"{error}; still down: {', '.join(absent)}") from error
