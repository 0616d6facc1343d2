"""The command line of the lab."""

import argparse
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from deploy.lab import down
from deploy.lab import errors
from deploy.lab import hypervisor
from deploy.lab import links
from deploy.lab import plan as plans
from deploy.lab import probe
from deploy.lab import processes
from deploy.lab import programs
from deploy.lab import registry
from deploy.lab import services
from deploy.lab import status
from deploy.lab import up
from deploy.lab import waiting
from deploy.lab.guest import build
from deploy.lab.guest import domain

SUBNET = "198.51.100.0/24"
NO_PORTS = plans.Ports(0, 0, 0, 0)
KILLED = 10.0

Verb = Callable[[argparse.Namespace], int]


def bring_up(args: argparse.Namespace) -> int:
    """Start a lab; refuses what cannot work before it changes anything."""
    programs.check()
    plans.check(args.name, args.subnet, args.hosts)
    plan = plans.Plan(
        name=args.name,
        subnet=args.subnet,
        count=args.hosts,
        ports=NO_PORTS,
        password=secrets.token_hex(8),
        shared=args.shared_storage,
        bare=args.bare,
        database=args.database,
        virt_type=args.virt_type,
        tls=args.tls,
        settings=tuple(services.check_setting(each) for each in args.set),
    )
    if not plan.bare:
        for name in (*services.PROGRAMS.values(), services.MANAGE):
            services.program(name)
    clock = up.Clock()
    with registry.locked(plan.name):
        up.clear(plan, clock.say)
        links.check_free(plan)
        up.start(registry.reserve(plan), clock.say, keep=args.keep)
    lab = programs.LAB
    clock.say(f'lab {plan.name!r} is up; next: eval "$({lab} env)", {lab} status, {lab} down')
    return 0


def take_down(args: argparse.Namespace) -> int:
    """Take a lab away, or what is left of it."""
    programs.check()
    plans.check(args.name, SUBNET, 1)
    clock = up.Clock()
    with registry.locked(args.name):
        plan = registry.recall(args.name)
        ended = down.remove(plan or unknown(args.name))
    if plan is None and not ended:
        clock.say(f"there was no lab {args.name!r}")
        return 0
    clock.say(f"lab {args.name!r} is gone, {ended} processes ended")
    return 0


def unknown(name: str) -> plans.Plan:
    """A plan by which to look for the remains of a lab of which only the name is known."""
    return plans.Plan(name, SUBNET, 0, NO_PORTS, "")


def show_status(args: argparse.Namespace) -> int:
    """Print what runs; 1 if something does not."""
    plan = registry.find(args.name)
    rows = status.rows(plan)
    print(status.table([status.HEAD, *rows]))
    print()
    print(status.table(status.facts(plan)))
    return 0 if all(row[3] == "running" for row in rows) else 1


def show_env(args: argparse.Namespace) -> int:
    """Print the lab's variables for eval."""
    print(status.exports(registry.find(args.name)))
    return 0


def execute(args: argparse.Namespace) -> int:
    """Become a command inside a host; its exit status is this one's."""
    plan = registry.find(args.name)
    argv = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not argv:
        raise errors.Unknown("no command given", f"{programs.LAB} exec HOST -- CMD")
    if args.host != plans.CONTROLLER:
        argv = hypervisor.enter(plan.host(args.host), *argv)
    os.execvpe(argv[0], argv, {**os.environ, **status.variables(plan)})  # noqa: S606 - its purpose


def cut(args: argparse.Namespace) -> int:
    """Cut a host off its networks."""
    links.cut(registry.find(args.name).host(args.host), kinds(args))
    return 0


def heal(args: argparse.Namespace) -> int:
    """Give a host its networks back."""
    links.heal(registry.find(args.name).host(args.host), kinds(args))
    return 0


def kinds(args: argparse.Namespace) -> tuple[str, ...]:
    """The networks a command is about."""
    return (args.only,) if args.only else links.KINDS


def kill(args: argparse.Namespace) -> int:
    """Signal a service; after SIGKILL, return once it is dead."""
    plan = registry.find(args.name)
    plan.check_service(args.host, args.service)
    number = processes.parse_signal(args.signal)
    record = processes.recall(plan.root, args.host, args.service)
    if record is None or processes.state(record) == "dead":
        raise errors.Unknown(f"{args.service} on {args.host} does not run")
    processes.send(record, number)
    if number == signal.SIGKILL:
        waiting.until(
            lambda: processes.state(record) == "dead", KILLED, f"the end of {args.service}"
        )
    return 0


def start(args: argparse.Namespace) -> int:
    """Start a service that does not run, and see it ready."""
    plan = registry.find(args.name)
    plan.check_service(args.host, args.service)
    if processes.state(processes.recall(plan.root, args.host, args.service)) == "running":
        print(f"{args.service} on {args.host} runs already")
        return 0
    services.start(plan, args.host, args.service)
    services.wait_ready(plan, args.host, args.service)
    return 0


def probe_guest(args: argparse.Namespace) -> int:
    """Probe a guest until told to end; 1 if it never answered or lost its memory."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    prober = probe.Prober(args.address).start()
    ended.wait(args.seconds)
    report = prober.stop()
    print(json.dumps(report.as_dict()) if args.json else probe.describe(report))
    return 0 if report.answered and not report.restarted else 1


def tell(args: argparse.Namespace) -> int:
    """Send a guest one command and print its answer."""
    print(probe.ask(args.address, " ".join(args.words), args.seconds))
    return 0


def show_domain(args: argparse.Namespace) -> int:
    """Print the guest's libvirt definition, to be used with virsh."""
    disk = args.disk or f"{plans.INSTANCES}/{args.guest}/disk"
    guest = domain.Guest(
        args.guest, args.address, disk, args.memory, args.dirty_mib, args.dirty_rate
    )
    print(domain.xml(guest, build.files()), end="")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog=programs.LAB, description="Libvirt hosts on this machine.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    add_up(verb(verbs, "up", bring_up, "start a lab"))
    verb(verbs, "down", take_down, "take a lab away, whatever state it is in")
    verb(verbs, "status", show_status, "what runs, and how to look around")
    verb(verbs, "env", show_env, f'shell variables: eval "$({programs.LAB} env)"')
    on_host = verb(verbs, "exec", execute, "run a command inside a host: exec HOST -- CMD")
    on_host.add_argument("host")
    on_host.add_argument("command", nargs=argparse.REMAINDER)
    for name, function, words in (
        ("cut", cut, "cut a host off its networks, silently"),
        ("heal", heal, "give a host its networks back"),
    ):
        switch = verb(verbs, name, function, words)
        switch.add_argument("host")
        switch.add_argument("--only", choices=links.KINDS, help="one network instead of both")
    for name, function, words in (
        ("kill", kill, "signal a service (default KILL)"),
        ("start", start, "start a service that does not run"),
    ):
        service = verb(verbs, name, function, words)
        service.add_argument("host", help="hostN or controller")
        service.add_argument("service")
        if name == "kill":
            service.add_argument("signal", nargs="?", default="KILL")
    add_guest(verbs)
    return top


Verbs = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def verb(
    verbs: "Verbs[argparse.ArgumentParser]", name: str, function: Verb, words: str
) -> argparse.ArgumentParser:
    """A command that knows its function and takes the lab's name."""
    added = verbs.add_parser(name, help=words, description=words)
    default = os.environ.get("WHIMBREL_LAB_NAME", "lab")
    added.add_argument("--name", default=default, help="which lab (default: %(default)s)")
    added.set_defaults(function=function)
    return added


def add_up(added: argparse.ArgumentParser) -> None:
    """The options of `lab up`."""
    added.add_argument("--hosts", type=int, default=2, help="how many (default: 2)")
    added.add_argument("--subnet", default=SUBNET, help="lower half hosts, upper half guests")
    added.add_argument("--shared-storage", action="store_true", help="one instances folder for all")
    added.add_argument("--bare", action="store_true", help="network, RabbitMQ and libvirt only")
    added.add_argument("--keep", action="store_true", help="keep a lab whose start failed")
    added.add_argument("--database", default="", metavar="URL", help="instead of an SQLite file")
    added.add_argument("--tls", action="store_true", help="certificates, and encrypted moves")
    added.add_argument("--virt-type", choices=("qemu", "kvm", "auto"), default="qemu")
    added.add_argument(
        *("--set", "-s"),
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="a setting for every service; may be repeated",
    )


def add_guest(verbs: "Verbs[argparse.ArgumentParser]") -> None:
    """The commands about guests."""
    prober = verb(verbs, "probe", probe_guest, "measure a guest's silence from outside")
    prober.add_argument("address")
    prober.add_argument("--seconds", type=float, help="default: until SIGINT or SIGTERM")
    prober.add_argument("--json", action="store_true")
    told = verb(
        verbs, "tell", tell, "send a guest a command: write MIB, sum MIB, hardware, dirty RATE"
    )
    told.add_argument("address")
    told.add_argument("words", nargs="+")
    told.add_argument("--seconds", type=float, default=30.0)
    defined = verb(verbs, "domain", show_domain, "print the guest's libvirt XML, for virsh")
    defined.add_argument("guest", help="the domain's name")
    defined.add_argument("address", help="its IPv4 address, in the guests' half of the subnet")
    defined.add_argument("--disk", help=f"default: {plans.INSTANCES}/GUEST/disk")
    defined.add_argument("--memory", type=int, default=128, help="MiB")
    defined.add_argument("--dirty-mib", type=int, default=0, help="memory that is dirtied")
    defined.add_argument("--dirty-rate", type=int, default=0, help="MiB a second")


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Make a termination an interruption, so that what was begun is taken away."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the command line; refusals are one line, or two, on stderr."""
    args = parser().parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return int(args.function(args))
    except errors.Error as error:
        print(f"lab: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
    return 1
