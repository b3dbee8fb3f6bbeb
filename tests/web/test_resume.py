"""Who is signed in is told on every page that their mail stopped, and one button sends it again."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server.people import identity, subscriptions
from server.store.schema import audit
from tests.archive.sample import NOW
from tests.web.conftest import Reader

Rows = dict[str, int]
BUTTON = "Send it again"


def stop(reader: Reader, rows: Rows, forum: str = "tides", reason: str = "bounces", person: str = "ana") -> int:
    """Ana's mailbox in the forum was stopped; the subscription's id."""

    def work(tx: sa.Connection) -> int:
        address = identity.ensure(tx, "post", f"{person}-{forum}@x.test", person.title(), NOW).address_id
        made = subscriptions.subscribe(tx, rows[forum], address, rows[person], NOW)
        subscriptions.stop(tx, made, reason, NOW)
        return made

    return reader.home.store.write_now(work)


def state(reader: Reader, subscription: int) -> Any:
    return reader.home.store.read_now(subscriptions.by_id, subscription).state


@pytest.mark.parametrize("path", ["/", "/f/tides", "/f/tides/2"])
async def test_every_page_tells_it(reader: Reader, rows: Rows, path: str) -> None:
    stop(reader, rows)
    csrf = reader.sign_in(rows["ana"])
    page = await reader.text(path)
    assert "Mail of “Tide pools” to you has stopped, because it came back." in page
    assert page.count(BUTTON) == 1
    assert f'value="{csrf}"' in page
    assert "ana-tides@x.test" not in page


async def test_a_complaint_is_told_in_its_own_words(reader: Reader, rows: Rows) -> None:
    stop(reader, rows, reason="complaint")
    reader.sign_in(rows["ana"])
    assert "reported as spam" in await reader.text("/")


async def test_nobody_else_is_told(reader: Reader, rows: Rows) -> None:
    stop(reader, rows)
    assert BUTTON not in await reader.text("/")
    reader.sign_in(rows["bruno"])
    assert BUTTON not in await reader.text("/")


async def test_the_button_sends_it_again_and_the_page_is_quiet(reader: Reader, rows: Rows) -> None:
    mine, other = stop(reader, rows), stop(reader, rows, "board")
    csrf = reader.sign_in(rows["ana"])
    answer = await reader.submit("/f/tides/resume", 303, csrf=csrf, next="/f/tides/2")
    assert answer.headers["Location"] == "/f/tides/2"
    assert (state(reader, mine), state(reader, other)) == ("active", "stopped")
    assert (await reader.text("/")).count(BUTTON) == 1
    (noted,) = reader.home.store.read_now(lambda tx: tx.execute(sa.select(audit)).all())
    assert (noted.actor, noted.verb) == (f"person:{rows['ana']}", "resume")
    await reader.submit("/f/tides/resume", 303, csrf=csrf)


async def test_it_takes_the_members_own_form(reader: Reader, rows: Rows) -> None:
    theirs = stop(reader, rows)
    csrf = reader.sign_in(rows["bruno"])
    await reader.submit("/f/tides/resume", 303, csrf=csrf)
    assert state(reader, theirs) == "stopped"
    reader.sign_in(rows["ana"])
    await reader.submit("/f/tides/resume", 403, csrf="x" * 64)
    assert state(reader, theirs) == "stopped"


async def test_it_leads_to_no_other_site(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["ana"])
    answer = await reader.submit("/f/tides/resume", 303, csrf=csrf, next="https://elsewhere.test/")
    assert answer.headers["Location"] == "/"


async def test_a_stranger_is_asked_to_sign_in(reader: Reader, rows: Rows) -> None:
    answer = await reader.submit("/f/tides/resume", 303)
    assert answer.headers["Location"] == "/sign-in"
