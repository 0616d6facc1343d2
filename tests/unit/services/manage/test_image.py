import pytest

from common import images
from services.manage import main


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(b"disk")
    return path


@pytest.fixture
def options(tmp_path) -> list[str]:
    """Arguments that name a configuration with an empty store."""
    conf = tmp_path / "whimbrel.conf"
    conf.write_text(f"[image]\nstore = {tmp_path}/store\n")
    return ["--config-file", str(conf), "image"]


def test_added_image_is_listed(tmp_path, options, file, capsys):
    status = main.main([*options, "add", "--name", "cirros", "--file", str(file)])
    added = capsys.readouterr().out.strip()
    main.main([*options, "list"])

    assert 0 == status
    assert f"{added}  cirros  raw  4\n" == capsys.readouterr().out


def test_kernel_and_ramdisk_are_images_that_the_disk_names(tmp_path, options, file):
    parts = ["--kernel", str(file), "--ramdisk", str(file), "--min-ram", "64"]
    words = ["add", "--name", "direct", "--file", str(file), *parts, "--property", "a=b=c"]

    assert 0 == main.main([*options, *words])

    store = images.Store(f"{tmp_path}/store")
    image = store.get("direct")
    kinds = [store.get(image.properties[name]).disk_format for name in ("kernel_id", "ramdisk_id")]
    assert ["aki", "ari"] == kinds
    assert ("b=c", 64) == (image.properties["a"], image.min_ram)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--file", "/nowhere"], "/nowhere cannot be added"),
        (["--property", "x"], "--property x is not of the form KEY=VALUE"),
        (["--property", "=x"], "KEY=VALUE"),
    ],
)
def test_mistake_is_one_sentence(options, file, words, sentence, capsys):
    assert 1 == main.main([*options, "add", "--name", "n", "--file", str(file), *words])

    assert sentence in capsys.readouterr().err


def test_store_behind_a_url_is_read_only(tmp_path, file, capsys):
    conf = tmp_path / "whimbrel.conf"
    conf.write_text("[image]\nstore = http://127.0.0.1:1/\n")
    words = ["image", "add", "--name", "n", "--file", str(file)]

    assert 1 == main.main(["--config-file", str(conf), *words])

    assert "read-only" in capsys.readouterr().err
