"""What is done to people in a forum's room: bans, kicks, silence. Read from state events, handed to the house; our own acts are none.

Who may do it in the room is the room's; what it means for the forum is the house's.
"""

from __future__ import annotations

from typing import Any

from bridges.matrix.compose import SPACE
from bridges.matrix.fetch import Fetch
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.markup import clean
from bridges.matrix.names import escaped, is_foreign_ghost, is_ours, split_user
from bridges.matrix.notices import Notices
from bridges.matrix.parse import Event
from bridges.matrix.wire import Trouble
from server import log
from server.bridge import Author, Discipline, Forum, House, Join, Kept, Proof
from server.errors import Deferred, Rejected

REASON_CHARS = 500
MOST = 50  # people in one event
_ACTS = {  # (what they were, what they are) by somebody else
    ("join", "leave"): "kick",
    ("knock", "leave"): "kick",
    ("ban", "leave"): "unban",
    ("knock", "invite"): "admit",
}
_log = log.get("matrix.order")


class Order:
    """Hears events that say what somebody did to somebody else."""

    def __init__(self, house: House, ghosts: Ghosts, fetch: Fetch, notices: Notices, server_name: str) -> None:
        self._house, self._ghosts, self._fetch = house, ghosts, fetch
        self._notices, self._server = notices, server_name

    async def came(self, room: str, forum: Forum, author: Author) -> None:
        """Somebody is in the room: a member, unless the house shuts them out; then the room does too."""
        try:
            await self._house.accept(Join(forum.slug, author))
        except Rejected as refusal:
            _log.info("refused", what="join", code=refusal.code, reason=refusal.reason)
            if forum.state == "open" and forum.join_policy != "invite":  # nothing else keeps anybody out
                await self._put_out(room, author.address, refusal.reason)

    async def _put_out(self, room: str, user: str, reason: str) -> None:
        bot = await self._ghosts.bot()
        body = {"user_id": user, "reason": reason}
        try:
            await bot.call("POST", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/kick", body)
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise Deferred(str(trouble)) from None
            _log.warning("not put out", room=room, problem=str(trouble))

    async def hear(self, row: Kept, event: Event, room: str, forum: Forum) -> bool:
        """Whether the event was about nothing else; then it is dealt with."""
        found = acts(event)
        if found is None:
            return False
        sender = str(event["sender"])
        if is_ours(sender, self._server):
            return True
        name = await self._fetch.name(room, sender, row.attempts)
        reason = event["content"].get("reason")
        why = clean(reason)[:REASON_CHARS] if isinstance(reason, str) else ""
        proof = Proof.NONE if is_foreign_ghost(sender) else Proof.HOMESERVER
        for user, verb in found:
            if is_ours(user, self._server) or is_foreign_ghost(user):
                continue
            try:
                await self._house.accept(Discipline(forum.slug, Author(SPACE, sender, name, proof), user, verb, why))
            except Rejected as refusal:
                _log.info("refused", what=verb, reason=refusal.reason)
                await self._notices.answer(room, row.name, sender, None, refusal.reason)
        return True


def acts(event: Event) -> list[tuple[str, str]] | None:
    """(user, verb) of everybody to whom something is done; None for an event that does nothing to somebody else. Pure."""
    kind, sender, content = event.get("type"), event.get("sender"), event.get("content")
    if not isinstance(sender, str) or not isinstance(content, dict) or split_user(sender) is None:
        return None
    before = _object(_object(event, "unsigned"), "prev_content")
    user = event.get("state_key")
    if kind == "m.room.power_levels" and user == "":
        return _levels(before, content) if before else []
    if kind != "m.room.member" or not isinstance(user, str) or user == sender or split_user(user) is None:
        return None
    was, now = before.get("membership"), content.get("membership")
    verb = "ban" if now == "ban" and was != "ban" else _ACTS.get((str(was), str(now)))
    return [(user, verb)] if verb is not None else []


def _levels(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, str]]:
    """Who may speak no more, or may again, because of a level of their own; a room that becomes quiet for all silences nobody."""
    users, ones = _object(before, "users"), _object(now, "users")
    changed = [user for user in dict.fromkeys((*users, *ones)) if users.get(user) != ones.get(user)]
    found = []
    for user in changed[:MOST]:
        was, is_now = _is_silent(before, user), _is_silent(now, user)
        if was != is_now and split_user(user) is not None:
            found.append((user, "mute" if is_now else "unmute"))
    return found


def _is_silent(levels: dict[str, Any], user: str) -> bool:
    needed = _object(levels, "events").get("m.room.message", levels.get("events_default", 0))
    has = _object(levels, "users").get(user, levels.get("users_default", 0))
    return isinstance(needed, int) and isinstance(has, int) and has < needed


def _object(of: dict[str, Any], key: str) -> dict[str, Any]:
    value = of.get(key)
    return value if isinstance(value, dict) else {}
