"""The operators of flavor extra specs, as Nova reads them.

"= 4" means at least 4, "== 4" exactly 4, "s== x" the same text, "<in> x" a
part of it, "<all-in> x y" all of them, "<or> x <or> y" one of them. Without an
operator the text must be the same.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING
from typing import TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Collection

Value: TypeAlias = "str | Collection[str]"

NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
TEXTS: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s>": operator.gt,
    "s>=": operator.ge,
    "s<": operator.lt,
    "s<=": operator.le,
}


def match(value: Value | None, wanted: str) -> bool:
    """Tell whether the value is what an extra spec wants of it; an unknown value never is."""
    if value is None:
        return False
    first, *words = wanted.split() or [""]
    many = MANY.get(first)
    if many is not None:
        return many(value, words)
    if first in NUMBERS:
        return _number(NUMBERS[first], value, words)
    if first in TEXTS:
        return bool(words) and TEXTS[first](_text(value), words[0])
    return _same(value, wanted)


MANY: dict[str, Callable[[Value, list[str]], bool]] = {
    "<or>": lambda value, words: any(_same(value, word) for word in words if word != "<or>"),
    "<in>": lambda value, words: bool(words) and words[0] in value,
    "<all-in>": lambda value, words: all(word in value for word in words),
}


def _number(compare: Callable[[float, float], bool], value: Value, words: list[str]) -> bool:
    try:
        return compare(float(_text(value)), float(words[0]))
    except (ValueError, IndexError):
        return False


def _same(value: Value, wanted: str) -> bool:
    return _text(value) == wanted


def _text(value: Value) -> str:
    return value if isinstance(value, str) else " ".join(sorted(value))
