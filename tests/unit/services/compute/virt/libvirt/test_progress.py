import pytest

from common import objects
from services.compute.virt.libvirt import progress

MIB = 1 << 20


def stats(memory=None, disk=None, **more):
    found = dict(more)
    if memory:
        found |= {"memory_total": memory[0] * MIB, "memory_remaining": memory[1] * MIB}
    if disk:
        found |= {"disk_total": disk[0] * MIB, "disk_remaining": disk[1] * MIB}
    return found


def test_memory_that_was_not_begun_counts_as_remaining():
    """While only disks are copied, the guest's memory is still to come."""
    found = progress.Progress("m", 100 * MIB).read(stats(disk=(300, 0)), 0)

    assert (75, 100 * MIB) == (found.percent, found.memory_remaining)


def test_percent_never_goes_back():
    """A guest that writes makes more remain; the percentage waits."""
    moving = progress.Progress("m", 100 * MIB)
    left = [100, 60, 10, 40, 5]

    seen = [moving.read(stats(memory=(100, each)), 0).percent for each in left]

    assert [0, 40, 90, 90, 95] == seen


def test_percent_of_a_running_move_stays_below_a_hundred():
    """Nothing remains, and yet the switch is still to come."""
    found = progress.Progress("m", MIB).read(stats(memory=(100, 0), disk=(10, 0)), 0)

    assert 99 == found.percent


def test_rates_are_bytes_per_second():
    """libvirt counts dirty pages; we count bytes."""
    found = progress.Progress("m", MIB).read(
        stats(
            memory=(100, 50),
            memory_bps=7 * MIB,
            disk_bps=3 * MIB,
            memory_dirty_rate=256,
            memory_page_size=4096,
            memory_iteration=2,
            time_elapsed=1500,
        ),
        3,
    )

    assert (10 * MIB, MIB, 3, 1500) == (
        found.rate,
        found.dirty_rate,
        found.iteration,
        found.elapsed_ms,
    )


def test_move_begun_by_an_earlier_process_has_no_total_yet():
    """Before libvirt reports anything, nothing is divided."""
    found = progress.Progress("", 0).read({}, 0)

    assert (0, "", None) == (found.percent, found.migration_uuid, found.eta_ms)


@pytest.mark.parametrize(
    ("left", "rate", "dirty", "expected"),
    [(1000, 100, 0, 10_000), (1000, 100, 50, 20_000), (1000, 100, 100, None), (0, 0, 0, None)],
)
def test_eta_counts_what_is_written_meanwhile(left, rate, dirty, expected):
    """Milliseconds, or None when the copy never catches up."""
    assert expected == progress.eta(left, rate, dirty)


def test_each_disk_is_as_far_as_was_told_last():
    """A copy whose block job is over, or not begun, is not forgotten."""
    moving = progress.Progress("m", MIB, ["vda", "vdb"])
    told = objects.DiskProgress(target="vda", total=9, processed=4, remaining=5)

    moving.read(stats(disk=(9, 5)), 0, [told])
    found = moving.read(stats(disk=(9, 5)), 0)

    assert ["vda", "vdb"] == moving.targets
    assert [("vda", 9, 4, 5), ("vdb", 0, 0, 0)] == [
        (disk.target, disk.total, disk.processed, disk.remaining) for disk in found.disks
    ]
