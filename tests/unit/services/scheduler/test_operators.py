import pytest

from services.scheduler import operators


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        ("4", "= 4", True),
        ("5", "= 4", True),
        ("3", "= 4", False),
        ("4", "== 4", True),
        ("5", "== 4", False),
        ("5", "!= 4", True),
        ("4", ">= 4", True),
        ("5", "<= 4", False),
        ("x", ">= 4", False),
        ("4", ">=", False),
        ("kvm", "s== kvm", True),
        ("kvm", "s!= kvm", False),
        ("b", "s> a", True),
        ("a", "s>= b", False),
        ("a", "s< b", True),
        ("b", "s<= a", False),
        ("abc", "<in> b", True),
        ({"abc"}, "<in> b", False),
        ({"avx", "sse"}, "<all-in> sse avx", True),
        ({"avx"}, "<all-in> sse avx", False),
        ("b", "<or> a <or> b", True),
        ("c", "<or> a <or> b", False),
        ("plain words", "plain words", True),
        ("plain", "other", False),
        (None, "<or> a", False),
        ("", "", True),
    ],
)
def test_operators(value, wanted, expected):
    assert expected == operators.match(value, wanted)
