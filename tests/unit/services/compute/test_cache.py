"""The image cache of a host: fetched once, whole or not there, and full with a reason."""

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from common import errors
from common import images
from common.config import load
from services.compute import cache
from tests import factories
from tests import machine

GREEN = """
import eventlet
eventlet.monkey_patch()
import sys
from common.config import load
from services.compute import cache
from services.compute import concurrency
from tests import factories

MANY = 6
sleep = eventlet.patcher.original("time").sleep


class Slow:
    fetched = 0

    def fetch(self, image, path):
        self.fetched += 1
        sleep(0.05)
        path.write_bytes(b"")


threads = concurrency.green(MANY)
tested = cache.Cache(load.private({"image.cache": sys.argv[1]}))
tested._store = store = Slow()
server = factories.instance(image=factories.image())
jobs = [threads.start(tested.files, server) for _ in range(MANY)]
assert all(job.wait(20) for job in jobs), "stuck"
print(store.fetched, len({job.result() for job in jobs}))
"""


def test_servers_that_come_at_once_fetch_an_image_once(tmp_path):
    """Under eventlet each comes in a native thread, where a green lock would never wake."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GREEN, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ("1 1\n", "", 0) == (done.stdout, done.stderr, done.returncode)


BYTES = b"an image" * 1000


@pytest.fixture
def kept(tmp_path) -> cache.Cache:
    """Give an empty cache of host1."""
    return cache.Cache(load.private({"host": "host1", "image.cache": str(tmp_path / "cache")}))


@pytest.fixture
def landed(tmp_path) -> pathlib.Path:
    """Give an image's file as it came from another host."""
    path: pathlib.Path = tmp_path / "image.disk"
    path.write_bytes(BYTES)
    path.chmod(0o600)
    return path


def server(path: pathlib.Path):
    """Give a server whose image has these bytes."""
    found = factories.image(size=path.stat().st_size, checksum=images.digest(path))
    return factories.instance(image=found)


class Full:
    """A store whose image finds no room."""

    def fetch(self, _image, _path) -> None:
        """Fail as a full file system does."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["files", "fetch"])
def test_full_cache_is_a_refusal_with_host_and_path(kept, tmp_path, call):
    """The next host may have room."""
    kept._store = Full()

    with pytest.raises(errors.NoDiskSpace, match=f"host1 cannot keep image .*{tmp_path}.*No space"):
        getattr(kept, call)(factories.instance(image=factories.image()))


def test_image_that_landed_is_taken_over(kept, landed):
    """Its file itself, so that no room is needed for it twice; QEMU can read it."""
    wanted, number = server(landed), landed.stat().st_ino

    taken = [kept.adopt(wanted, "disk", landed) for _ in range(2)]

    found = pathlib.Path(str(kept.files(wanted).disk))
    assert [True, True] == taken
    assert (number, 0o644) == (found.stat().st_ino, found.stat().st_mode & 0o777)
    assert not landed.exists()


def test_image_that_is_not_whole_is_left(kept, landed):
    """Its copy goes on there; what has not begun to land is not there either."""
    wanted = server(landed)
    landed.write_bytes(BYTES[1:] + b"x")

    assert not kept.adopt(wanted, "disk", landed)
    assert landed.exists()
    assert not kept.adopt(wanted, "disk", landed.with_name("nothing"))


@pytest.fixture
def elsewhere(tmp_path):
    """Give a folder on another file system than the cache."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = pathlib.Path(folder)
        if found.stat().st_dev == tmp_path.stat().st_dev:
            machine.lacks("there is one file system only")
        yield found


def test_image_is_taken_from_another_file_system(kept, landed, elsewhere):
    """By a copy that is whole or not there."""
    wanted, there = server(landed), elsewhere / "image.disk"
    shutil.copyfile(landed, there)

    assert kept.adopt(wanted, "disk", there)

    assert BYTES == pathlib.Path(str(kept.files(wanted).disk)).read_bytes()
    assert not there.exists()


def test_copy_that_finds_no_room_leaves_nothing(kept, landed, elsewhere, tmp_path, monkeypatch):
    """Neither in the cache nor of what had landed anything is lost."""
    wanted, there = server(landed), elsewhere / "image.disk"
    shutil.copyfile(landed, there)

    def full(_path, fresh) -> None:
        fresh.write_bytes(BYTES[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)

    with pytest.raises(errors.NoDiskSpace, match="host1 cannot keep image"):
        kept.adopt(wanted, "disk", there)

    assert [] == list((tmp_path / "cache").iterdir())
    assert there.exists()
