"""What the rules look at: the project's Python files, parsed, with the names that each imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported thing: `module` as written (relative names made absolute), `name` where it is a from-import."""

    module: str
    name: str | None
    bound: str
    line: int

    @property
    def full(self) -> str:
        """The dotted name of what was imported."""
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass(frozen=True)
class Module:
    """One file of the project."""

    path: str
    source: str
    tree: ast.Module = field(compare=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """The path's parts: ("server", "store", "db.py")."""
        return tuple(self.path.split("/"))

    def at(self, line: int, words: str) -> str:
        """A finding, clickable in most terminals."""
        return f"{self.path}:{line}: {words}"

    @cached_property
    def imports(self) -> list[Import]:
        """Everything that the file imports, wherever the import stands."""
        found: list[Import] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [Import(a.name, None, a.asname or a.name.partition(".")[0], node.lineno) for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = self._absolute(node)
                found += [Import(origin, a.name, a.asname or a.name, node.lineno) for a in node.names]
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.parts[: -node.level]
        return ".".join([*package, *([node.module] if node.module else [])])


class Project:
    """All modules under some folders of a root. Folders that do not exist yet hold none."""

    def __init__(self, modules: list[Module], bridges: frozenset[str]) -> None:
        self.modules = modules
        self.bridges = bridges
        """The bridges' names: the packages in `bridges/`."""

    @classmethod
    def of(cls, root: Path) -> Project:
        """Reads the files of the house that lie under `root`."""
        folders = ("server", "bridges", "deploy", "tests")
        files = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
        texts = {path.relative_to(root).as_posix(): path.read_text() for path in files}
        return cls.from_texts(texts)

    @classmethod
    def from_texts(cls, texts: dict[str, str]) -> Project:
        """A project of the given files, by path."""
        modules = [Module(path, text, ast.parse(text, path)) for path, text in texts.items()]
        bridges = frozenset(m.parts[1] for m in modules if m.parts[0] == "bridges" and len(m.parts) > 2)
        return cls(modules, bridges)

    def under(self, *parts: str) -> Iterator[Module]:
        """The modules of one folder and those below, tests and migrations left out."""
        for module in self.modules:
            if module.parts[: len(parts)] == parts and not {"tests", "migrations"} & set(module.parts):
                yield module
