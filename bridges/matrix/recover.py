"""After a database was restored from a backup: what we said in rooms meanwhile is noted again, so that it is not said twice.

Looked at once at each start, newest first, as far back as something is unknown. Only events of our own senders count: any client can
copy our marker. What others said is theirs to say again; what the restored database does not hold is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bridges.matrix.compose import MESSAGE, SPACE
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.known import joined
from bridges.matrix.names import POST_MARK, escaped, is_id, is_ours
from bridges.matrix.wire import Ghost, Trouble
from server import log
from server.bridge import Forum, House, Ref
from server.errors import Deferred

PAGES, PAGE = 50, 100
_FILTER = '{"types":["' + MESSAGE + '"]}'
_log = log.get("matrix.recover")
_Said = tuple[str, int, str]  # event, the post's id, its Message-ID


class Recovery:
    """Reads rooms backwards as the bot."""

    def __init__(self, house: House, ghosts: Ghosts) -> None:
        self._house, self._ghosts = house, ghosts

    async def run(self) -> int:
        """Every room of ours; how many posts were noted. A room that cannot be read is left for the next start."""
        noted = 0
        try:
            bot = await self._ghosts.bot()
            for room in await joined(bot):
                forum = await self._house.forum_of(room)
                noted += await self._room(bot, forum, room) if forum is not None else 0
        except (Trouble, Deferred) as problem:
            _log.warning("rooms not read", problem=str(problem))
        if noted:
            _log.warning("posts found in rooms", posts=noted)
        return noted

    async def _room(self, bot: Ghost, forum: Forum, room: str) -> int:
        found: list[_Said] = []
        unknown: set[int] = set()
        start = ""
        for _page in range(PAGES):
            query = f"dir=b&limit={PAGE}&filter={escaped(_FILTER)[0]}" + (f"&from={escaped(start)[0]}" if start else "")
            answer = await bot.call("GET", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/messages?{query}")
            page = list(said(answer.get("chunk"), self._ghosts.ours))
            new = [post for event, post, _name in page if not await self._house.known(forum.slug, Ref(SPACE, event))]
            unknown.update(new)
            found += page
            end = answer.get("end")
            if (page and not new) or not isinstance(end, str) or end == start:
                break
            start = end
        return await self._note(forum, room, found, unknown)

    async def _note(self, forum: Forum, room: str, found: Sequence[_Said], unknown: set[int]) -> int:
        """Give each post all its events in the order they were sent, which is that of its parts."""
        events: dict[tuple[int, str], list[str]] = {}
        for event, post, message_id in reversed(found):
            events.setdefault((post, message_id), []).append(event)
        noted = 0
        for (post, message_id), names in events.items():
            if post in unknown:
                refs = [Ref(SPACE, name, part) for part, name in enumerate(names)]
                noted += await self._house.note(forum.slug, room, post, message_id, refs)
        return noted


def said(chunk: object, whose: str) -> Iterator[_Said]:
    """The events of a page by which we said posts: by our own senders, marked, and no edits."""
    for event in chunk if isinstance(chunk, list) else ():
        content: Any = event.get("content") if isinstance(event, dict) else None
        if not isinstance(content, dict) or "m.new_content" in content:
            continue
        mark, name, sender = content.get(POST_MARK), event.get("event_id"), event.get("sender")
        if not isinstance(mark, dict) or not is_id(name, "$") or not isinstance(sender, str):
            continue
        post, message_id = mark.get("id"), mark.get("message_id")
        if is_ours(sender, whose) and isinstance(post, int) and isinstance(message_id, str):
            yield name, post, message_id
