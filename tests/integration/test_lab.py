"""The lab does what its README says, without Whimbrel: hosts, guest, prober, faults, traces."""

import json
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest

from deploy.lab import errors
from deploy.lab import probe
from deploy.lab import waiting
from tests.integration import labs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

GUEST = "198.18.8.130"
ROOK = "198.18.7.130"
DISK = "/var/lib/whimbrel/instances/demo"
BASE = pathlib.Path(__file__).parents[2] / ".cache" / "lab" / "disk.qcow2"


@pytest.fixture
def rook() -> Iterator[labs.Lab]:
    """Have the name and subnet of a lab; whatever the test started under it is ended."""
    lab = labs.Lab("rook", "198.18.7.0/24")
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def local() -> Iterator[labs.Lab]:
    """Run two bare hosts with local disks."""
    with labs.running(labs.Lab("heron", "198.18.8.0/24"), "--bare") as lab:
        yield lab


def make_disk(lab: labs.Lab, host: str) -> None:
    """Make the guest's disk on a host: an overlay of what every host can read."""
    script = f"mkdir -p {DISK}; qemu-img create -q -f qcow2 -b {BASE} -F qcow2 {DISK}/disk 256M"
    lab.inside(host, "sh", "-c", script)


def boot(lab: labs.Lab, folder: pathlib.Path, *options: str, address: str = GUEST) -> None:
    """Start the guest on host1 with virsh alone, and hear from it."""
    make_disk(lab, "host1")
    path = folder / "demo.xml"
    path.write_text(lab.run("domain", "demo", address, *options).stdout)
    lab.virsh("host1", "create", str(path))
    probe.alive(address, 40)


def move(lab: labs.Lab, source: str, destination: str, *options: str) -> None:
    """Migrate the guest live with virsh alone."""
    uri = f"qemu+tcp://{destination}/system"
    words = ("virsh", "migrate", "--live", "--p2p", *options, "demo", uri)
    lab.inside(source, *words)


def names(lab: labs.Lab, host: str) -> list[str]:
    """Give the guests that run on a host, according to its libvirt."""
    return lab.virsh(host, "list", "--name").split()


def traces(name: str) -> set[str]:
    """Give everything on this machine that mentions a lab, found without the lab's own code."""
    commands = (["ip", "netns"], ["ip", "-br", "link"], ["iptables", "-w", "-S"], ["mount"])
    found = {
        line
        for argv in commands
        for line in subprocess.run(
            argv, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if f"{name}-" in line or f":{name}" in line or f"/{name}/" in line
    }
    return found | {str(path) for path in pathlib.Path("/proc").glob("[0-9]*") if about(path, name)}


def about(process: pathlib.Path, name: str) -> bool:
    """Tell whether a living process mentions a lab's folder."""
    files = [process / each for each in ("cmdline", "environ", "mountinfo")]
    try:
        return any(f"whimbrel-lab/{name}".encode() in path.read_bytes() for path in files)
    except OSError:
        return False


class TestGuestMoves:
    """A guest started and moved by virsh keeps its memory, as its ticks show."""

    @pytest.fixture(autouse=True)
    def gone_afterwards(self, local):
        yield
        for host in ("host1", "host2"):
            for name in names(local, host):
                local.virsh(host, "destroy", name)

    def test_local_disk(self, local, tmp_path):
        """The disk travels along, and what the guest wrote is on the destination."""
        boot(local, tmp_path)
        make_disk(local, "host2")
        written = probe.ask(GUEST, "write 8", 30)

        with probe.Prober(GUEST) as prober:
            prober.wait_heard(5)
            move(local, "host1", "host2", "--copy-storage-all")
            after = probe.alive(GUEST, 10)
        seen = prober.report()
        info = local.inside("host2", "qemu-img", "info", "-U", "--output=json", f"{DISK}/disk")

        assert written.startswith("write=8 ")
        assert ([], ["demo"]) == (names(local, "host1"), names(local, "host2"))
        assert not seen.restarted
        assert seen.first_tick is not None
        assert after.tick > seen.first_tick
        assert json.loads(info)["actual-size"] > 8 << 20

    def test_cut_host_is_silent_until_healed(self, local, tmp_path):
        """A cut host's guest goes on ticking, unheard."""
        boot(local, tmp_path)
        local.run("cut", "host1")

        with pytest.raises(errors.TooLate):
            probe.alive(GUEST, 0.5)

        status = local.run("status").stdout
        before = local.inside("host1", "cat", "/var/log/libvirt/demo.log")
        local.run("heal", "host1")
        healed = probe.alive(GUEST, 10)

        assert "network cut: control, tenant" in status
        assert "network cut" not in local.run("status").stdout
        assert healed.tick > before.count("tick ")

    def test_power_button_ends_the_guest(self, local, tmp_path):
        """A clean shutdown is heard by the guest and takes seconds, not a timeout."""
        boot(local, tmp_path)
        local.virsh("host1", "shutdown", "demo")

        waiting.until(lambda: not names(local, "host1"), 15, "the guest's end")

        assert "power button" in local.inside("host1", "cat", "/var/log/libvirt/demo.log")

    def test_guest_outlives_its_libvirtd(self, local, tmp_path):
        """A killed libvirtd shows in the status, and finds its guest again."""
        boot(local, tmp_path)
        local.run("kill", "host1", "libvirtd")
        broken = local.run("status", check=False)
        local.run("start", "host1", "libvirtd")

        assert 1 == broken.returncode
        assert "dead" in broken.stdout
        assert ["demo"] == names(local, "host1")
        assert probe.alive(GUEST, 5).tick > 0

    def test_dirty_rate_is_set_from_outside(self, local, tmp_path):
        """A guest dirties memory from its start, and at another rate on request."""
        boot(local, tmp_path, "--dirty-mib", "16", "--dirty-rate", "2")

        answer = probe.ask(GUEST, "dirty 4", 30)
        measured = measure(local)

        assert "dirty=4 mib=16" == answer
        assert 0 < measured <= 16

    def test_probe_command_reports_when_stopped(self, local, tmp_path):
        """A prober in the background tells what it saw once it is told to end."""
        boot(local, tmp_path)
        process = local.spawn("probe", GUEST, "--json", "--seconds", "60")
        before = probe.alive(GUEST, 5).tick
        waiting.until(lambda: probe.alive(GUEST, 5).tick > before + 5, 10, "some ticks")

        report = json.loads(labs.end(process))

        assert 0 == process.returncode
        assert report["answered"] > 5
        assert not report["restarted"]
        assert report["last_tick"] > report["first_tick"]


def measure(lab: labs.Lab) -> int:
    """Give the guest's dirty rate in MiB/s, once libvirt has measured it for a second."""
    lab.virsh("host1", "domdirtyrate-calc", "demo", "--seconds", "1")

    def rate() -> dict[str, str] | None:
        rows = lab.virsh("host1", "domstats", "--dirtyrate", "demo").splitlines()
        values = dict(row.strip().split("=") for row in rows if "=" in row)
        return values if values.get("dirtyrate.calc_status") == "2" else None

    values = waiting.until(rate, 30, "libvirt's measurement")
    assert values is not None
    return int(values["dirtyrate.megabytes_per_second"])


class TestLife:
    """A lab comes and goes without traces, whatever ends it."""

    def test_shared_storage_guest_moves_and_nothing_stays(self, rook, tmp_path):
        """A healthy lab is not started over; a broken one is replaced; down removes all of it."""
        rook.up("--bare")
        refused = rook.run("up", "--bare", check=False)
        rook.run("kill", "host2", "libvirtd")

        said = rook.up("--bare", "--shared-storage")
        boot(rook, tmp_path, address=ROOK)
        move(rook, "host1", "host2", "--unsafe")
        moved = probe.alive(ROOK, 10)
        during = traces("rook")
        rook.down()

        assert 1 == refused.returncode
        assert "runs already" in refused.stderr
        assert "half there" in said
        assert moved.tick > 0
        assert len(during) > 10
        assert set() == traces("rook")

    def test_wreck_is_taken_away(self, rook, tmp_path):
        """A guest whose libvirtd, namespace names and lab's notes are gone is found and ended."""
        rook.up("--bare")
        boot(rook, tmp_path, address=ROOK)
        rook.run("kill", "host1", "libvirtd")
        rook.run("kill", "controller", "rabbitmq")
        for name in ("rook-host1", "rook-host2"):
            subprocess.run(["ip", "netns", "del", name], check=True)
        pathlib.Path("/var/lib/whimbrel-lab/rook/lab.json").unlink()
        guests = {line for line in traces("rook") if line.startswith("/proc/")}
        rook.down()

        assert guests
        assert set() == traces("rook")

    def test_down_twice_is_fine(self, rook):
        """There being no lab is what down promises, not an error."""
        rook.down()

        assert "there was no lab" in rook.run("down").stdout

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    def test_interrupted_start_leaves_nothing(self, rook, number):
        """An interrupted start cleans up after itself, or down does if it was killed."""
        process = rook.spawn("up", "--bare", "--subnet", rook.subnet)
        assert process.stdout is not None
        assert any("namespaces are there" in line for line in process.stdout)

        labs.end(process, number)
        left = traces("rook")
        rook.down()

        assert (number == signal.SIGKILL) == bool(left)
        assert set() == traces("rook")

    def test_two_labs_stand_side_by_side(self, rook):
        """Another name and another subnet suffice; taking one away leaves the other whole."""
        other = labs.Lab("raven", "198.18.6.0/24")
        rook.up("--bare", "--hosts", "1")
        with labs.running(other, "--bare", "--hosts", "1"):
            rook.down()
            status = other.run("status")

            assert 0 == status.returncode
            assert set() == traces("rook")
        assert set() == traces("raven")

    def test_taken_subnet_is_refused(self, rook):
        """A subnet that the machine uses is named, and nothing is made."""
        rook.up("--bare", "--hosts", "1")
        other = labs.Lab("raven", rook.subnet)

        refused = other.run("up", "--bare", "--subnet", rook.subnet, check=False)

        assert 1 == refused.returncode
        assert "198.18.7.0/24 is in use" in refused.stderr
        assert set() == traces("raven")
