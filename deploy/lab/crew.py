"""Jobs side by side that end together."""

import threading
from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures


class Crew:
    """Runs jobs at once; the first failure, or an interruption, calls the others off.

    A job that waits passes `called_off` to its wait, so that nobody is left
    waiting for what will not come.
    """

    def __init__(self) -> None:
        self.called_off = threading.Event()

    def run(self, jobs: Iterable[Callable[[], None]]) -> None:
        """Return when all jobs are done, or raise the first error when all have ended."""
        todo = list(jobs)
        with futures.ThreadPoolExecutor(len(todo)) as pool:
            try:
                for done in futures.as_completed([pool.submit(job) for job in todo]):
                    done.result()
            except BaseException:
                self.called_off.set()
                raise
