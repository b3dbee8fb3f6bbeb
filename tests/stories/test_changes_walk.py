"""What was said is changed: signs, edits and redactions in a room, and what they do to pages and mail."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from server.people import identity, membership
from server.store.schema import posts
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, Synapse
from tests.stories.test_room_walk import in_room, in_thread, message, shore
from tests.stories.town import Town, letter

__all__ = ["shore"]  # the fixture: a town with a room


async def put(synapse: Synapse, user: Account, room: str, rest: str, content: dict[str, Any]) -> str:
    path = f"/_matrix/client/v3/rooms/{quote(room)}/{rest}"
    answer = await asyncio.to_thread(synapse.call, "PUT", path, content, user.token)
    return str(answer["event_id"])


async def redact(synapse: Synapse, user: Account, room: str, event: str) -> str:
    return await put(synapse, user, room, f"redact/{quote(event)}/r{abs(hash(event))}", {})


async def react(synapse: Synapse, user: Account, room: str, event: str, key: str) -> str:
    content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": key}}
    return await put(synapse, user, room, f"send/m.reaction/s{abs(hash(event + key))}", content)


async def powers(synapse: Synapse, room: str, user: Account) -> None:
    """The user may take back what others said in the room."""
    token = json.loads(synapse.registration.read_text())["as_token"]
    path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.power_levels/"
    levels = await asyncio.to_thread(synapse.call, "GET", path, None, token)
    levels.setdefault("users", {})[user.user_id] = 50
    await asyncio.to_thread(synapse.call, "PUT", path, levels, token)


async def page(shore: Town, number: int, words: str, there: bool = True) -> str:
    """The post's page, once these words are (or are no longer) on it."""

    async def look() -> str | None:
        text = await shore.page(f"/f/pools/{number}")
        return text if (words in text) == there else None

    found = await shore.until(look, f"{words!r} on /f/pools/{number}")
    assert isinstance(found, str)
    return found


async def test_signs_edits_and_redactions(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    bruno, mo = [await asyncio.to_thread(synapse.register, name) for name in ("bruno", "mo")]
    room = await in_room(shore, synapse, bruno, "pools")
    await asyncio.to_thread(synapse.join, mo, f"#_junto_pools:{synapse.server_name}")
    await asyncio.to_thread(postfix.send, letter(ana, pools, "Low tide", "At ten.\n", "<1@a.test>"), ana, pools)
    root = await message(shore, synapse, bruno, room, "At ten.")

    sign = await react(synapse, bruno, room, root["event_id"], "\N{THUMBS UP SIGN}")
    await page(shore, 1, "\N{THUMBS UP SIGN}")
    await redact(synapse, bruno, room, sign)
    await page(shore, 1, "\N{THUMBS UP SIGN}", there=False)

    said = await asyncio.to_thread(synapse.send, bruno, room, in_thread(root["event_id"], "At nine, I heard"))
    await asyncio.to_thread(postfix.mailbox(ana).wait_for, 1)
    await page(shore, 2, "At nine, I heard")
    edit = {
        "msgtype": "m.text",
        "body": "* At half past nine",
        "m.new_content": {"msgtype": "m.text", "body": "At half past nine"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": said},
    }
    await asyncio.to_thread(synapse.send, bruno, room, edit)
    await page(shore, 2, "At half past nine")
    await redact(synapse, bruno, room, said)
    await page(shore, 2, "At half past nine", there=False)
    told = await message(shore, synapse, bruno, room, "It is gone here; 1 mailboxes have it already.")
    assert told["content"]["m.mentions"] == {"user_ids": [bruno.user_id]}
    assert len(postfix.mailbox(ana).messages()) == 1  # neither sign nor edit nor redaction is mailed


async def test_a_moderators_redaction_takes_back_what_came_by_mail(
    shore: Town, postfix: Postfix, synapse: Synapse
) -> None:
    """Also the mails of it that have not left yet."""
    members = postfix.member_domain()
    pools = await shore.forum("pools", settle_ms=60_000)
    await shore.member("pools", f"ana@{members}", "Ana")
    await shore.member("pools", f"bo@{members}", "Bo")
    mo = await asyncio.to_thread(synapse.register, "mo")
    room = await in_room(shore, synapse, mo, "pools")
    raw = letter(f"ana@{members}", pools, "Low tide", "Buy my boat.\n", "<1@a.test>")
    await asyncio.to_thread(postfix.send, raw, f"ana@{members}", pools)
    root = await message(shore, synapse, mo, room, "Buy my boat.")

    def moderates(tx: sa.Connection) -> None:
        known = identity.find(tx, "matrix", mo.user_id)
        assert known is not None
        membership.set_member(tx, 1, known.person_id, {"role": "moderator"})

    await shore.home.store.write(moderates)
    await powers(synapse, room, mo)
    await redact(synapse, mo, room, root["event_id"])
    await page(shore, 1, "Buy my boat.", there=False)
    assert [row.state for row in await shore.rows(sa.select(posts.c.state))] == ["retracted"]
