import threading

from services.compute import native


def test_queue_gives_in_order_and_ends_its_wait():
    """First in, first out; an empty one answers None in time."""
    queue: native.Queue[int] = native.Queue()
    queue.put(1)
    queue.put(2)

    assert [1, 2, None] == [queue.get(0.01) for _ in range(3)]


def test_lock_lets_one_in_at_a_time():
    """Threads that count under it lose nothing, and an error inside opens it again."""
    lock = native.Lock()
    inside = []
    seen = []

    def work():
        for _ in range(200):
            with lock:
                inside.append(1)
                seen.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [1] * 800 == seen
