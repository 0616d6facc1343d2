import pytest
from oslo_config import cfg
from oslo_config import types

from common.config import load


@pytest.fixture(autouse=True)
def _global_options():
    """The program's options also fill the global object; leave it as it was."""
    yield
    cfg.CONF.reset()


def options():
    return [
        pytest.param(group, option, id=f"{group}.{option.name}")
        for group, many in load.list_opts()
        for option in many
    ]


@pytest.mark.parametrize(("group", "option"), options())
def test_option_explains_itself(group, option):
    """A sentence, and a range where it is a whole number."""
    assert option.help
    assert option.help.strip().endswith(".")
    if isinstance(option.type, types.Integer):
        assert option.type.min is not None


@pytest.mark.parametrize(("group", "option"), options())
def test_default_is_allowed(group, option):
    """A service starts with no file at all, and no default breaks its own rule."""
    conf = load.private({})

    value = conf[option.name] if group in {None, "DEFAULT"} else conf[group][option.name]
    assert value == option.default or option.default is None or isinstance(option.default, str)


def test_file_is_read(tmp_path):
    """The value of the file, in the process's options and for oslo.messaging."""
    file = tmp_path / "whimbrel.conf"
    file.write_text("[DEFAULT]\nhost = tern\n[service]\nheartbeat = 7\n")

    conf = load.load(["--config-file", str(file)], "whimbrel-test")

    assert ("tern", 7) == (conf.host, conf.service.heartbeat)
    assert [str(file)] == load.messaging().config_file


@pytest.mark.parametrize(
    "wrong", ["[service]\nheartbeat = 0\n", "[compute]\ndriver = magic\n", "no section\n"]
)
def test_wrong_file_is_refused(tmp_path, wrong):
    """At the start, not when the option is used."""
    file = tmp_path / "whimbrel.conf"
    file.write_text(wrong)

    with pytest.raises((cfg.Error, ValueError)):
        load.load(["--config-file", str(file)], "whimbrel-test")


def test_private_options_do_not_meet():
    """Several services in one process have their own."""
    one, other = load.private({"host": "a", "service.heartbeat": 5}), load.private({"host": "b"})

    assert ("a", 5) == (one.host, one.service.heartbeat)
    assert ("b", 10) == (other.host, other.service.heartbeat)


@pytest.mark.parametrize(
    ("name", "value"), [("service.heartbeat", 0), ("compute.driver", "magic"), ("nothing.at", 1)]
)
def test_wrong_private_option_is_refused(name, value):
    """A test or demo that mistypes an option is told so."""
    with pytest.raises((cfg.Error, ValueError)):
        load.private({name: value})
