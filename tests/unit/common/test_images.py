import functools
import http.server
import json
import pathlib
import threading
from collections.abc import Iterator

import pytest

from common import errors
from common import images

DISK = b"disk" * 700_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cirros.img"
    path.write_bytes(DISK)
    return path


@pytest.fixture
def folder(tmp_path, file):
    """A store with one image."""
    path = tmp_path / "store"
    images.Directory(str(path)).add(file, name="cirros", properties={"a": "b"})
    return path


@pytest.fixture
def url(folder) -> Iterator[str]:
    """The same store, served over HTTP."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(params=["folder", "url"])
def store(request):
    """A store of either kind, to be read."""
    return images.Store(str(request.getfixturevalue(request.param)))


def rewrite(folder: pathlib.Path, **values: object) -> images.Store:
    """Change fields of the only image in the index."""
    index = folder / images.INDEX
    rows = json.loads(index.read_text())
    rows["images"][0].update(values)
    index.write_text(json.dumps(rows))
    return images.Store(str(folder))


def test_both_kinds_of_store_list_the_same(store):
    """A directory and the same directory behind a URL hold the same images."""
    (image,) = store.all()

    assert "cirros" == image.name
    assert "raw" == image.disk_format
    assert len(DISK) == image.size
    assert {"a": "b"} == image.properties


def test_an_image_is_found_by_id_and_by_name(store):
    by_name = store.get("cirros")

    assert by_name == store.get(by_name.id)


def test_an_unknown_image_is_named_in_the_refusal(store):
    with pytest.raises(errors.ImageNotFound, match="windows"):
        store.get("windows")


def test_a_name_that_two_images_have_is_refused(folder):
    index = folder / images.INDEX
    rows = json.loads(index.read_text())
    rows["images"].append({**rows["images"][0], "id": "other"})
    index.write_text(json.dumps(rows))

    with pytest.raises(errors.Invalid, match="give an id"):
        images.Store(str(folder)).get("cirros")


def test_a_fetched_image_is_whole(store, tmp_path):
    store.fetch(store.get("cirros"), tmp_path / "base")

    assert DISK == (tmp_path / "base").read_bytes()


@pytest.mark.parametrize(
    "wrong", [{"checksum": "0" * 64}, {"size": 7}, {"size": len(DISK) + 1}, {"file": "../x"}]
)
def test_bytes_that_differ_from_the_index_are_refused_and_leave_nothing(folder, tmp_path, wrong):
    store = rewrite(folder, **wrong)
    target = tmp_path / "cache"
    target.mkdir()

    with pytest.raises(errors.BadImage):
        store.fetch(store.get("cirros"), target / "base")
    assert [] == list(target.iterdir())


def test_a_refused_copy_leaves_the_older_whole_one(folder, tmp_path):
    (tmp_path / "base").write_bytes(b"older")
    store = rewrite(folder, size=7)

    with pytest.raises(errors.BadImage):
        store.fetch(store.get("cirros"), tmp_path / "base")
    assert b"older" == (tmp_path / "base").read_bytes()


def test_a_store_that_is_away_is_unavailable(tmp_path):
    with pytest.raises(errors.Unavailable, match="cannot be read"):
        images.Store(str(tmp_path / "nowhere")).all()
    with pytest.raises(errors.Unavailable, match="cannot be read"):
        images.Store("http://127.0.0.1:1/").all()


def test_a_missing_file_is_unavailable(store, folder, tmp_path):
    image = store.get("cirros")
    (folder / image.file).unlink()

    with pytest.raises(errors.Unavailable, match=image.id):
        store.fetch(image, tmp_path / "base")


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"images": [{"id": "1"}]}'])
def test_a_malformed_index_is_a_bad_store(folder, text):
    (folder / images.INDEX).write_text(text)

    with pytest.raises(errors.BadImage, match="malformed"):
        images.Store(str(folder)).all()


def test_adding_the_same_again_changes_nothing(folder, file):
    first = images.Store(str(folder)).get("cirros")

    again = images.Directory(str(folder)).add(file, name="cirros")

    assert first == again
    assert 1 == len(images.Store(str(folder)).all())


def test_another_file_under_a_name_in_use_is_refused(folder, file):
    file.write_bytes(b"other")

    with pytest.raises(errors.Exists, match="cirros"):
        images.Directory(str(folder)).add(file, name="cirros")


def test_a_qcow2_file_is_recognised_with_the_room_it_needs(folder, file):
    """1.5 GiB of virtual size need a flavor with 2 GiB of disk."""
    size = 3 << 29
    file.write_bytes(images.QCOW2 + bytes(20) + size.to_bytes(8, "big") + bytes(72))

    image = images.Directory(str(folder)).add(file, name="debian")

    assert "qcow2" == image.disk_format
    assert 2 == image.min_disk


def test_a_directory_without_an_index_is_an_empty_store(tmp_path):
    assert [] == images.Store(str(tmp_path)).all()
