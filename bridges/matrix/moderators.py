"""The room of those who look after a forum: who is in it, what it is shown, what is decided there. One a forum, for nobody else.

It is made when the first of them has a Matrix id. What they say there is no post; what decides is handed to the house, which knows who may.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bridges.matrix import docket, parse, powers
from bridges.matrix.compose import MESSAGE, SPACE, reaction
from bridges.matrix.fetch import Fetch
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import escaped
from bridges.matrix.transactions import named, send
from bridges.matrix.wire import Ghost, Trouble
from server import log
from server.bridge import (
    Accepted,
    Author,
    Decide,
    Forum,
    House,
    Kept,
    Outcome,
    Proof,
    QueueItem,
    Rows,
    Sent,
    StateItem,
)
from server.errors import Deferred, Rejected
from server.i18n import _

_log = log.get("matrix.moderators")


class Moderators:
    """Acts as the bot. Rows: `moderators` and `moderated` (forum and room), `announced` and `queued` (name and event)."""

    def __init__(self, house: House, ghosts: Ghosts, server_name: str) -> None:
        self._house, self._ghosts, self._server = house, ghosts, server_name
        self._fetch = Fetch(house, ghosts)
        self._one_at_a_time = asyncio.Lock()

    # The room
    async def ensure(self, item: StateItem) -> None:
        """The room, if there is anybody for it, and in it those who look after the forum now. Raises Trouble that passes.

        Where the homeserver will not have such a room, the forum's own is as good without.
        """
        try:
            await self._ensure(item)
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise
            _log.warning("no room of moderators", forum=item.forum.slug, problem=str(trouble))

    async def _ensure(self, item: StateItem) -> None:
        wanted = list(dict.fromkeys((*item.owners, *item.moderators)))
        async with self._one_at_a_time:
            room = await self._get("moderators", item.forum.slug)
            if room is None and not wanted:
                return
            bot = await self._ghosts.bot()
            if room is None:
                room = await self._made(bot, item.forum)
            if await self._get("moderators-new", item.forum.slug) is not None:
                await self._house.queue(item.forum.slug)
                await self._house.write(lambda rows: rows.drop("moderators-new", item.forum.slug))
            await self._in_step(bot, item.forum, room, wanted)

    async def _made(self, bot: Ghost, forum: Forum) -> str:
        answer = await bot.call("GET", "/_matrix/client/v3/capabilities")
        version = str(answer.get("capabilities", {}).get("m.room_versions", {}).get("default", ""))
        wish: dict[str, Any] = {
            "preset": "private_chat",
            "name": _("{forum}: moderators").format(forum=forum.title)[:255],
            "topic": docket.topic(forum.title),
            "power_level_content_override": powers.at_first(bot.user_id, version),
            **({"room_version": version} if version else {}),
        }
        made = await bot.call("POST", "/_matrix/client/v3/createRoom", wish)
        room = str(made["room_id"])

        def put(rows: Rows) -> None:
            rows.put("moderators", forum.slug, room)
            rows.put("moderated", room, forum.slug)
            rows.put("moderators-new", forum.slug, "")

        await self._house.write(put)
        return room

    async def _in_step(self, bot: Ghost, forum: Forum, room: str, wanted: list[str]) -> None:
        """Ask in who is missing, but for those who left by themselves; put out who looks after the forum no more."""
        try:
            answer = await bot.call("GET", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/members")
        except Trouble as trouble:
            if trouble.status in (403, 404):  # the bot was put out: the next state makes another room
                await self._forget(forum.slug, room)
            raise
        there = {str(event.get("state_key")): event for event in answer.get("chunk", ()) if isinstance(event, dict)}
        for user in wanted:
            before = there.get(user, {})
            now = before.get("content", {}).get("membership", "leave")
            if now == "leave" and before.get("sender", bot.user_id) == bot.user_id:
                await self._do(bot, room, "invite", user)
        for user, event in there.items():
            inside = event.get("content", {}).get("membership") in ("join", "invite", "knock")
            if inside and user not in wanted and user != bot.user_id:
                await self._do(bot, room, "kick", user)

    async def _do(self, bot: Ghost, room: str, verb: str, user: str) -> None:
        """One person's homeserver that does not answer keeps nobody else out."""
        try:
            await bot.call("POST", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/{verb}", {"user_id": user})
        except Trouble as trouble:
            if trouble.status == 0 or trouble.limited:
                raise
            _log.warning("not done", what=verb, room=room, problem=str(trouble))

    async def _forget(self, slug: str, room: str) -> None:
        def drop(rows: Rows) -> None:
            rows.drop("moderators", slug)
            rows.drop("moderated", room)

        await self._house.write(drop)

    # What waits
    async def shown(self, item: QueueItem) -> Outcome:
        """Announce what waits, once; change what was announced. Raises Trouble."""
        room = await self._get("moderators", item.forum.slug)
        if room is None:
            return Sent(detail="nobody looks after the forum here")
        stored = json.loads(await self._get("announced", item.name) or "{}")
        known = stored if stored.get("room") == room else {}
        event, over = known.get("event", ""), bool(known.get("over", True))
        if item.decided and over:
            return Sent(detail="it was decided before it was announced" if not event else "")
        bot = await self._ghosts.bot()
        top = known.get("top", "") if item.decided else docket.heading(item)
        content = docket.decided(top, item) if item.decided else docket.waiting(item)
        anew = not item.decided and over
        body = content if anew else docket.replacing(event, content)
        said = await send(
            self._ghosts, bot, room, MESSAGE, body, named("queue", room, item.name, event, content["body"])
        )
        if anew:
            event = said
        note = json.dumps({"room": room, "event": event, "top": top, "over": bool(item.decided)})

        def put(rows: Rows) -> None:
            rows.put("announced", item.name, note)
            rows.put("queued", event, item.name)

        await self._house.write(put)
        if anew:
            await self._buttons(bot, room, event)
        return Sent(detail=said)

    async def _buttons(self, bot: Ghost, room: str, event: str) -> None:
        """Signs to touch. Best effort: who has none of them can set their own."""
        try:
            for sign in docket.BUTTONS:
                content = reaction(event, sign).content
                await send(self._ghosts, bot, room, "m.reaction", content, named("button", room, event, sign))
        except Trouble as trouble:
            _log.info("no buttons", problem=str(trouble))

    # What is decided
    async def hear(self, row: Kept, event: parse.Event, room: str) -> bool:
        """Whether it was said in such a room; then it is dealt with. Raises Deferred while the homeserver is away."""
        slug = await self._get("moderated", room)
        if slug is None:
            return False
        heard = parse.parse(event, self._server)
        if isinstance(heard, parse.Reacted):
            verb, name = docket.by_sign(heard.key), await self._get("queued", heard.target)
            if verb is not None and name is not None:
                refusal, _done = await self._decide(row, event, room, slug, name, verb)
                await self._tell(room, row.name, refusal)
        elif isinstance(heard, parse.Message):
            said = docket.by_words(heard.text)
            if said is not None:
                await self._tell(room, row.name, await self._by_words(row, event, room, slug, said, heard.answers))
        return True

    async def _by_words(
        self,
        row: Kept,
        event: parse.Event,
        room: str,
        slug: str,
        said: tuple[str, str, str],
        answers: tuple[str, ...],
    ) -> str:
        verb, name, reason = said
        if not name:
            found = [await self._get("queued", each) for each in answers]
            name = next(filter(None, found), "")
        if not verb or not name:
            return docket.usage()
        refusal, done = await self._decide(row, event, room, slug, name, verb, reason)
        return refusal or done

    async def _decide(
        self, row: Kept, event: parse.Event, room: str, slug: str, name: str, verb: str, reason: str = ""
    ) -> tuple[str, str]:
        """(why not, what is now)."""
        user = str(event["sender"])
        author = Author(SPACE, user, await self._fetch.name(room, user, row.attempts), Proof.HOMESERVER)
        try:
            result = await self._house.accept(Decide(slug, author, name, verb, reason))
        except Rejected as refusal:
            return refusal.reason, ""
        return "", result.reply if isinstance(result, Accepted) else ""

    async def _tell(self, room: str, event: str, words: str) -> None:
        if not words:
            return
        content = {"msgtype": "m.notice", "body": words, "m.mentions": {}}
        below = {"m.relates_to": {"m.in_reply_to": {"event_id": event}}}
        try:
            bot = await self._ghosts.bot()
            await send(self._ghosts, bot, room, MESSAGE, content | below, named("told", room, event))
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise Deferred(str(trouble)) from None
            _log.warning("not told", room=room, problem=str(trouble))

    async def _get(self, kind: str, key: str) -> str | None:
        return await self._house.write(lambda rows: rows.get(kind, key))
