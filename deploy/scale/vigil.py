"""Looking every second, while other things go on, whether hosts report and none is silent."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg

from deploy.scale import beats
from deploy.scale import postgres
from deploy.scale import watch

EVERY = 1.0


class Vigil:
    """The worst that was seen so far."""

    def __init__(self, root: Path, down_after: float, heartbeat: float) -> None:
        self.beats = beats.Beats(heartbeat)
        self.looks = 0
        self.silence = 0.0
        self.down = 0
        self.failure: psycopg.Error | None = None
        self._root = root
        self._down_after = down_after
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="vigil", daemon=True)

    def begin(self) -> None:
        """Start to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no more; what kept it from looking is raised."""
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _look(self) -> None:
        try:
            with contextlib.closing(postgres.connect(self._root)) as database:
                while not self._stop.wait(EVERY):
                    self._take(watch.silence(database, self._down_after))
                    self.beats.see(watch.reports(database)[0])
                self.beats.end(watch.reports(database)[1])
        except psycopg.Error as failure:
            self.failure = failure

    def _take(self, seen: watch.Silence) -> None:
        self.looks += 1
        self.silence = max(self.silence, seen.seconds)
        self.down = max(self.down, seen.down)


@contextlib.contextmanager
def looking(root: Path, down_after: float, heartbeat: float) -> Iterator[Vigil]:
    """Look while the block lasts."""
    vigil = Vigil(root, down_after, heartbeat)
    vigil.begin()
    try:
        yield vigil
    finally:
        vigil.end()
