"""Who is signed in and shut out: pages offer them no form, and a forum for members is not there for them."""

from __future__ import annotations

from sqlalchemy import Connection

from server.moderation import bans
from server.store.schema import addresses
from tests.web.conftest import Reader

NO = "You are shut out of Tide pools. Its owners can tell you why."


async def test_a_ban_of_their_domain_takes_forms_and_hidden_forums_away(reader: Reader, rows: dict[str, int]) -> None:
    reader.sign_in(rows["ana"])
    assert "/f/tides/new" in await reader.text("/f/tides")
    await reader.text("/f/board")

    def ban(tx: Connection) -> None:
        row = {"channel": "post", "address": "ana@spam.example", "person_id": rows["ana"], "created_at": 0}
        tx.execute(addresses.insert().values(**row))
        bans.add(tx, None, bans.DOMAIN, "spam.example", "", "command", 0)

    reader.home.store.write_now(ban)
    assert "/f/tides/new" not in await reader.text("/f/tides")
    for path in ("/f/tides/new", "/f/tides/1/reply"):
        assert NO in await reader.text(path, 403)
    assert NO in await reader.text("/f/tides/join")
    for path in ("/f/board", "/f/board/1", "/f/board/new", "/f/board/feed"):
        await reader.text(path, 404)
