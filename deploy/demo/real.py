"""The story on real libvirt hosts: `make demo`."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from deploy.demo import errors
from deploy.demo import story
from deploy.demo import world
from deploy.lab import errors as lab_errors
from deploy.lab import probe

LAB = Path(__file__).parents[1] / "lab" / "lab"
# Beside the subnet that labs take by themselves, so that a demo and a lab can run at once.
SUBNET = "198.18.0.0/24"
BOOT_SECONDS = 60


class Ear(world.Ear):
    """Listens to the guest's answers over the network."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._prober = probe.Prober(address).start()
        self._prober.wait_heard(BOOT_SECONDS)

    def close(self) -> world.Heard:
        """Hear the guest once more, from where it is now, and stop."""
        probe.alive(self._address, BOOT_SECONDS)
        report = self._prober.stop()
        if report.first_tick is None or report.last_tick is None:
            raise errors.Untrue(f"the guest at {self._address} was never heard")
        return world.Heard(
            report.boots,
            report.first_tick,
            report.last_tick,
            report.restarted,
            report.longest_gap_ms,
        )


class Real(world.World):
    """Hosts of the lab, asked through libvirt."""

    kind = "libvirt"

    def __init__(self, variables: dict[str, str]) -> None:
        self.hosts = variables["WHIMBREL_LAB_HOSTS"].split()
        self.endpoint = variables["WHIMBREL_ENDPOINT"]
        self.image = variables["WHIMBREL_LAB_IMAGE"]
        self.network = variables["WHIMBREL_LAB_NETWORK"]
        self._uris = {host: variables[f"WHIMBREL_LAB_URI_{host.upper()}"] for host in self.hosts}

    def running(self, server: str) -> list[str]:
        """Ask every host's libvirt for the running domain with the server's uuid."""
        return [host for host, uri in self._uris.items() if server in domains(uri)]

    def wait_boot(self, server: str, address: str) -> None:
        """Wait for the guest's first answer over the network."""
        probe.alive(address, BOOT_SECONDS)

    def listen(self, server: str, address: str) -> Ear:
        """Probe the guest every 10 ms."""
        return Ear(address)


def domains(uri: str) -> list[str]:
    """The uuids of the domains that run on a host, by virsh."""
    return run("virsh", "--connect", uri, "list", "--uuid", "--state-running").split()


def run(*argv: str) -> str:
    """What a command prints, or CommandFailed."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise errors.CommandFailed(f"{' '.join(argv)} ended with {done.returncode}")
    return done.stdout


def lab(verb: str, name: str, *words: str) -> None:
    """Run one command of the lab, its output shown.

    It has a session of its own, so that Ctrl-C reaches it through this
    program alone.
    """
    child = subprocess.Popen([str(LAB), verb, "--name", name, *words], start_new_session=True)
    try:
        status = child.wait()
    except KeyboardInterrupt:
        with undisturbed():
            child.terminate()
            child.wait()
        raise
    if status:
        raise errors.CommandFailed(f"lab {verb} ended with {status}")


def variables(name: str) -> dict[str, str]:
    """The lab's shell variables."""
    words = shlex.split(run(str(LAB), "env", "--name", name))
    return dict(word.split("=", 1) for word in words if "=" in word)


@contextmanager
def laboratory(arguments: argparse.Namespace) -> Iterator[Real]:
    """A lab of two hosts, that is gone afterwards whatever happened, unless it is kept."""
    try:
        lab("down", arguments.name)
        lab("up", arguments.name, "--hosts", "2", "--subnet", arguments.subnet)
        yield Real(variables(arguments.name))
    finally:
        with undisturbed():
            if arguments.keep:
                print(f"kept; see {LAB} status --name {arguments.name}", flush=True)
            else:
                lab("down", arguments.name)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore further interruptions: what was begun is taken away completely."""
    former = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Make a termination an interruption."""
    raise KeyboardInterrupt


def main() -> int:
    """Tell the story on a lab; 0 only if everything was seen to be true."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="demo", help="of the lab (default: %(default)s)")
    parser.add_argument("--subnet", default=SUBNET, help="of the lab (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    arguments = parser.parse_args()
    if os.geteuid():
        print("error: the demo makes hosts of namespaces, so it needs root", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, interrupt)
    teller = story.Teller()
    try:
        with laboratory(arguments) as hosts:
            story.tell(hosts, teller)
    except (errors.Error, lab_errors.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        print(f"the logs are in /var/lib/whimbrel-lab/{arguments.name}/logs", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was left behind", file=sys.stderr)
        return 130
    teller.say("arrived: guest, libvirt and the API agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
