"""What was said before a room was there, in order and with its own times, while nobody is in the room.

A post is told the house as soon as it is in, so that after a kill only the one under way is said again, by the same transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from bridges.matrix.names import escaped, is_ours
from bridges.matrix.posts import Posts
from bridges.matrix.wire import Ghost, Trouble
from server import log
from server.bridge import HistoryItem, House, Ref

_log = log.get("matrix.history")


class History:
    """Says the posts of a lot one after another: their order in the room is the order in which the homeserver takes them."""

    def __init__(self, house: House, posts: Posts, is_permanent: Callable[[Trouble, str], Awaitable[bool]]) -> None:
        self._house, self._posts, self._is_permanent = house, posts, is_permanent

    async def say(self, room: str, item: HistoryItem) -> None:
        """All of them. Raises Trouble where the rest must be tried again; one that can never be said is left out."""
        names: dict[str, tuple[Ref, ...]] = {}
        for post in item.posts:
            here = replace(
                post,
                root_refs=_named(names, post.references[:1]) + post.root_refs,
                parent_refs=_named(names, post.references[-1:]) + post.parent_refs,
            )
            try:
                refs = await self._posts.say(f"post:{post.id}", room, here)
            except Trouble as trouble:
                if not await self._is_permanent(trouble, room):
                    raise
                _log.error("old post left out", post=post.id, room=room, problem=str(trouble))
                await self._house.told_before(item, post.id, post.revision, failure=str(trouble))
                continue
            names[post.message_id] = refs
            await self._house.told_before(item, post.id, post.revision, refs)


def _named(names: dict[str, tuple[Ref, ...]], references: Iterable[str]) -> tuple[Ref, ...]:
    return next((names[each] for each in references if each in names), ())


async def is_empty(bot: Ghost, room: str, whose: str) -> bool:
    """Whether nobody but our own users is in the room. Raises Trouble."""
    answer = await bot.call("GET", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/joined_members")
    joined = answer.get("joined")
    return isinstance(joined, dict) and all(is_ours(user, whose) for user in joined)
