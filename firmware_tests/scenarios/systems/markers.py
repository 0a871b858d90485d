"""The markers of all scenarios, read from their sources without running them.

A marker counts only where a test that passes must have come past it: `with shows(...)` stands in the test's own body
(or in another `with` of it), with literal texts, and checks something. `conftest.py` holds each test that ran to them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_tests.scenarios.systems.rows import CAPABILITIES, ROWS

HERE = Path(__file__).parent
CHECKS = frozenset({"refuses", "raises"})
"""Helpers whose use checks something, as `assert` does."""


class BadMarker(Exception):
    """A marker that would claim what no test holds."""


@dataclass(frozen=True)
class Shown:
    row: str
    capabilities: tuple[str, ...]
    claim: str
    file: str
    test: str


@dataclass(frozen=True)
class NotYet:
    row: str
    capabilities: tuple[str, ...]
    reason: str
    file: str


def collect(directory: Path = HERE) -> tuple[list[Shown], list[NotYet]]:
    """All markers. Raises BadMarker."""
    shown: list[Shown] = []
    missing: list[NotYet] = []
    for path in sorted(directory.glob("test_*.py")):
        more = read(path.read_text(), path.name)
        shown += more[0]
        missing += more[1]
    return shown, missing


def read(source: str, file: str) -> tuple[list[Shown], list[NotYet]]:
    """The markers of one file. Raises BadMarker."""
    tree = ast.parse(source)
    shown = []
    for test in _tests(tree):
        if any(_called(node) == "shows" for node in ast.walk(test)):
            _refuse_ways_out(test, file)
        for block in _blocks(test.body):
            for item in block.items:
                if _called(item.context_expr) == "shows":
                    assert isinstance(item.context_expr, ast.Call)
                    row, capabilities, claim = _texts(item.context_expr, file)
                    _refuse_empty(block, file, claim)
                    shown.append(Shown(row, capabilities, claim, file, test.name))
    missing = []
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and _called(statement.value) == "not_yet":
            assert isinstance(statement.value, ast.Call)
            missing.append(NotYet(*_texts(statement.value, file), file))
    for name, found in (("shows", len(shown)), ("not_yet", len(missing))):
        if sum(_called(node) == name for node in ast.walk(tree)) != found:
            raise BadMarker(f"{file}: {name} stands where it may be passed by")
    return shown, missing


def written(source: str, file: str, test: str) -> list[tuple[str, str, str]]:
    """What one test shows when it passes, in the form of claims.take_shown. Raises BadMarker."""
    shown, _ = read(source, file)
    return [(one.row, " ".join(one.capabilities), one.claim) for one in shown if one.test == test]


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_"):
            yield statement


def _blocks(body: Sequence[ast.stmt]) -> Iterator[ast.With]:
    for statement in body:
        if isinstance(statement, ast.With):
            yield statement
            yield from _blocks(statement.body)


def _refuse_ways_out(test: ast.FunctionDef, file: str) -> None:
    if test.decorator_list:
        raise BadMarker(f"{file}: {test.name} is decorated: it may be skipped")
    for node in _own(test):
        if isinstance(node, ast.Return) or _called(node) in {"skip", "xfail", "importorskip"}:
            raise BadMarker(f"{file}: {test.name} may end before its markers")


def _own(test: ast.AST) -> Iterator[ast.AST]:
    """What stands in the test itself, but for the functions inside it."""
    for node in ast.iter_child_nodes(test):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield node
            yield from _own(node)


def _refuse_empty(block: ast.With, file: str, claim: str) -> None:
    inside = [node for statement in block.body for node in ast.walk(statement)]
    beside = [item.context_expr for item in block.items]
    checks = any(isinstance(node, ast.Assert) or _called(node) in CHECKS for node in [*inside, *beside])
    if not checks:
        raise BadMarker(f"{file}: nothing is checked for {claim!r}")


def _texts(call: ast.Call, file: str) -> tuple[str, tuple[str, ...], str]:
    values = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if call.keywords or len(values) != 3 or len(call.args) != 3 or not all(values):
        raise BadMarker(f"{file}:{call.lineno}: a marker has three literal texts")
    row, capabilities, text = values
    if row not in ROWS:
        raise BadMarker(f"{file}:{call.lineno}: there is no row {row}")
    codes = tuple(capabilities.split())
    if not codes or not set(codes) <= CAPABILITIES.keys():
        raise BadMarker(f"{file}:{call.lineno}: {capabilities} are not capabilities")
    return row, codes, text


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Name):
        return node.func.id
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""
