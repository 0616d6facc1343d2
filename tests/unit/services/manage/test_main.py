import pathlib

import pytest

from common.db import schema
from services.manage import main


@pytest.fixture
def options(tmp_path, any_database) -> list[str]:
    """Arguments that name a configuration of an empty database."""
    file = pathlib.Path(tmp_path, "whimbrel.conf")
    file.write_text(f"[database]\nconnection = {any_database}\n")
    return ["--config-file", str(file)]


def test_upgrade_brings_the_tables(options, capsys):
    assert 0 == main.main([*options, "db", "upgrade"])
    assert 0 == main.main([*options, "db", "version"])

    assert f"found {schema.head()}, needed {schema.head()}" in capsys.readouterr().out


def test_version_of_an_empty_database(options, capsys):
    assert 0 == main.main([*options, "db", "version"])

    assert f"found none, needed {schema.head()}" in capsys.readouterr().out


def test_a_database_that_is_away_is_one_sentence(tmp_path, capsys):
    file = pathlib.Path(tmp_path, "whimbrel.conf")
    file.write_text(f"[database]\nconnection = sqlite:///{tmp_path}/nowhere/whimbrel.db\n")

    assert 1 == main.main(["--config-file", str(file), "db", "version"])

    assert "whimbrel-manage: the database" in capsys.readouterr().err


def test_a_missing_configuration_is_one_sentence(tmp_path, capsys):
    assert 1 == main.main(["--config-file", str(tmp_path / "none"), "db", "version"])

    assert "whimbrel-manage: " in capsys.readouterr().err


def test_the_sample_names_every_group(capsys):
    assert 0 == main.main(["config", "sample"])

    printed = capsys.readouterr().out
    assert all(f"[{group}]" in printed for group in ("DEFAULT", "database", "scheduler"))
    assert "#ram_weight_multiplier = 1.0" in printed
