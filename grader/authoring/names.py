"""Which names a notebook cell defines, reads, and needs from the cells above it."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from IPython.core.inputtransformer2 import TransformerManager


def parse(source: str) -> ast.Module:
    """Parse a cell as IPython would run it: lines such as `%time` are no syntax errors.

    Raises:
        SyntaxError: with the line within the cell, from 1.
    """
    try:
        return ast.parse(source)
    except SyntaxError:
        try:
            python = TransformerManager().transform_cell(source)
        except SyntaxError:
            python = source
        if python.strip() == source.strip():
            raise
        return ast.parse(python)


def names_defined(source: str) -> set[str]:
    """Names that a cell binds at its top level."""
    return _read(source).defined


def names_used(source: str) -> set[str]:
    """Names that a cell reads from the notebook, inside functions too; local names are left out."""
    return _read(source).used


def names_needed(source: str) -> set[str]:
    """Those of `names_used` that the cell does not bind itself before it reads them.

    Builtins are among them. A function's body counts as read when the cell ends.
    """
    return _read(source).needed


class _Class(set[str]):
    """Names bound in the body of a class; its methods do not see them."""


class _Names(ast.NodeVisitor):
    """Walks a cell in the order in which it runs; bodies of functions come last."""

    def __init__(self) -> None:
        self.defined: set[str] = set()
        self.used: set[str] = set()
        self.needed: set[str] = set()
        self._scopes: list[set[str]] = []
        self._later: list[tuple[list[ast.AST], list[set[str]]]] = []

    def run(self, tree: ast.Module) -> None:
        self.visit(tree)
        while self._later:
            body, self._scopes = self._later.pop(0)
            self._visit_all(body)
        self._scopes = []

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _load(self, name: str) -> None:
        if any(name in scope for scope in self._scopes):
            return
        self.used.add(name)
        if name not in self.defined:
            self.needed.add(name)

    def _store(self, name: str | None) -> None:
        if name is not None and not self._scopes:
            self.defined.add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._store(node.id)
        else:
            self._load(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit_all([node.value, *node.targets])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_all([node.annotation, node.value])
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._load(node.target.id)
        self._visit_all([node.value, node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._visit_all([node.value, node.target])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._visit_all([node.iter, node.target, *node.body, *node.orelse])

    visit_AsyncFor = visit_For

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._visit_all([node.type])
        self._store(node.name)
        self._visit_all(node.body)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._store((alias.asname or alias.name).split(".")[0])

    visit_ImportFrom = visit_Import

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._visit_all([node.pattern])
        self._store(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._store(node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all([*node.decorator_list, node.returns])
        self._arguments(node.args)
        self._store(node.name)
        self._defer(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self._defer(node.args, [node.body])

    def _arguments(self, args: ast.arguments) -> None:
        self._visit_all([*args.defaults, *args.kw_defaults])
        self._visit_all(a.annotation for a in _parameters(args))

    def _defer(self, args: ast.arguments, body: list[ast.stmt] | list[ast.expr]) -> None:
        local = {a.arg for a in _parameters(args)} | _bound_in(body)
        outer = [scope for scope in self._scopes if not isinstance(scope, _Class)]
        self._later.append((list(body), [*outer, local]))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_all([*node.decorator_list, *node.bases, *node.keywords])
        self._scopes.append(_Class(_bound_in(node.body)))
        self._visit_all(node.body)
        self._scopes.pop()
        self._store(node.name)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        self.visit(node.generators[0].iter)
        local: set[str] = set()
        for generator in node.generators:
            local |= _bound_in([generator.target])
        self._scopes.append(local)
        for i, generator in enumerate(node.generators):
            self._visit_all([generator.iter] if i else [])
            self._visit_all(generator.ifs)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._visit_all(parts)
        self._scopes.pop()

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension


def _parameters(args: ast.arguments) -> list[ast.arg]:
    several = [args.vararg, args.kwarg]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *(a for a in several if a)]


def _bound_in(body: Iterable[ast.AST]) -> set[str]:
    """Names that the statements of a function bind in its own scope."""
    bound: set[str] = set()
    elsewhere: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
            return
        if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return
        if isinstance(node, ast.DictComp):
            return
        if isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound.update((a.asname or a.name).split(".")[0] for a in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
        for child in ast.iter_child_nodes(node):
            walk(child)

    for node in body:
        walk(node)
    return bound - elsewhere


def _read(source: str) -> _Names:
    names = _Names()
    names.run(parse(source))
    return names
