"""Asking to be let in on a page, and the page on which a moderator decides: looking does nothing."""

from __future__ import annotations

import sqlalchemy as sa

from server.bridge import Held, Join
from server.desk import entry, forums
from server.people import handles, identity, membership
from tests.web.conftest import NOW, Reader


def link(reader: Reader, rows: dict[str, int]) -> str:
    """Chidi asked to be let in; the link in Bruno's notice."""

    def work(tx: sa.Connection) -> str:
        forums.set_options(tx, "tides", {"join": "approval"}, NOW)
        forum = forums.get(tx, "tides")
        bruno = identity.ensure(tx, "post", "b@x.test", "Bruno", NOW)
        membership.join(tx, forum.id, bruno.person_id, bruno.address_id, NOW, role="moderator")
        mine = identity.ensure(tx, "post", "chidi@x.test", "Chidi", NOW, verified=True)
        entry.ask(
            tx, reader.home.desk, forum, mine.person_id, mine.address_id, mine.address_id, "each", "May <b>I</b>?"
        )
        facts = {"entrant": mine.person_id, "role": "moderator", "address_id": bruno.address_id}
        return "/entry/" + handles.grant(tx, entry.TEMPLATE, forum.id, facts, NOW, 60_000)

    return reader.home.store.write_now(work)


async def test_a_moderator_sees_who_asks_and_a_button_lets_them_in(reader: Reader, rows: dict[str, int]) -> None:
    path = link(reader, rows)
    page = await reader.text(path)
    for part in ("Chidi asks to join", "chidi@x.test", "May &lt;b&gt;I&lt;/b&gt;?", 'content="noindex"'):
        assert part in page
    assert await reader.text(path) == page
    done = await (await reader.submit(path, 200, verb="approve", csrf="")).text()
    assert "Chidi is a member of Tide pools now." in done
    assert "let in by you already" in await reader.text(path)


async def test_what_is_no_decision_or_no_token_does_nothing(reader: Reader, rows: dict[str, int]) -> None:
    path = link(reader, rows)
    await reader.submit(path, 403, verb="ban", csrf="")
    assert "asks to join" in await reader.text(path)
    await reader.text("/entry/" + "a" * 26, 404)


async def test_the_forum_page_says_ask_and_the_words_go_along(reader: Reader, rows: dict[str, int]) -> None:
    link(reader, rows)
    assert "Ask to join" in await reader.text("/f/tides")
    csrf = reader.sign_in(rows["chidi"])
    assert "Ask to join" in await reader.text("/f/tides")
    assert "A word to its moderators" in await reader.text("/f/tides/join")
    reader.home.answer = lambda _inbound: Held("", "You asked to join.")
    page = await (await reader.submit("/f/tides/join", 200, words="I count limpets", csrf=csrf)).text()
    assert "You asked to join." in page
    asked = reader.home.accepted[-1]
    assert isinstance(asked, Join)
    assert asked.words == "I count limpets"
