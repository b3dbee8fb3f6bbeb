"""Who may import, name and do what. Each rule takes the project and yields what breaks it, one line each."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from tests.layers.tree import Import, Module, Project

GROUND = frozenset(
    [
        "config",
        "errors",
        "log",
        "metrics",
        "clock",
        "limits",
        "tokens",
        "i18n",
        "render",
        "subjects",
        "markup",
        "values",
        "globs",
    ]
)
"""The modules of `server/` that everybody may import and that import nothing of ours but each other."""

LOWER = {"store": (), "content": (), "people": ("store",), "moderation": ("store", "people")}
"""The rooms that stand lowest, each with those of the other rooms that it may import."""

DISCOVERS = "server/app.py"
"""The one file that may import the package `bridges`, to look into its folder; it names none of them."""

MAKES_ENGINES = ("server/store/",)
BEGINS = ("server/store/db.py", "server/store/migrate.py")
"""Where transactions begin; `migrate` has the one that brings the schema up to date before the store opens."""

DATABASE = frozenset({"sqlalchemy", "alembic", "sqlite3", "psycopg", "psycopg_pool", "aiosqlite", "asyncpg"})
SOCKETS = frozenset({"socket", "aiohttp", "aiosmtpd", "aiosmtplib", "smtplib", "http", "urllib", "nio", "subprocess"})
LONGEST_FILE = 400
DECLARATIONS = ("server/store/schema.py",)  # read like a dictionary: nothing runs in it
LOUD = frozenset({"exception", "error", "critical", "warning", "warn", "info", "fatal"})


def server_knows_no_bridge(project: Project) -> Iterator[str]:
    """`server/` imports nothing of `bridges/` and has no identifier or string equal to a bridge's name."""
    for module in project.under("server"):
        allowed = {name for name in project.bridges if any(_is_standard(i, name) for i in module.imports)}
        for found in module.imports:
            if found.module.partition(".")[0] == "bridges" and (found.full, module.path) != ("bridges", DISCOVERS):
                yield module.at(found.line, f"imports {found.full}")
        for line, word in _words(module.tree, allowed):
            if word in project.bridges:
                yield module.at(line, f"names the bridge {word!r}")


def _is_standard(found: Import, name: str) -> bool:
    """Whether this is `import email` or `import email.utils` of the standard library, whose name it binds."""
    top = found.module.partition(".")[0]
    return top == name == found.bound and found.name is None and name in sys.stdlib_module_names


def _words(tree: ast.AST, allowed: set[str]) -> Iterator[tuple[int, str]]:
    """Every identifier and every string of the tree, but for imports by absolute name and uses of what they bind."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str | bytes):
                yield line, node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        elif isinstance(node, ast.alias):
            yield from ((line, word) for word in _alias_words(node, allowed))
        elif isinstance(node, ast.ImportFrom):
            continue  # the module's name is checked as an import, the names are aliases
        elif isinstance(node, ast.Name) and node.id in allowed:
            continue
        else:
            for _, value in ast.iter_fields(node):
                values = value if isinstance(value, list) else [value]
                yield from ((line, each) for each in values if isinstance(each, str))


def _alias_words(node: ast.alias, allowed: set[str]) -> Iterator[str]:
    if node.name.partition(".")[0] not in allowed:
        yield from node.name.split(".")
    if node.asname:
        yield node.asname


def bridges_know_the_port_and_the_ground(project: Project) -> Iterator[str]:
    """A bridge imports of ours only `server.bridge`, the ground and itself, and nothing that reaches a database."""
    for module in project.under("bridges"):
        own = ".".join(module.parts[:2]) if len(module.parts) > 2 else "bridges"
        for found in module.imports:
            top = found.module.partition(".")[0]
            if top in DATABASE:
                yield module.at(found.line, f"imports {found.full}: a bridge never reaches the store")
            elif top == "server" and _server_part(found) not in GROUND | {"bridge"}:
                yield module.at(found.line, f"imports {found.full}: only the port and the ground are for bridges")
            elif top == "bridges" and not f"{found.full}.".startswith(f"{own}."):
                yield module.at(found.line, f"imports {found.full}: bridges do not know each other")
            elif top in ("deploy", "tests"):
                yield module.at(found.line, f"imports {found.full}")


def _server_part(found: Import) -> str:
    """Which part of the server: `bridge` of both `from server import bridge` and `from server.bridge import Post`."""
    parts = found.full.split(".")
    return parts[1] if len(parts) > 1 else ""


def the_ground_carries_itself(project: Project) -> Iterator[str]:
    """Ground modules import nothing of ours but ground modules; the port neither, nor anything that does I/O."""
    for module in project.under("server"):
        name = module.parts[1].removesuffix(".py")
        port = name == "bridge"
        if not port and name not in GROUND:
            continue
        stands_on = GROUND | {"bridge"} if port else GROUND
        for found in module.imports:
            top = found.module.partition(".")[0]
            if top in ("bridges", "deploy", "tests") or (top == "server" and _server_part(found) not in stands_on):
                yield module.at(found.line, f"imports {found.full}: the ground stands on nothing of ours")
            elif port and top in DATABASE | SOCKETS:
                yield module.at(found.line, f"imports {found.full}: the port does no I/O")


def lower_rooms_know_no_higher_ones(project: Project) -> Iterator[str]:
    """People and moderation write rows and call neither the desk nor deliveries; the store and content know none of them."""
    for room, below in LOWER.items():
        for module in project.under("server", room):
            for found in module.imports:
                part = _server_part(found) if found.module.partition(".")[0] == "server" else ""
                if part and part not in {*GROUND, "bridge", room, *below}:
                    yield module.at(found.line, f"imports {found.full}: that room stands above this one")


def the_demo_stands_alone(project: Project) -> Iterator[str]:
    """`deploy/demo` imports neither the server nor a bridge, and the server and bridges import nothing of deploy or tests."""
    for module in project.under("deploy"):
        for found in module.imports:
            if found.module.partition(".")[0] in ("server", "bridges", "tests"):
                yield module.at(found.line, f"imports {found.full}: the demo talks to the house through its doors only")
    for module in project.under("server"):
        for found in module.imports:
            if found.module.partition(".")[0] in ("deploy", "tests"):
                yield module.at(found.line, f"imports {found.full}")


def engines_are_made_by_the_store(project: Project) -> Iterator[str]:
    """Engines and connections are made in `server/store/` only."""
    for module in _product(project):
        if module.path.startswith(MAKES_ENGINES):
            continue
        for found in module.imports:
            if found.module.partition(".")[0] in DATABASE - {"sqlalchemy", "alembic"}:
                yield module.at(found.line, f"imports {found.full}: connections are the store's")
        for line, called in _calls(module):
            if called.rpartition(".")[2] in ("create_engine", "create_async_engine", "engine_from_config"):
                yield module.at(line, f"calls {called}: engines are the store's")


def transactions_begin_in_one_file(project: Project) -> Iterator[str]:
    """`.begin()` and its kin are called in `server/store/db.py` only."""
    for module in _product(project):
        if module.path in BEGINS:
            continue
        for line, called in _calls(module):
            if called.rpartition(".")[2] in ("begin", "begin_nested", "commit", "rollback") and "." in called:
                yield module.at(line, f"calls {called}: units of work get their transaction from the store")


def failures_are_not_swallowed(project: Project) -> Iterator[str]:
    """A handler for everything logs what it caught, hands it on, or raises."""
    for module in _product(project):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node) and not _speaks(node):
                yield module.at(node.lineno, "catches everything and says nothing")


def _catches_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(each, ast.Name) and each.id in ("Exception", "BaseException") for each in types)


def _speaks(handler: ast.ExceptHandler) -> bool:
    for node in ast.walk(ast.Module(handler.body, [])):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Name) and node.id == handler.name:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOUD:
            return True
    return False


def nothing_global_changes(project: Project) -> Iterator[str]:
    """No `global` statements: what the process knows beside logs and metrics belongs to an object."""
    for module in _product(project):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Global):
                yield module.at(node.lineno, f"global {', '.join(node.names)}")


def files_are_short(project: Project) -> Iterator[str]:
    """No file is longer than 400 lines, tests included; migrations are written once, the tables only declare."""
    for module in project.modules:
        lines = module.source.count("\n")
        exempt = "migrations" in module.parts or module.path in DECLARATIONS
        if lines > LONGEST_FILE and not exempt:
            yield module.at(lines, f"{lines} lines, {LONGEST_FILE} are the most")


def _product(project: Project) -> Iterator[Module]:
    yield from project.under("server")
    yield from project.under("bridges")


def _calls(module: Module) -> Iterator[tuple[int, str]]:
    """Every call: the line, and the name or dotted end of what is called (`store.begin`, `….begin`)."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.lineno, node.func.id
            elif isinstance(node.func, ast.Attribute):
                base = node.func.value.id if isinstance(node.func.value, ast.Name) else "…"
                yield node.lineno, f"{base}.{node.func.attr}"
