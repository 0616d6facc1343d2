import pytest

from common.config import load
from common.db import claims
from common.db.hosts import Room
from services.scheduler.weighers import table


def room(name: str, free: int) -> Room:
    amounts = {claims.MEMORY_MB: claims.Amount(free, 0, 1.0, 0)}
    return Room(name, "nova", True, 0.0, False, False, None, amounts)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(1.0, ["large", "equal1", "equal2", "small"]), (-1.0, ["small", "equal1", "equal2", "large"])],
)
def test_memory_spreads_or_stacks(weight, expected):
    conf = load.private({"scheduler.ram_weight": weight})
    rooms = [room("equal2", 20), room("small", 10), room("large", 30), room("equal1", 20)]

    ranked = table.rank(conf, rooms)

    assert expected == [found.name for found in ranked]


def test_a_weight_of_zero_leaves_the_names():
    conf = load.private({"scheduler.ram_weight": 0.0})

    assert ["a", "b"] == [found.name for found in table.rank(conf, [room("b", 9), room("a", 1)])]


def test_no_host_has_no_rank():
    assert [] == table.rank(load.private({}), [])
