"""One module writes each table; others call it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from tests.layers.tree import Module, Project

SCHEMA = "server.store.schema"
UPSERT = "server/store/upsert.py"
WRITES = frozenset({"insert", "update", "delete"})
_SQL = re.compile(
    r"\b(?:INSERT(?: OR \w+)? INTO|DELETE FROM|REPLACE INTO) +(\w+)|\bUPDATE +(\w+) +SET\b", re.IGNORECASE
)


def one_module_writes_each_table(project: Project) -> Iterator[str]:
    """No table is written by two modules of the server."""
    by_table: dict[str, dict[str, int]] = defaultdict(dict)
    for table, module, line in writes(project):
        by_table[table].setdefault(module.path, line)
    for table, places in sorted(by_table.items()):
        if len(places) > 1:
            named = ", ".join(f"{path}:{line}" for path, line in sorted(places.items()))
            yield f"{table} is written by {len(places)} modules: {named}"


def writes(project: Project) -> Iterator[tuple[str, Module, int]]:
    """Every statement that writes a table: table, module, line."""
    tables = _tables(project)
    helpers = _helpers(project)
    for module in project.under("server"):
        known = _Names(module, tables)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                for table in _written(node, known, helpers):
                    yield table, module, node.lineno
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                for match in _SQL.finditer(node.value):
                    word = (match[1] or match[2]).lower()
                    if word in tables.values():
                        yield word, module, node.lineno


def _written(call: ast.Call, known: _Names, helpers: frozenset[str]) -> set[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    found: set[str] = set()
    if name in WRITES and isinstance(call.func, ast.Attribute):
        found |= known.tables_of(call.func.value)  # posts.insert()
    if (name in WRITES and call.args) or name in helpers:
        for argument in call.args[: 1 if name in WRITES else None]:
            found |= known.tables_of(argument)  # insert(posts), sqlite.insert(posts), insert_new(tx, posts, …)
    return found


def _tables(project: Project) -> dict[str, str]:
    """Variable of the schema module -> the table's name."""
    found: dict[str, str] = {}
    for module in project.modules:
        if module.path != SCHEMA.replace(".", "/") + ".py":
            continue
        for node in module.tree.body:
            value = getattr(node, "value", None)
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Call) and value.args:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                called = getattr(value.func, "id", getattr(value.func, "attr", ""))
                if called == "Table" and isinstance(target, ast.Name) and isinstance(value.args[0], ast.Constant):
                    found[target.id] = str(value.args[0].value)
    return found


def _helpers(project: Project) -> frozenset[str]:
    """The store's functions that write the table they are given."""
    trees = [module.tree for module in project.modules if module.path == UPSERT]
    return frozenset(node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef))


class _Names:
    """What the names of one module mean: which are tables, which the schema module, which run over several tables."""

    def __init__(self, module: Module, tables: dict[str, str]) -> None:
        self._tables = tables
        self._direct: dict[str, set[str]] = {}
        self._schemas: set[str] = set()
        for found in module.imports:
            if found.full == SCHEMA:
                self._schemas.add(found.bound)
            elif found.module == SCHEMA and found.name in tables:
                self._direct[found.bound] = {tables[found.name]}
        for node in ast.walk(module.tree):
            self._loop(node)

    def tables_of(self, node: ast.expr) -> set[str]:
        """The tables that an expression can stand for."""
        if isinstance(node, ast.Name):
            return self._direct.get(node.id, set())
        if isinstance(node, ast.Attribute) and node.attr in self._tables:
            base = node.value
            if isinstance(base, ast.Name) and base.id in self._schemas:
                return {self._tables[node.attr]}
        return set()

    def _loop(self, node: ast.AST) -> None:
        """`for table in (bodies, attachments):` and `for table, column in ((bodies, …), …):`"""
        if not isinstance(node, ast.For | ast.comprehension) or not isinstance(node.iter, ast.Tuple | ast.List):
            return
        targets = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
        for position, target in enumerate(targets):
            if not isinstance(target, ast.Name):
                continue
            for item in node.iter.elts:
                each = (
                    item.elts[position] if isinstance(node.target, ast.Tuple) and isinstance(item, ast.Tuple) else item
                )
                self._direct.setdefault(target.id, set()).update(self.tables_of(each))
