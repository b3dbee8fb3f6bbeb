"""Who is in a room, and as what: levels, invitations, bans, and words to whoever knocked in vain.

What was done is remembered, so that only what changed costs requests, and what others do in the room is left to them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from bridges.matrix import powers
from bridges.matrix.names import escaped, split_user
from bridges.matrix.wire import Ghost, Trouble
from server import log
from server.bridge import House, StateItem
from server.errors import Deferred
from server.i18n import _

_log = log.get("matrix.places")
_POWER = "m.room.power_levels"


@dataclass(frozen=True, slots=True)
class Standing:
    """What we saw to in a room: levels that we gave; who was invited, banned, seen to have asked."""

    given: dict[str, int] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    asking: list[str] = field(default_factory=list)
    banned: list[str] = field(default_factory=list)


class Places:
    """Acts as the bot. A row of the house's for each room: `standing`."""

    def __init__(self, house: House, server_name: str) -> None:
        self._house, self._server = house, server_name

    async def see_to(self, bot: Ghost, room: str, item: StateItem, creators: list[str]) -> None:
        """Everybody's place, as the forum says. Raises Trouble, and Deferred where some could not be told yet."""
        before = await self._standing(room)
        given = await self._levels(bot, room, item, before.given, creators)
        late: list[str] = []
        closed = item.forum.visibility != "public" or item.forum.join_policy != "open"
        welcome = [user for user in item.members if self._may_come(item, user)] if closed else []
        banned = [user for user in item.banned if await self._each(late, self._ban, bot, room, user, before.banned)]
        for user in set(before.banned) - set(item.banned):
            await self._each(late, self._unban, bot, room, user)
        members = [user for user in welcome if await self._each(late, self._invite, bot, room, user, before.members)]
        if closed:
            for user in sorted(set(before.members) - set(welcome) - set(item.banned)):
                await self._each(late, self._put_out, bot, room, user)
            for user in sorted(set(before.asking) - set(item.asking) - set(item.members)):
                await self._each(late, self._turn_away, bot, room, user, item)
        after = Standing(given, members, list(item.asking), banned)
        if after != before:
            await self._house.write(lambda rows: rows.put("standing", room, json.dumps(asdict(after))))
        if late:
            raise Deferred("; ".join(late)[:500])

    async def inherit(self, old: str, new: str) -> None:
        """A room was replaced, and its levels with it: those that we gave are ours still."""
        given = (await self._standing(old)).given
        await self._house.write(lambda rows: rows.put("standing", new, json.dumps(asdict(Standing(given)))))

    async def invite(self, bot: Ghost, room: str, user: str) -> None:
        """Ask somebody in, who knocks or was there before. Raises Trouble."""
        await self._invite(bot, room, user, [])

    async def _standing(self, room: str) -> Standing:
        stored = await self._house.write(lambda rows: rows.get("standing", room))
        return Standing(**json.loads(stored)) if stored is not None else Standing()

    async def _levels(
        self, bot: Ghost, room: str, item: StateItem, given: dict[str, int], creators: list[str]
    ) -> dict[str, int]:
        path = f"/_matrix/client/v3/rooms/{escaped(room)[0]}/state/{_POWER}/"
        now = await bot.call("GET", path)
        levels, stands = powers.wanted(now, item, given, creators, bot.user_id)
        if levels != now:
            await bot.call("PUT", path, levels)
        return stands

    async def _each(self, late: list[str], act: Any, bot: Ghost, room: str, user: str, *more: Any) -> bool:
        """Whether it is done, or cannot be. One person's homeserver that does not answer keeps nobody else's place from them."""
        try:
            await act(bot, room, user, *more)
        except Trouble as trouble:
            if trouble.status == 0 or trouble.limited:
                raise
            _log.warning("place not taken", room=room, what=act.__name__.strip("_"), problem=str(trouble))
            if trouble.status >= 500:
                late.append(str(trouble))
                return False
        return True

    def _may_come(self, item: StateItem, user: str) -> bool:
        """Whether the room can hold them: one that is not federated has nobody of another homeserver."""
        parts = split_user(user)
        return parts is not None and (item.forum.federate or parts[1] == self._server)

    async def _ban(self, bot: Ghost, room: str, user: str, before: list[str]) -> None:
        if user not in before and await self._membership(bot, room, user) != "ban":
            reason = _("Banned from the forum.")
            await self._do(bot, room, "ban", {"user_id": user, "reason": reason})

    async def _unban(self, bot: Ghost, room: str, user: str) -> None:
        if await self._membership(bot, room, user) == "ban":
            await self._do(bot, room, "unban", {"user_id": user})

    async def _invite(self, bot: Ghost, room: str, user: str, before: list[str]) -> None:
        if user not in before and await self._membership(bot, room, user) not in ("join", "invite", "ban"):
            await self._do(bot, room, "invite", {"user_id": user})

    async def _put_out(self, bot: Ghost, room: str, user: str) -> None:
        if await self._membership(bot, room, user) in ("join", "invite", "knock"):
            reason = _("No member of the forum any more.")
            await self._do(bot, room, "kick", {"user_id": user, "reason": reason})

    async def _turn_away(self, bot: Ghost, room: str, user: str, item: StateItem) -> None:
        if await self._membership(bot, room, user) == "knock":
            reason = _("The moderators of {forum} did not let you in.").format(forum=item.forum.title)
            await self._do(bot, room, "kick", {"user_id": user, "reason": reason})

    async def _do(self, bot: Ghost, room: str, verb: str, body: dict[str, str]) -> None:
        await bot.call("POST", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/{verb}", body)

    async def _membership(self, bot: Ghost, room: str, user: str) -> str:
        room_part, user_part = escaped(room, user)
        try:
            found = await bot.call("GET", f"/_matrix/client/v3/rooms/{room_part}/state/m.room.member/{user_part}")
        except Trouble as trouble:
            if trouble.status == 404:
                return ""
            raise
        return str(found.get("membership", ""))
