"""A file as chunks: holes cost nothing, and the sums are those of the bytes."""

import itertools
import os

import pytest
import xxhash

from services.compute.virt.cold import CHUNK
from services.compute.virt.libvirt.cold import chunks

MIB = 1 << 20


def sparse(path, size: int, *written: tuple[int, bytes]):
    """Make a file of that size with data at these places only."""
    with path.open("wb") as file:
        file.truncate(size)
        for start, data in written:
            file.seek(start)
            file.write(data)
    return path


def plain(path) -> list[str]:
    """Give the sums as they are without any regard for holes."""
    data = path.read_bytes()
    return [
        xxhash.xxh3_128(data[start : start + CHUNK]).hexdigest()
        for start in range(0, len(data), CHUNK)
    ]


@pytest.mark.parametrize(
    ("size", "written"),
    [
        (0, ()),
        (1, ((0, b"x"),)),
        (3 * MIB, ((MIB, b"y" * MIB),)),
        (CHUNK, ()),
        (CHUNK, ((CHUNK - 1, b"z"),)),
        (2 * CHUNK + 5, ((0, b"a"), (CHUNK + MIB + 7, b"b" * 9))),
        (3 * CHUNK, ((2 * CHUNK, b"c" * 4096),)),
    ],
)
def test_sums_are_those_of_what_is_read(tmp_path, size, written):
    """Whether a range is a hole or zeros: both read the same."""
    path = sparse(tmp_path / "disk", size, *written)

    assert plain(path) == chunks.digests(path)


def test_file_that_is_not_there_has_no_chunks(tmp_path):
    """Nothing has landed yet."""
    assert [] == chunks.digests(tmp_path / "nothing")


def test_one_changed_byte_changes_its_chunk_only(tmp_path):
    path = sparse(tmp_path / "disk", 3 * CHUNK, (CHUNK, b"a" * MIB))
    before = chunks.digests(path)

    with path.open("r+b") as file:
        file.seek(CHUNK + 5)
        file.write(b"b")

    assert [False, True, False] == [
        one != other for one, other in zip(before, chunks.digests(path), strict=True)
    ]


@pytest.mark.parametrize("bounds", [(0, 3 * MIB), (MIB // 2, 2 * MIB), (2 * MIB, 3 * MIB)])
def test_extents_cover_a_range_without_gaps(tmp_path, bounds):
    """Each begins where the one before it ends; none is empty."""
    path = sparse(tmp_path / "disk", 3 * MIB, (MIB, b"d" * MIB))
    start, end = bounds

    with path.open("rb") as file:
        found = list(chunks.extents(file, start, end))

    assert (start, end) == (found[0].start, found[-1].start + found[-1].length)
    assert all(one.start + one.length == other.start for one, other in itertools.pairwise(found))
    assert all(extent.length > 0 for extent in found)


def test_holes_are_seen(tmp_path):
    """Only what is written is data."""
    path = sparse(tmp_path / "disk", 8 * MIB, (4 * MIB, b"d" * MIB))

    with path.open("rb") as file:
        found = list(chunks.extents(file, 0, 8 * MIB))

    assert MIB == sum(extent.length for extent in found if not extent.hole)
    assert 7 * MIB == sum(extent.length for extent in found if extent.hole)
    with path.open("rb") as file:
        assert MIB // 2 == chunks.data(file, MIB, 4 * MIB + MIB // 2)


def test_pieces_are_all_of_an_extent(tmp_path):
    """None is larger than what one message takes."""
    data = os.urandom(2 * MIB + 3)
    path = sparse(tmp_path / "disk", len(data), (0, data))

    with path.open("rb") as file:
        found = list(chunks.pieces(file, chunks.Extent(1, len(data) - 1, hole=False)))

    assert data[1:] == b"".join(found)
    assert chunks.PIECE >= max(len(piece) for piece in found)


def test_file_that_became_shorter_ends_the_pieces(tmp_path):
    """No endless reading of nothing."""
    path = sparse(tmp_path / "disk", 10, (0, b"0123456789"))

    with path.open("rb") as file:
        assert [b"0123456789"] == list(chunks.pieces(file, chunks.Extent(0, 99, hole=False)))
