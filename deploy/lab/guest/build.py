"""The guest's files, built once and kept in the repository's ignored .cache/lab."""

import fcntl
import hashlib
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.lab import programs
from deploy.lab.guest import cpio
from deploy.lab.guest import kernel
from deploy.lab.guest import modules

SOURCES = Path(__file__).parent
CACHE = SOURCES.parents[2] / ".cache" / "lab"
COMMAND_LINE = "console=ttyS0 quiet panic=5 random.trust_cpu=on"
DISK_MIB = 64
PATTERN_MIB = 4


@dataclass(frozen=True)
class Files:
    """Where the guest's kernel, initramfs and qcow2 disk are."""

    kernel: Path
    initramfs: Path
    disk: Path


def files(cache: Path = CACHE) -> Files:
    """The guest's files, made of this tree's sources; the cached ones if these still fit.

    Only the first call on a machine needs a package mirror. Calls at once wait
    for each other.
    """
    cache.mkdir(parents=True, exist_ok=True)
    made = places(cache)
    with locked(cache / "lock"):
        unpacked = cache / "kernel"
        if not (unpacked / "boot").is_dir():
            fetch(unpacked)
        make(made.kernel, lambda path: shutil.copy(kernel.image(unpacked), path))
        make(made.initramfs, lambda path: path.write_bytes(initramfs(unpacked, cache)))
        make(made.disk, disk)
    return made


def places(cache: Path) -> Files:
    """Where the files of this tree's sources belong."""
    return Files(cache / "vmlinuz", cache / f"initramfs-{digest()}", cache / "disk.qcow2")


def ready(cache: Path = CACHE) -> bool:
    """Whether `files` has nothing left to make, and so is quick."""
    made = places(cache)
    return made.kernel.exists() and made.initramfs.exists() and made.disk.exists()


def fetch(folder: Path) -> None:
    """Unpack a kernel; the folder exists only if that went well."""
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    kernel.fetch(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def make(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file unless it is there; a half written one is never seen."""
    if path.exists():
        return
    fresh = path.with_suffix(".new")
    write(fresh)
    fresh.rename(path)


def digest() -> str:
    """A name for the initramfs that changes with its sources."""
    sources = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()) if path.is_file())
    return hashlib.sha256(sources).hexdigest()[:12]


def initramfs(unpacked: Path, cache: Path) -> bytes:
    """The archive with busybox, the guest's program and the modules, in loading order."""
    program = cache / "guest"
    source = str(SOURCES / "guest.c")
    programs.call("gcc", "-static", "-O2", "-pthread", "-s", "-o", str(program), source)
    loaded = modules.load(unpacked)
    order = "".join(f"{name}.ko\n" for name in loaded)
    folders = ("dev", "proc", "bin", "modules")
    return cpio.pack(
        [
            *(cpio.Entry(name, cpio.FOLDER) for name in folders),
            cpio.Entry("dev/console", cpio.DEVICE, device=(5, 1)),
            cpio.Entry("bin/busybox", cpio.PROGRAM, Path(busybox()).read_bytes()),
            cpio.Entry("bin/guest", cpio.PROGRAM, program.read_bytes()),
            cpio.Entry("init", cpio.PROGRAM, (SOURCES / "init").read_bytes()),
            cpio.Entry("modules/order", cpio.FILE, order.encode()),
            *(cpio.Entry(f"modules/{name}.ko", cpio.FILE, data) for name, data in loaded.items()),
        ]
    )


def busybox() -> str:
    """The path of the installed static busybox."""
    return shutil.which("busybox") or "/bin/busybox"


def disk(path: Path) -> None:
    """A small qcow2 whose first MiBs hold data that does not compress."""
    raw = path.with_suffix(".raw")
    blocks = (hashlib.sha256(number.to_bytes(8)).digest() for number in range(PATTERN_MIB << 15))
    raw.write_bytes(b"".join(blocks))
    with raw.open("r+b") as file:
        file.truncate(DISK_MIB << 20)
    programs.call("qemu-img", "convert", "-O", "qcow2", str(raw), str(path))
    raw.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel gives it back if this process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
