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
from typing import Any

from bridges.matrix import compose, pictures
from bridges.matrix.compose import Form, Part, Place
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import escaped
from bridges.matrix.rooms import Rooms
from bridges.matrix.wire import Ghost, Trouble, dated, told
from server import log
from server.bridge import (
    EditItem,
    Failed,
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
from server.errors import Deferred, NotFound

UPLOAD_BYTES = 50 * 1024 * 1024
_log = log.get("matrix.say")


class Speaker:
    """Says items. `doubt` is called when the homeserver as a whole seems away."""

    def __init__(self, house: House, ghosts: Ghosts, rooms: Rooms, doubt: Callable[[str], None]) -> None:
        self._house, self._ghosts, self._rooms, self._doubt = house, ghosts, rooms, doubt
        self._upload_limit: int | None = None

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
        form = Form.WHOLE
        sent = await self._progress(key, room)
        while True:
            try:
                refs = await self._parts(key, room, post, ghost, place, heading, form, sent)
                break
            except Trouble as trouble:
                if trouble.status != 413 or form is Form.SHORT or sent:
                    raise
                form = Form(form + 1)
        await self._remember(key, room, post, place, refs)
        return Sent(refs)

    async def _parts(
        self, key: str, room: str, post: Post, ghost: Ghost, place: Place, heading: bool, form: Form, sent: list[str]
    ) -> tuple[Ref, ...]:
        found = compose.parts(post, heading, await self._limit(ghost), form)
        for number, part in enumerate(found):
            if number >= len(sent):
                below = place if place.root or not sent else Place(sent[0])
                try:
                    sent.append(await self._part(key, room, number, part, post, ghost, below))
                except Trouble:
                    if sent:
                        await self._house.write(lambda rows: rows.put("progress", _name(key, room), json.dumps(sent)))
                    raise
        return tuple(Ref(compose.SPACE, event, number) for number, event in enumerate(sent))

    async def _part(self, key: str, room: str, number: int, part: Part, post: Post, ghost: Ghost, place: Place) -> str:
        try:
            if part.file is not None or part.data is not None:
                part = await self._uploaded(ghost, part)
        except (NotFound, Trouble) as problem:
            if isinstance(problem, Trouble) and (problem.away or problem.limited):
                raise
            # Lost here, or not taken there: the words still say that there is a file, and where.
            _log.warning("file not uploaded", post=post.id, problem=str(problem))
            part = Part(f"{part.kind}-link", compose.linked(post, part))
        return await self._placed(key, room, number, part, post, ghost, place)

    async def _uploaded(self, ghost: Ghost, part: Part) -> Part:
        data = part.data if part.file is None else await self._house.blob(part.file.hash)
        path = f"/_matrix/media/v3/upload?filename={escaped(part.content['filename'])[0]}"
        media_type = part.content["info"]["mimetype"]
        answer = await ghost.call("POST", path, data=data, media_type=_header(media_type))
        picture = pictures.size(data or b"") if media_type.startswith("image/") else None
        return Part(part.kind, compose.uploaded(part.content, str(answer["content_uri"]), picture))

    async def _placed(
        self, key: str, room: str, number: int, part: Part, post: Post, ghost: Ghost, place: Place
    ) -> str:
        """Send in its thread; where the homeserver cannot have a thread there, as a plain answer, or for itself."""
        ways = [("", compose.relation(place)), ("/answer", compose.plain_answer(place)), ("/alone", None)]
        if post.forum.plain_replies:
            ways = ways[1:]
        for suffix, relation in ways if place.root else ways[-1:]:
            content = compose.related(part.content, relation)
            try:
                with dated(post.written_at):
                    return await self._send(
                        ghost, room, compose.MESSAGE, content, _name(key, room, number, part.kind + suffix)
                    )
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

    async def _progress(self, key: str, room: str) -> list[str]:
        stored = await self._house.write(lambda rows: rows.get("progress", _name(key, room)))
        return json.loads(stored) if stored else []

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
        form = Form.WHOLE
        while True:
            part = compose.edit(post, own[0], form)
            try:
                event = await self._send(ghost, room, compose.MESSAGE, part.content, _name(key, room, 0, part.kind))
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
            event = await self._send(ghost, room, "m.reaction", part.content, _name(key, room, 0, part.kind))
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

    async def _limit(self, ghost: Ghost) -> int:
        """What the homeserver takes as one file, in bytes."""
        if self._upload_limit is None:
            try:
                answer = await ghost.call("GET", "/_matrix/client/v1/media/config")
            except Trouble as trouble:
                if trouble.away or trouble.limited:
                    raise
                answer = {}
            size = answer.get("m.upload.size")
            self._upload_limit = size if isinstance(size, int) else UPLOAD_BYTES
        return self._upload_limit


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


def _header(media_type: str) -> str:
    plain = media_type.isascii() and media_type.isprintable() and "/" in media_type
    return media_type if plain else "application/octet-stream"
