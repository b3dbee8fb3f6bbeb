"""The rules see what breaks them, and let pass what does not."""

from collections.abc import Callable, Iterator

import pytest

from tests.layers import rules, writers
from tests.layers.tree import Project

Rule = Callable[[Project], Iterator[str]]

# A house in small: two bridges, a ground, a schema.
HOUSE = {
    "bridges/__init__.py": "",
    "bridges/email/__init__.py": "",
    "bridges/matrix/__init__.py": "",
    "server/store/schema.py": "posts = Table('posts', m)\nrefs: Table = sa.Table('refs', m)\n",
    "server/store/upsert.py": "def insert_new(tx, table, values):\n    tx.execute(table.insert())\n",
}


def broken(rule: Rule, **files: str) -> list[str]:
    """What the rule finds; a file's name has its slashes as double underscores."""
    texts = {name.replace("__", "/") + ".py": text for name, text in files.items()}
    return list(rule(Project.from_texts(HOUSE | texts)))


@pytest.mark.parametrize(
    "text",
    [
        "import bridges",
        "import bridges.email.parse",
        "from bridges import matrix",
        "from bridges.email import parse",
        "x = 'matrix'",
        "x = b'email'",
        "x = f'{y}' + 'email'",
        "email = 1",
        "def matrix(): pass",
        "class matrix: pass",
        "def f(email): pass",
        "f(email=1)",
        "person.email",
        "from x import y as email",
        "import x as matrix",
        "import matrix",
        "from server.people import email",
        "try:\n    pass\nexcept E as email:\n    pass",
        "match x:\n    case {'a': email}:\n        pass",
        "d = {'email': 1}",
        "email = 1\nimport email.utils as u",
    ],
)
def test_a_server_that_names_a_bridge_is_seen(text: str) -> None:
    assert broken(rules.server_knows_no_bridge, server__desk__x=text)


@pytest.mark.parametrize(
    "text",
    [
        "from email.utils import parseaddr\nparseaddr('x')",
        "from email import policy",
        "import email.utils\nemail.utils.parseaddr('x')",
        "'''A bridge may be email or matrix.'''",
        "x = 'an email'; emails = 1; matrix_like = 2",
        "import importlib\nimportlib.import_module('bridges')",
    ],
)
def test_a_server_that_names_none_passes(text: str) -> None:
    assert broken(rules.server_knows_no_bridge, server__desk__x=text) == []


def test_only_the_composer_looks_into_the_folder_of_bridges() -> None:
    assert broken(rules.server_knows_no_bridge, server__app="import bridges") == []
    assert broken(rules.server_knows_no_bridge, server__app="import bridges.email")
    assert broken(rules.server_knows_no_bridge, server__app="from bridges import email")


@pytest.mark.parametrize(
    "text",
    [
        "from server.store import db",
        "from server import store",
        "import server.desk.accept",
        "import server",
        "from bridges.matrix import parse",
        "from bridges import matrix",
        "from ..matrix import parse",
        "import sqlalchemy as sa",
        "import sqlite3",
        "from deploy.demo import run",
        "def f():\n    from server.people import identity",
    ],
)
def test_a_bridge_that_reaches_too_far_is_seen(text: str) -> None:
    assert broken(rules.bridges_know_the_port_and_the_ground, bridges__email__x=text)


@pytest.mark.parametrize(
    "text",
    [
        "from server.bridge import NewPost",
        "from server import bridge, clock, i18n, render",
        "from server.i18n import _",
        "from bridges.email import parse",
        "from . import parse\nfrom .parse import text",
        "import email\nimport aiosmtpd",
    ],
)
def test_a_bridge_that_keeps_to_the_port_passes(text: str) -> None:
    assert broken(rules.bridges_know_the_port_and_the_ground, bridges__email__x=text) == []


def test_a_bridges_tests_may_reach_anywhere() -> None:
    assert broken(rules.bridges_know_the_port_and_the_ground, bridges__email__tests__x="import server.store") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("server__clock", "from server.store import db"),
        ("server__clock", "from server import bridge"),
        ("server__bridge", "from server.desk import accept"),
        ("server__bridge", "import aiohttp"),
        ("server__bridge", "import sqlalchemy"),
    ],
)
def test_a_ground_that_leans_on_the_house_is_seen(name: str, text: str) -> None:
    assert broken(rules.the_ground_carries_itself, **{name: text})
    assert broken(rules.the_ground_carries_itself, **{name: "from server import clock\nimport time"}) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("deploy__demo__x", "from server import clock"),
        ("deploy__demo__x", "import bridges"),
        ("server__x", "import deploy.demo"),
        ("server__x", "from tests import peers"),
    ],
)
def test_a_demo_with_a_back_door_is_seen(name: str, text: str) -> None:
    assert broken(rules.the_demo_stands_alone, **{name: text})
    assert broken(rules.the_demo_stands_alone, **{name: "import aiohttp"}) == []


@pytest.mark.parametrize("text", ["import sqlite3", "import psycopg", "sa.create_engine(url)", "create_engine(url)"])
def test_an_engine_made_elsewhere_is_seen(text: str) -> None:
    assert broken(rules.engines_are_made_by_the_store, server__desk__x=text)
    assert broken(rules.engines_are_made_by_the_store, server__store__db=text) == []


@pytest.mark.parametrize("text", ["engine.begin()", "tx.begin_nested()", "self._store.engine.begin()", "tx.commit()"])
def test_a_transaction_begun_elsewhere_is_seen(text: str) -> None:
    assert broken(rules.transactions_begin_in_one_file, server__desk__x=text)
    assert broken(rules.transactions_begin_in_one_file, server__store__db=text) == []


@pytest.mark.parametrize(
    "handler",
    ["except Exception:\n    pass", "except:\n    x = 1", "except (OSError, BaseException) as e:\n    f()"],
)
def test_a_swallowed_failure_is_seen(handler: str) -> None:
    assert broken(rules.failures_are_not_swallowed, bridges__email__x=f"try:\n    f()\n{handler}")


@pytest.mark.parametrize(
    "handler",
    [
        "except Exception:\n    log.exception('lost')",
        "except Exception as e:\n    raise Deferred from e",
        "except Exception as e:\n    answer = (None, e)",
        "except OSError:\n    pass",
    ],
)
def test_a_failure_that_is_told_passes(handler: str) -> None:
    assert broken(rules.failures_are_not_swallowed, server__x=f"try:\n    f()\n{handler}") == []


def test_a_global_statement_is_seen() -> None:
    assert broken(rules.nothing_global_changes, server__x="def f():\n    global cache\n    cache = 1")
    assert broken(rules.nothing_global_changes, server__x="CACHE = 1") == []


def test_a_long_file_is_seen() -> None:
    assert broken(rules.files_are_short, server__x="x = 1\n" * 401)
    assert broken(rules.files_are_short, server__x="x = 1\n" * 400) == []
    assert broken(rules.files_are_short, server__store__migrations__x="x = 1\n" * 401) == []


@pytest.mark.parametrize(
    ("room", "text", "fine"),
    [
        ("people", "from server.desk import Desk", False),
        ("people", "from server.delivery import letters", False),
        ("people", "def f():\n    from server import moderation", False),
        ("moderation", "import server.desk.forums", False),
        ("content", "from server.people import identity", False),
        ("moderation", "from server.people import identity", True),
        ("people", "from server.store.schema import people\nfrom server import bridge, clock\nimport json", True),
    ],
)
def test_a_lower_room_that_leans_on_a_higher_one_is_seen(room: str, text: str, fine: bool) -> None:
    assert (broken(rules.lower_rooms_know_no_higher_ones, **{f"server__{room}__x": text}) == []) == fine


WRITER = "from sqlalchemy import insert, update\nfrom server.store.schema import posts\ninsert(posts)"


@pytest.mark.parametrize(
    "text",
    [
        "from server.store.schema import posts\ntx.execute(posts.insert().values(a=1))",
        "from server.store.schema import posts as p\nupdate(p)",
        "from server.store import schema\nschema.posts.delete()",
        "from server.store import schema as s\nsqlite.insert(s.posts)",
        "import server.store.schema as s\ndelete(s.posts)",
        "from server.store.schema import posts\nfrom server.store.upsert import insert_new\ninsert_new(tx, posts, {})",
        "from server.store.schema import posts, refs\nfor table in (refs, posts):\n    tx.execute(table.delete())",
        "from server.store.schema import posts\nfor t, c in ((posts, 1),):\n    tx.execute(t.update())",
        "tx.execute(text('UPDATE posts SET a = 1'))",
        "tx.execute(text('insert or replace into posts VALUES (1)'))",
    ],
)
def test_a_second_writer_of_a_table_is_seen(text: str) -> None:
    found = broken(writers.one_module_writes_each_table, server__desk__first=WRITER, server__web__second=text)
    assert len(found) == 1
    assert found[0].startswith("posts is written by 2 modules: server/desk/first.py:3, server/web/second.py:")


@pytest.mark.parametrize(
    "text",
    [
        "from server.store.schema import posts\nselect(posts)",
        "from server.desk import posts\nposts.update(tx, 1)",
        "posts = []\nposts.insert(0, 1)",
        "from server.store.schema import refs\ninsert(refs)",
        "'''Nobody may update posts here.'''",
    ],
)
def test_a_reader_of_a_table_passes(text: str) -> None:
    assert broken(writers.one_module_writes_each_table, server__desk__first=WRITER, server__web__second=text) == []


def test_a_house_that_is_not_built_yet_breaks_no_rule() -> None:
    assert list(rules.server_knows_no_bridge(Project.from_texts({}))) == []
    assert list(writers.one_module_writes_each_table(Project.from_texts({}))) == []
