"""Items to the homeserver: sends what `compose` made, tells the outbox how it went.

Transaction ids: a homeserver keeps those of all ghosts of an application service in one space, so an id is made of the lot, the
room, the part and its kind, and is the same at every attempt. Events that were sent before a later part failed are remembered,
because a homeserver forgets transaction ids after a day.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

from bridges.matrix import compose
from bridges.matrix.compose import Form, Part, Place
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.markup import clean
from bridges.matrix.progress import Progress
from bridges.matrix.rooms import Rooms
from bridges.matrix.uploads import Upload, Uploads
from bridges.matrix.wire import Ghost, Trouble, dated, told
from server import log
from server.bridge import (
    EditItem,
    Failed,
    File,
    House,
    Later,
    Lot,
    Outcome,
    Post,
    PostItem,
    ReactionItem,
    Ref,
    RetractionItem,
    Rows,
    Sent,
    Settle,
    StateItem,
    Target,
)
from server.errors import Deferred, JuntoError, NotFound

_log = log.get("matrix.say")


class _NotKept(JuntoError):
    """A file that the homeserver will not have, however often it is offered."""


class Speaker:
    """Says items. `doubt` is called when the homeserver as a whole seems away."""

    def __init__(self, house: House, ghosts: Ghosts, rooms: Rooms, doubt: Callable[[str], None]) -> None:
        self._house, self._ghosts, self._rooms, self._doubt = house, ghosts, rooms, doubt
        self._uploads = Uploads()

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        """One item to each target; every target gets its answer."""
        for target in lot.targets:
            settle(target, await self._outcome(lot, target))

    async def _outcome(self, lot: Lot, target: Target) -> Outcome:
        try:
            return await self._say(lot, target.address)
        except Trouble as trouble:
            if trouble.away:
                self._doubt(str(trouble))
            return outcome(trouble)
        except Deferred as later:
            return Later(later.reason, later.code)

    async def _say(self, lot: Lot, room: str) -> Outcome:
        match lot.item:
            case PostItem(post):
                return await self._post(lot.key, room, post)
            case EditItem(post):
                return await self._edit(lot.key, room, post)
            case RetractionItem(post):
                return await self._retract(lot.key, room, post)
            case ReactionItem():
                return await self._react(lot.key, room, lot.item)
            case StateItem(forum):
                if forum.visibility != "public":
                    return Sent(detail="a members-only forum has no room yet")
                return Sent(detail=await self._rooms.ensure(forum))
            case _:
                return Failed("not by this channel")

    # Posts
    async def _post(self, key: str, room: str, post: Post) -> Outcome:
        place = await self._place(room, post)
        ghost = await self._ghosts.of(post.writer)
        await self._ghosts.into(ghost, room)
        heading = place.root is None
        done = await self._progress(key, room)
        while True:
            try:
                await self._parts(key, room, post, ghost, place, heading, done)
                break
            except Trouble as trouble:
                if trouble.status != 413 or done.form is Form.SHORT or done.events:
                    await self._house.write(lambda rows: rows.put("progress", _name(key, room), done.stored()))
                    raise
                done.form = Form(done.form + 1)
        refs = tuple(Ref(compose.SPACE, event, number) for number, event in enumerate(done.events.values()))
        await self._remember(key, room, post, place, refs)
        return Sent(refs)

    async def _parts(
        self, key: str, room: str, post: Post, ghost: Ghost, place: Place, heading: bool, done: Progress
    ) -> None:
        limit = await self._uploads.limit(ghost)
        if not done.events:
            done.shown = await self._pictures(ghost, post, limit, done) if done.form is Form.WHOLE else []
        pictures = {hash: done.media[hash] for hash in done.shown}
        for part in compose.parts(post, heading, limit, done.form, pictures):
            if part.slot not in done.events:
                below = place if place.root or not done.events else Place(next(iter(done.events.values())))
                done.events[part.slot] = await self._part(key, room, part, post, ghost, below, done)

    async def _pictures(self, ghost: Ghost, post: Post, limit: int, done: Progress) -> list[str]:
        """Give the homeserver the pictures in the middle of a text; answers the hashes of those that it has."""
        for file in compose.inline(post, limit):
            with suppress(_NotKept):
                await self._kept(ghost, file, done)
        return [file.hash for file in compose.inline(post, limit) if file.hash in done.media]

    async def _part(
        self, key: str, room: str, part: Part, post: Post, ghost: Ghost, place: Place, done: Progress
    ) -> str:
        try:
            if part.file is not None:
                upload = await self._kept(ghost, part.file, done)
                part = replace(part, content=compose.uploaded(part.content, upload))
            elif part.data is not None:
                upload = await self._given(
                    ghost, part.slot, BytesIO(part.data), part.content["filename"], "text/plain", done
                )
                part = replace(part, content=compose.uploaded(part.content, upload))
        except _NotKept as problem:
            # Lost here, or not taken there: the words still say that there is a file, and where.
            _log.warning("file not uploaded", post=post.id, problem=str(problem))
            part = Part(part.slot, compose.linked(post, part), variant="-link")
        return await self._placed(key, room, part, post, ghost, place)

    async def _kept(self, ghost: Ghost, file: File, done: Progress) -> Upload:
        if file.hash in done.media:
            return done.media[file.hash]
        try:
            data = await self._house.open_blob(file.hash)
        except NotFound as lost:
            raise _NotKept(str(lost)) from None
        with data:
            return await self._given(ghost, file.hash, data, clean(file.filename), file.media_type, done)

    async def _given(
        self, ghost: Ghost, name: str, data: BinaryIO, filename: str, media_type: str, done: Progress
    ) -> Upload:
        """Upload once, however often the lot is tried. Raises Trouble if it may work later, else _NotKept."""
        if name not in done.media:
            try:
                done.media[name] = await self._uploads.keep(ghost, data, filename, media_type)
            except Trouble as trouble:
                if trouble.away or trouble.limited:
                    raise
                raise _NotKept(str(trouble)) from None
        return done.media[name]

    async def _placed(self, key: str, room: str, part: Part, post: Post, ghost: Ghost, place: Place) -> str:
        """Send in its thread; where the homeserver cannot have a thread there, as a plain answer, or for itself."""
        ways = [("", compose.relation(place)), ("/answer", compose.plain_answer(place)), ("/alone", None)]
        if post.forum.plain_replies:
            ways = ways[1:]
        for suffix, relation in ways if place.root else ways[-1:]:
            content = compose.related(part.content, relation)
            try:
                with dated(post.written_at):
                    name = _name(key, room, part.slot, part.variant + suffix)
                    return await self._send(ghost, room, compose.MESSAGE, content, name)
            except Trouble as trouble:
                # "Cannot start threads from an event with a relation", "Can't send relation to unknown event"
                if trouble.status != 400 or trouble.code not in ("M_UNKNOWN", "M_INVALID_PARAM") or relation is None:
                    raise
                _log.info("relation refused", room=room, problem=str(trouble))
        raise AssertionError("the last way has no relation")

    async def _place(self, room: str, post: Post) -> Place:
        """A thread whose first post has no event here hangs below the first of its posts that has one."""
        roots, parents = compose.events(post.root_refs), compose.events(post.parent_refs)
        own = set(compose.events(post.refs))
        first = post.references[0] if post.references else ""

        def look(rows: Rows) -> str | None:
            threaded = next((root for root in roots if rows.get("threaded", root) is not None), None)
            return threaded or next(iter(roots), None) or (rows.get("root", _name(room, first)) if first else None)

        root = await self._house.write(look) or next(iter(parents), None)
        if post.opens_thread or root in own:
            return Place()
        return Place(root, next(iter(parents), None))

    async def _progress(self, key: str, room: str) -> Progress:
        stored = await self._house.write(lambda rows: rows.get("progress", _name(key, room)))
        return Progress.of(stored)

    async def _remember(self, key: str, room: str, post: Post, place: Place, refs: tuple[Ref, ...]) -> None:
        def note(rows: Rows) -> None:
            rows.drop("progress", _name(key, room))
            if place.root is not None:
                rows.put("threaded", place.root, "")
            elif post.references and refs:
                rows.put("root", _name(room, post.references[0]), refs[0].name)

        await self._house.write(note)

    # Changes of posts
    async def _edit(self, key: str, room: str, post: Post) -> Outcome:
        own = compose.events(post.refs)
        if not own:
            return Sent(detail="it is not in this room")
        if post.channel == compose.SPACE:
            return Failed("only its author can edit a message of the room")
        ghost = await self._ghosts.of(post.writer)
        await self._ghosts.into(ghost, room)
        form, done = Form.WHOLE, Progress()
        await self._pictures(ghost, post, await self._uploads.limit(ghost), done)
        while True:
            part = compose.edit(post, own[0], form, done.media)
            try:
                name = _name(key, room, part.slot, part.variant)
                event = await self._send(ghost, room, compose.MESSAGE, part.content, name)
                return Sent(detail=event)
            except Trouble as trouble:
                if trouble.status != 413 or form is Form.SHORT:
                    raise
                form = Form(form + 1)

    async def _retract(self, key: str, room: str, post: Post) -> Outcome:
        bot = await self._ghosts.bot()
        ghost = bot if post.channel == compose.SPACE else await self._ghosts.of(post.writer)
        for number, event in enumerate(compose.events(post.refs)):
            await self._redact(ghost, bot, room, event, _name(key, room, number, "redact"))
        return Sent()

    async def _redact(self, ghost: Ghost, bot: Ghost, room: str, event: str, transaction: str) -> None:
        try:
            await told(ghost.room_redact(room, event, tx_id=transaction))
        except Trouble as trouble:
            if trouble.status == 404:
                return
            if trouble.code != "M_FORBIDDEN" or ghost is bot:
                raise
            await told(bot.room_redact(room, event, tx_id=transaction + "-bot"))

    async def _react(self, key: str, room: str, item: ReactionItem) -> Outcome:
        own = compose.events(item.post.refs)
        if not own:
            return Sent(detail="it is not in this room")
        ghost = await self._ghosts.of(item.writer)
        said = _name(room, own[0], item.writer.key, item.key)
        if item.removed:
            event = await self._house.write(lambda rows: rows.get("said", said))
            if event:
                bot = await self._ghosts.bot()
                await self._redact(ghost, bot, room, event, _name(key, room, 0, "unreact"))
            await self._house.write(lambda rows: rows.drop("said", said))
            return Sent()
        await self._ghosts.into(ghost, room)
        part = compose.reaction(own[0], item.key)
        try:
            event = await self._send(ghost, room, "m.reaction", part.content, _name(key, room, part.slot))
        except Trouble as trouble:
            if trouble.code != "M_DUPLICATE_ANNOTATION":
                raise
            return Sent(detail="it was there already")
        await self._house.write(lambda rows: rows.put("said", said, event))
        return Sent(detail=event)

    # One request
    async def _send(self, ghost: Ghost, room: str, kind: str, content: dict[str, Any], transaction: str) -> str:
        """Send one event; a ghost that has lost its device or its place in the room gets it back, once."""
        try:
            answer = await told(ghost.room_send(room, kind, content, tx_id=transaction))
        except Trouble as trouble:
            if trouble.code not in ("M_UNKNOWN_DEVICE", "M_FORBIDDEN"):
                raise
            ghost = await self._ghosts.renew(ghost)
            if trouble.code == "M_FORBIDDEN":
                await self._ghosts.into(ghost, room, again=True)
            answer = await told(ghost.room_send(room, kind, content, tx_id=transaction))
        return str(answer.event_id)


def outcome(trouble: Trouble) -> Outcome:
    """What a refusal means for the item. What does not say that it is for ever, is tried again."""
    if trouble.limited:
        return Later(str(trouble), str(trouble.status), after_ms=trouble.retry_after_ms)
    if trouble.away:
        return Later(str(trouble), str(trouble.status), down=True)
    return Failed(str(trouble), str(trouble.status))


def _name(*parts: object) -> str:
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()
