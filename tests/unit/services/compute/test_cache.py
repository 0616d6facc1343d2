import subprocess
import sys

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
