"""Habits that no linter checks."""

import ast
import re

SUPPRESSION = re.compile(r"# (?:type: ignore|noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*)(?P<rest>.*)$")


def test_no_test_sleeps(modules):
    """A test waits for the event; time alone proves nothing and costs minutes."""
    found = [
        f"{module.name}:{node.lineno}"
        for module in modules
        if module.name.startswith("tests/")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _last(node.func) == "sleep"
    ]

    assert [] == found


def test_global_options_stay_in_config(modules):
    """Options are passed; the global object is named in common/config alone."""
    found = [
        f"{module.name}:{node.lineno}"
        for module in modules
        if not module.name.startswith(("common/config/", "tests/"))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "cfg.CONF"
    ]

    assert [] == found


def test_every_lint_exception_has_a_reason(root):
    """Each rule that pyproject.toml switches off says why on the same line."""
    lines = (root / "pyproject.toml").read_text().splitlines()
    rules = [line for line in lines if re.match(r'\s+"[A-Z]+\d+",', line)]

    assert [] == [line for line in rules if not re.search(r"# \w", line)]
    assert rules


def test_every_suppression_has_a_reason(modules):
    """A noqa or a type: ignore says why, behind it or on the line above."""
    found = []
    for module in modules:
        lines = module.text.splitlines()
        for number, line in enumerate(lines):
            match = SUPPRESSION.search(line)
            above = lines[number - 1].strip().startswith("#") if number else False
            if match and not above and not re.search(r"\w{3}", _reason(match["rest"])):
                found.append(f"{module.name}:{number + 1}")

    assert [] == found


def _reason(rest: str) -> str:
    """Leave the codes in brackets out of what follows a suppression."""
    return re.sub(r"^\[[\w, -]+\]", "", rest)


def _last(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
