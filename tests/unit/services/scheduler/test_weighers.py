import random

import pytest

from common import errors
from common import states
from common.config import load
from common.db import affinity
from common.db import claims
from common.db.candidates import Order
from common.db.hosts import Room
from services.scheduler.request import Request
from services.scheduler.weighers import table

ANY = Request("vm", {}, None, None, frozenset())
ONLY_RAM = {f"scheduler.{one.option}": 0.0 for name, one in table.WEIGHERS.items() if name != "ram"}


def room(name: str, memory: int = 0, cores: int = 0, **values) -> Room:
    amounts = {
        claims.MEMORY_MB: claims.Amount(memory, 0, 1.0, 0),
        claims.VCPU: claims.Amount(cores, 0, 1.0, 0),
    }
    return Room(name, "nova", True, 0.0, False, False, None, amounts, **values)


def ranked(rooms, request=ANY, seed=1, **options):
    conf = load.private({f"scheduler.{name}": value for name, value in options.items()})
    found = table.rank(table.choose(conf), rooms, request, random.Random(seed))
    return [one.host.name for one in found]


@pytest.mark.parametrize(
    ("weight", "best", "worst"), [(1.0, "large", "small"), (-1.0, "small", "large")]
)
def test_memory_spreads_or_stacks(weight, best, worst):
    rooms = [room("equal2", 20), room("small", 10), room("large", 30), room("equal1", 20)]

    names = ranked(rooms, ram_weight_multiplier=weight)

    assert (best, worst) == (names[0], names[-1])


def test_equals_are_in_an_order_of_chance():
    rooms = [room(f"host{number}", 10) for number in range(5)]

    orders = {tuple(ranked(rooms, seed=seed)) for seed in range(20)}

    assert len(orders) > 10


def test_weights_add_up():
    """Free memory and free processors count alike: who has much of both is the best."""
    rooms = [room("memory", 100, 1), room("both", 80, 80), room("cores", 1, 100)]

    assert "both" == ranked(rooms)[0]


@pytest.mark.parametrize(
    ("values", "other"),
    [({"io_ops": 3}, {}), ({"failures": 1}, {"io_ops": 3})],
)
def test_the_host_with_less_trouble_is_better(values, other):
    assert "other" == ranked([room("busy", 10, **values), room("other", 10, **other)])[0]


@pytest.mark.parametrize(
    ("policy", "best"),
    [(states.Affinity.SOFT_TOGETHER, "friend"), (states.Affinity.SOFT_APART, "stranger")],
)
def test_a_group_may_wish(policy, best):
    group = affinity.Group("g", policy, {}, {"friend": 2})

    names = ranked([room("friend", 10), room("stranger", 10)], ANY._replace(group=group))

    assert best == names[0]


def test_points_are_told_by_weigher():
    conf = load.private({"scheduler.ram_weight_multiplier": 2.0})
    rooms = [room("large", 30), room("small", 10)]

    first, last = table.rank(table.choose(conf), rooms, ANY, random.Random(1))

    assert (2.0, 2.0, 0.0) == (first.scores["ram"], first.score, last.score)


def test_no_host_has_no_rank():
    assert [] == ranked([])


def test_the_database_sorts_by_what_counts():
    conf = load.private({**ONLY_RAM, "scheduler.cpu_weight_multiplier": -1.0})

    found = table.orders(table.choose(conf))

    assert [Order(claims.MEMORY_MB, True), Order(claims.VCPU, False)] == found


def test_an_unknown_weigher_of_ones_own_is_named():
    with pytest.raises(errors.Invalid, match="colour"):
        table.choose(load.private({"scheduler.own_weights": {"colour": "1.0"}}))
