"""What is heard in private: commands, in a room or a direct message, and words to a ghost. Answers go to the one who asked.

Words to the bot are commands; words to a ghost are a letter to its author, without either address. Nothing of it is ever a post.
"""

from __future__ import annotations

import json

from bridges.matrix import commands, parse
from bridges.matrix.compose import SPACE
from bridges.matrix.direct import Direct
from bridges.matrix.fetch import Fetch
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import ANSWER_MARK, escaped, is_id, is_ours, key_of
from bridges.matrix.notices import Notices
from bridges.matrix.wire import Trouble, told
from server import limits, log
from server.bridge import Accepted, Act, Author, Flag, Forum, House, Kept, Letter, Proof, Ref, Request, Rows
from server.clock import HOUR
from server.errors import Deferred, Rejected
from server.i18n import _

COMMANDS_AN_HOUR = 60
TOLD_AN_HOUR = 5
SAID_BEFORE = 20  # events of a direct room that are read when we come into it
_log = log.get("matrix.private")


class Private:
    """Hears what concerns one person, for the listener."""

    def __init__(
        self, house: House, ghosts: Ghosts, direct: Direct, fetch: Fetch, notices: Notices, server: str
    ) -> None:
        self._house, self._ghosts, self._direct, self._fetch = house, ghosts, direct, fetch
        self._notices, self._server = notices, server
        self._limiter = limits.Limiter(COMMANDS_AN_HOUR, HOUR / 1000)
        self._told = limits.Limiter(TOLD_AN_HOUR, HOUR / 1000)

    # In a forum's room
    async def in_room(self, row: Kept, room: str, forum: Forum, author: Author, said: parse.Message) -> None:
        """A command in a room: done, and answered in private; where that cannot be, in the room, to the one who asked."""
        words = commands.spoken(said.text) or []
        if words and words[0].lower() == commands.REPORT:
            answer = await self._reported(author, forum, " ".join(words[1:]), said.answers)
        else:
            answer = await self._asked(row.name, author, forum, words, said.answers)
        if answer:
            await self._say(room, row.name, author, said.thread, answer)

    async def tell(self, room: str, event: str, author: Author, thread: str | None, words: str) -> None:
        """Tell the author of a message what became of it, as long as it is not one message after the other."""
        if self._told.allow(f"{room} {author.address}"):
            await self._say(room, event, author, thread, words)

    async def _say(self, room: str, event: str, author: Author, thread: str | None, words: str) -> None:
        """In private; where that cannot be, in the room, to the one whom it concerns."""
        if not await self._direct.tell(author.address, words, event):
            await self._notices.answer(room, event, author.address, thread, words)

    async def _reported(self, author: Author, forum: Forum, reason: str, answers: tuple[str, ...]) -> str:
        """A member thinks that moderators should see the message which this answers."""
        if not answers:
            return _("Please answer the message that you mean, with: !junto report and your reason.")
        try:
            result = await self._house.accept(Flag(forum.slug, author, Ref(SPACE, answers[0]), reason))
        except Rejected as refusal:
            return refusal.reason
        if isinstance(result, Accepted):
            return result.reply
        return _("You reported this message before: it is still looked at, or it was decided that it stays.")

    # In a direct room, or an invitation to one
    async def hear(self, row: Kept, event: parse.Event, room: str) -> None:
        """An event of a room that is no forum's."""
        if event.get("type") == "m.room.member" and "state_key" in event:
            await self._member(event, room)
            return
        pair = await self._direct.of(room)
        if pair is None:
            return
        ours, _theirs = pair
        heard = parse.parse(event, self._server)
        if isinstance(heard, parse.Encrypted):
            await self._notices.encrypted(room, ours)
        elif isinstance(heard, parse.Message):
            author = Author(SPACE, event["sender"], await self._name(room, event["sender"], row), Proof.HOMESERVER)
            key = key_of(ours, self._server)
            if key is not None:
                await self._letter(row, room, ours, author, key, heard)
            elif answer := await self._to_bot(row.name, author, heard):
                await self._direct.tell(author.address, answer, row.name)

    async def _name(self, room: str, user: str, row: Kept) -> str:
        return await self._fetch.name(room, user, row.attempts)

    async def _member(self, event: parse.Event, room: str) -> None:
        user, content = event.get("state_key"), event.get("content")
        if not isinstance(user, str) or not isinstance(content, dict):
            return
        if is_ours(user, self._server):
            inviter = event.get("sender")
            asks = content.get("membership") == "invite" and isinstance(inviter, str)
            if asks and not is_ours(str(inviter), self._server):
                await self._invited(event, room, user, content.get("is_direct") is True)
            return
        pair = await self._direct.of(room)
        if pair is not None and pair[1] == user and content.get("membership") in ("leave", "ban"):
            await self._direct.left(room, *pair)

    async def _invited(self, event: parse.Event, room: str, ours: str, is_direct: bool) -> None:
        """Whoever of us is asked into a direct chat comes. Other rooms that ask for the bot are no business of this file."""
        if not await self._ghosts.is_known(ours) or (key_of(ours, self._server) is None and not is_direct):
            return
        try:
            ghost = await self._ghosts.known(ours)
            if not is_direct:  # what several people say is no letter
                await told(ghost.room_leave(room))
                return
            await told(ghost.join(room))
            said = await ghost.call(
                "GET", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/messages?dir=b&limit={SAID_BEFORE}"
            )
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise Deferred(str(trouble)) from None
            _log.info("not joined", room=room, problem=str(trouble))
            return
        await self._direct.opened(room, ours, event["sender"])
        await self._house.write(lambda rows: _keep_since(rows, event, said.get("chunk")))

    # Letters
    async def _letter(self, row: Kept, room: str, ours: str, author: Author, key: str, said: parse.Message) -> None:
        text = said.text
        if said.media is not None:
            text = (text + "\n\n" if text else "") + _("[a file, {name}, is not passed on]").format(
                name=said.media.filename
            )
        title = _("Message from {name}").format(name=author.name) if author.name else _("Message")
        letter = Letter("author", author, subject=title, text=text, ref=Ref(SPACE, row.name), key=key)
        try:
            await self._house.accept(letter)
        except Rejected as refusal:
            await self._notices.declined(room, ours, row.name, refusal.reason)

    # Commands
    async def _to_bot(self, event: str, author: Author, said: parse.Message) -> str:
        """A direct message to the bot: which forum it is about is said first, or plain where there is only one."""
        words = commands.bare(said.text)
        command = commands.understood(words)
        if command is not None and command[0] in commands.HERE:
            return await self._confirm(author, command, said.answers)
        forums = {forum.slug: forum for forum in await self._house.forums_with(author.address)}
        slug = words[0].lower() if words else ""
        if slug in forums:
            return await self._asked(event, author, forums[slug], words[1:], said.answers)
        if not forums:
            return _("You are no member of a forum here yet. Join a forum's room, and write again.")
        if len(forums) == 1 or command in (("help",), None):
            return await self._asked(event, author, next(iter(forums.values())), words, said.answers)
        return _("Of which forum? Write its name first: {names}.").format(
            names=", ".join(f"{each} {' '.join(words)[:60]}" for each in forums)
        )

    async def _asked(self, event: str, author: Author, forum: Forum, words: list[str], answers: tuple[str, ...]) -> str:
        """Hand a command over; what is to be told at once, for the rest comes as a notice of the house."""
        if not self._limiter.allow(author.address):
            _log.info("too many commands")
            return ""
        command = commands.understood(words, bool(answers))
        if command is None:
            word = words[0][:60]
            return _("“{word}” is no command here, or not like this. “help” tells all of them.").format(word=word)
        if command[0] in commands.HERE:
            return await self._confirm(author, command, answers)
        about = tuple(Ref(SPACE, each) for each in answers)
        try:
            result = await self._house.accept(Request(forum.slug, author, (command,), about, Ref(SPACE, event)))
        except Rejected as refusal:
            return refusal.reason
        return result.reply if isinstance(result, Accepted) else ""

    async def _confirm(self, author: Author, command: tuple[str, ...], answers: tuple[str, ...]) -> str:
        """A yes, or a code, to the notice that it answers, else to the last one that asked something."""
        question = await self._direct.question(author.address)
        nothing = _("There is no question that waits for your answer. Perhaps it is too old: please ask again.")
        if question is None:
            return nothing
        room, last = question
        for name in dict.fromkeys((*answers[:1], last)):
            shown = await self._fetch.event(room, name)
            content = shown.get("content", {}) if shown and is_ours(str(shown.get("sender")), self._server) else {}
            asked = content.get(ANSWER_MARK)
            if isinstance(asked, dict):
                break
        else:
            return nothing
        code = command[1] if len(command) > 1 else str(asked.get("token"))
        act = Act(str(asked.get("forum")), author, str(asked.get("verb")), code, words=("yes",))
        try:
            result = await self._house.accept(act)
        except Rejected as refusal:
            return refusal.reason
        await self._direct.answered(author.address)
        return result.reply if isinstance(result, Accepted) else ""


def _keep_since(rows: Rows, invitation: parse.Event, found: object) -> None:
    """Store what was said after the invitation and before we came: the homeserver pushes what is said where we are, and no more."""
    for event in reversed(found) if isinstance(found, list) else ():
        if not isinstance(event, dict) or event.get("sender") != invitation["sender"] or "state_key" in event:
            continue
        at, asked = event.get("origin_server_ts"), invitation.get("origin_server_ts")
        if is_id(event.get("event_id"), "$") and isinstance(at, int) and isinstance(asked, int) and at >= asked:
            rows.keep(event["event_id"], json.dumps(event | {"room_id": invitation["room_id"]}).encode())
