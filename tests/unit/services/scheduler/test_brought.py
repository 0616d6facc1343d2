"""Filters and weighers of one's own, as an installed package brings them."""

import logging
import sys
import textwrap

import pytest

from common import clock
from common import context
from common import errors
from common import objects
from common import reasons
from common.config import load
from common.db import hosts
from common.db import services
from services.scheduler.filters import table as filters
from services.scheduler.manager import Manager
from services.scheduler.weighers import table as weighers
from tests import factories
from tests.factories import NOW

FEATURES = """
def tpm(host, request):
    return None if "tpm" in host.kind.features else "it has no TPM"

def age(host, request):
    return host.kind.hypervisor_version
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution of one module, with its entry points."""

    def install(name: str, code: str, group: str, **entries: str) -> None:
        sys.modules.pop(name, None)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        rows = [f"{entry} = {name}:{function}" for entry, function in entries.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *rows, ""]))

    monkeypatch.syspath_prepend(tmp_path)
    return install


def manager(database, **options: object) -> Manager:
    """Give a manager that takes the best of old, young and plain; the last has no TPM."""
    kinds = {
        "old": factories.facts(hypervisor_version=7002000, features=["tpm"]),
        "young": factories.facts(hypervisor_version=9000000, features=["tpm"]),
        "plain": factories.facts(hypervisor_version=10000000),
    }
    memory = {"old": 4000, "young": 3900, "plain": 8000}
    given = {f"scheduler.{name}": value for name, value in options.items()}
    conf = load.private({"scheduler.host_subset_size": 1, **given})
    made = Manager(conf, database, clock.HeldClock(NOW))
    with database.write() as tx:
        for name, facts in kinds.items():
            services.report(tx, factories.service(name), NOW)
            hosts.report(tx, factories.node(name, memory_mb=memory[name], facts=facts))
    return made


def select(manager: Manager, **values: object) -> objects.Selection:
    return manager.select_destinations(context.admin(), factories.spec(**values))


def test_a_filter_sees_what_the_hypervisor_is(database, install):
    """Although neither flavor nor image asks for anything of it."""
    install("tpm_filter", FEATURES, filters.GROUP, TpmFilter="tpm")

    chosen = select(manager(database, enabled_filters=["RamFilter", "TpmFilter"]))

    assert "old" == chosen.host
    assert "TpmFilter: it has no TPM" == chosen.refusals["plain"]


def test_a_weigher_sees_what_the_hypervisor_is(database, install):
    install("age_weigher", FEATURES, weighers.GROUP, age="age")

    chosen = select(manager(database, own_weights={"age": "-9.0"}), ignore_hosts=["plain"])
    ranked = manager(database, own_weights={"age": "2.0"}).rank(context.admin(), factories.spec())

    assert "old" == chosen.host
    assert {"old": 0.0, "plain": 2.0} == {
        one.host: one.scores["age"] for one in ranked if one.host != "young"
    }


def test_a_broken_package_that_is_not_enabled_concerns_nobody(database, install):
    install("broken_filter", "import nowhere_at_all", filters.GROUP, BrokenFilter="broken")
    install("broken_weigher", "import nowhere_at_all", weighers.GROUP, broken="broken")

    assert "plain" == select(manager(database)).host


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nowhere_at_all", "cannot be loaded: ModuleNotFoundError: .*nowhere_at_all"),
        ("", "cannot be loaded: AttributeError"),
        ("broken = 1", "is no function"),
    ],
)
@pytest.mark.parametrize(
    ("group", "option", "value"),
    [
        (filters.GROUP, "enabled_filters", ["broken"]),
        (weighers.GROUP, "own_weights", {"broken": "1"}),
    ],
)
def test_a_broken_one_that_is_enabled_stops_the_start(
    database, install, code, why, group, option, value
):
    """The sentence names the option, the package and the error."""
    install("broken_one", code, group, broken="broken")

    told = rf"{option} names broken, and broken_one:broken of broken_one {why}"
    with pytest.raises(errors.Invalid, match=told):
        manager(database, **{option: value})


def test_the_name_of_a_filter_of_whimbrel_is_taken(database, install):
    install("ram_filter", FEATURES, filters.GROUP, RamFilter="tpm")

    with pytest.raises(errors.Invalid, match="ram_filter:tpm of ram_filter brings RamFilter"):
        manager(database)


def test_the_name_of_a_weigher_of_whimbrel_is_taken(database):
    with pytest.raises(errors.Invalid, match=r"names ram, which has .*ram_weight_multiplier"):
        manager(database, own_weights={"ram": "1"})


def test_two_packages_with_one_name_stop_the_start(database, install):
    install("first", FEATURES, filters.GROUP, TpmFilter="tpm")
    install("second", FEATURES, filters.GROUP, TpmFilter="tpm")

    with pytest.raises(errors.Invalid, match=r"several packages bring: .*first.*second"):
        manager(database, enabled_filters=["TpmFilter"])


FAULTY = """
def refuse(host, request):
    if host.name == "plain":
        raise KeyError("colour")
    return True if host.name == "old" else None

def weigh(host, request):
    if host.name == "plain":
        raise KeyError("colour")
    return float("nan") if host.name == "old" else 5
"""


def test_a_filter_that_fails_refuses_the_host(database, install, caplog):
    """The request goes on with the others; a thing that is no reason is no consent either."""
    install("faulty", FAULTY, filters.GROUP, Faulty="refuse")

    chosen = select(manager(database, enabled_filters=["Faulty"]))

    assert "young" == chosen.host
    assert "Faulty: the filter itself failed: KeyError: 'colour'" == chosen.refusals["plain"]
    assert "it gave True" in chosen.refusals["old"]
    assert "filter Faulty failed for plain" in caplog.text
    assert [True] == [bool(r.exc_info) for r in caplog.records if "plain" in r.getMessage()]


def test_a_failing_filter_is_the_reason_of_a_refusal(database, install):
    install("faulty", FAULTY, filters.GROUP, Faulty="refuse")
    chosen = manager(database, enabled_filters=["Faulty"])

    with pytest.raises(errors.NoValidHost) as caught:
        select(chosen, requested_host="plain")

    (refusal,) = reasons.read(caught.value.facts)["plain"]
    assert "Faulty" == refusal["filter"]


def test_a_weigher_that_fails_gives_nothing(database, install, caplog):
    install("faulty", FAULTY, weighers.GROUP, faulty="weigh")

    with caplog.at_level(logging.ERROR):
        ranked = manager(database, own_weights={"faulty": "3"}).rank(
            context.admin(), factories.spec()
        )

    assert {"old": 0.0, "plain": 0.0, "young": 3.0} == {
        one.host: one.scores["faulty"] for one in ranked
    }
    assert {"weigher faulty failed for plain", "weigher faulty gave nan for old"} == {
        record.getMessage().partition(", which")[0] for record in caplog.records
    }
