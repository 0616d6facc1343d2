"""Modules and functions stay small enough to be read at one go."""

import ast

LINES = 400
FUNCTION = 50


def test_no_module_is_long(modules):
    """A module past 400 lines holds two nouns."""
    found = {module.name: module.text.count("\n") for module in modules if not module.migration}

    assert {} == {name: lines for name, lines in found.items() if lines > LINES}


def test_no_function_is_long(modules):
    """A function past 50 lines is several functions; 30 is the aim."""
    found = {
        f"{module.name}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in modules
        if not module.migration
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {} == {name: lines for name, lines in found.items() if lines > FUNCTION}
