"""Records that a calibration has collected and that are still good: judged again, not measured.

To measure a lab's answers over twenty seeds takes most of an hour; to judge them by another limit,
a minute or less. A record is good for the same cells, the same collecting code and the same
libraries. Sentences are used by judges only, and so are limits that no collector asks: they may
change.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import platform
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from grader.checks import evidence
from grader.checks.catalogue import PACKAGE
from grader.checks.evidence import EvidenceError, Record

_SENTENCES = {"measured", "means", "look_next"}
_COLLECTORS = {"collect", "measure"}  # arguments of Check and Diagnosis


class Records:
    """Records in a file of JSON lines, by fingerprint and seed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, Record] = {}
        self._used: set[str] = set()
        self._in_a_line = False
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            self._in_a_line = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                try:
                    entry = json.loads(line)
                    self._kept[entry["key"]] = evidence.from_json(entry["record"])
                except (ValueError, KeyError, TypeError, EvidenceError):
                    continue  # a line cut short by an interruption, or of an earlier version

    def find(self, fingerprint: str, seed: int) -> Record | None:
        """The record of an earlier measurement of the same thing, if there is one."""
        key = f"{fingerprint}/{seed}"
        self._used.add(key)
        return self._kept.get(key)

    def keep(self, fingerprint: str, seed: int, record: Record) -> None:
        """Add a record; it is in the file when this returns."""
        key = f"{fingerprint}/{seed}"
        self._used.add(key)
        self._kept[key] = record
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._in_a_line + _line(key, record))
        self._in_a_line = False

    def forget_unused(self) -> None:
        """Keep only what was looked for or added since this object was made."""
        self._kept = {key: record for key, record in self._kept.items() if key in self._used}
        if self._path.is_file():
            text = "".join(_line(key, record) for key, record in self._kept.items())
            self._path.write_text(text, encoding="utf-8")


def _line(key: str, record: Record) -> str:
    return json.dumps({"key": key, "record": evidence.to_json(record)}) + "\n"


def fingerprint(
    check: str, cells: Iterable[str], checks: Path, framework: str, version: str
) -> str:
    """What a record depends on besides its seed, as 64 hexadecimal digits.

    Args:
        check: name of the check.
        cells: sources of the cells that are run for it, the answer's among them.
        checks: the lab's checks.py; its limits and its sentences are left out.
        framework, version: of the framework.
    """
    cells = list(cells)
    source = checks.read_text(encoding="utf-8")
    parts = [check, framework, version, np.__version__, platform.python_version(), *cells]
    parts.append(collecting_code(source))
    for path in _files_behind([source, *cells], framework):
        parts.append(path.read_text(encoding="utf-8"))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


class _WithoutJudgement(ast.NodeTransformer):
    """Takes away the sentences of findings, and limits but for those of some names."""

    def __init__(self, asked: set[str]) -> None:
        self._asked = asked

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        if names & self._asked:
            return node
        if names & set(_SENTENCES) and isinstance(node.value, ast.Constant | ast.JoinedStr):
            node.value = ast.Constant("")
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "Threshold" and len(node.args) > 1:
            node.args[1] = ast.Constant(0)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "finding":
            node.keywords = [k for k in node.keywords if k.arg not in _SENTENCES]
        return node


@functools.cache
def collecting_code(source: str) -> str:
    """The code of a checks.py without comments, sentences of findings, and judges' limits.

    A limit stays where a collector asks it, directly or through functions of the same file.
    """
    tree = ast.parse(source)
    return ast.dump(_WithoutJudgement(_names_behind_collectors(tree)).visit(tree))


def _names_behind_collectors(tree: ast.Module) -> set[str]:
    functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
    missing = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg in _COLLECTORS
        for name in _names(node.value)
    }
    found: set[str] = set()
    while missing:
        name = missing.pop()
        found.add(name)
        if name in functions:
            missing |= _names(functions[name]) - found
    return found


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _files_behind(sources: Iterable[str], framework: str) -> list[Path]:
    """Files of the package that the sources import, directly or through one another."""
    missing = {f"grader.frameworks.{framework}"}
    for source in sources:
        missing |= _imported(source)
    found: dict[str, Path] = {}
    while missing:
        name = missing.pop()
        path = _file_of(name)
        if name in found or path is None:
            continue
        found[name] = path
        missing |= _imported(path.read_text(encoding="utf-8"))
    return [found[name] for name in sorted(found)]


@functools.cache
def _imported(source: str) -> frozenset[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:  # an answer may be broken on purpose
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _file_of(module: str) -> Path | None:
    first, *rest = module.split(".")
    if first != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*rest)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None
