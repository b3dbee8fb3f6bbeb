"""Posts to a room: their words, pictures and files, each in its place, however often that must be tried.

What was sent or uploaded before something later failed is remembered: a homeserver forgets transaction ids after a day.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

from bridges.matrix import compose
from bridges.matrix.compose import Form, Part, Place
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.markup import clean
from bridges.matrix.names import escaped
from bridges.matrix.progress import Progress
from bridges.matrix.transactions import named, send
from bridges.matrix.uploads import Upload, Uploads
from bridges.matrix.wire import Ghost, Trouble, dated
from server import log
from server.bridge import File, House, Post, Ref, Rows
from server.errors import Deferred, JuntoError, NotFound

_log = log.get("matrix.posts")


class _NotKept(JuntoError):
    """A file that the homeserver will not have, however often it is offered."""


class Posts:
    """Says posts."""

    def __init__(self, house: House, ghosts: Ghosts, uploads: Uploads) -> None:
        self._house, self._ghosts, self._uploads = house, ghosts, uploads

    async def say(self, key: str, room: str, post: Post) -> tuple[Ref, ...]:
        """A database that was restored gives a post's number again, so that the number alone names no transaction. Raises Trouble."""
        key = f"{key} {post.message_id}"
        place = await self._place(room, post)
        ghost = await self._ghosts.of(post.writer, post.channel)
        await self._ghosts.into(ghost, room)
        heading = place.root is None
        done = await self._progress(key, room)
        while True:
            try:
                await self._parts(key, room, post, ghost, place, heading, done)
                break
            except (Trouble, Deferred) as trouble:
                if not isinstance(trouble, Trouble) or trouble.status != 413 or done.form is Form.SHORT or done.events:
                    if done != Progress():
                        await self._house.write(lambda rows: rows.put("progress", named(key, room), done.stored()))
                    raise
                done.form = Form(done.form + 1)
        refs = tuple(Ref(compose.SPACE, event, number) for number, event in enumerate(done.events.values()))
        await self._remember(key, room, post, place, refs)
        return refs

    async def _parts(
        self, key: str, room: str, post: Post, ghost: Ghost, place: Place, heading: bool, done: Progress
    ) -> None:
        limit = await self._uploads.limit(ghost)
        if not done.events:
            done.shown = await self.pictures(ghost, post, limit, done) if done.form is Form.WHOLE else []
        pictures = {hash: done.media[hash] for hash in done.shown}
        for part in compose.parts(post, heading, limit, done.form, pictures):
            if part.slot not in done.events:
                below = place if place.root or not done.events else Place(next(iter(done.events.values())))
                done.events[part.slot] = await self._part(key, room, part, post, ghost, below, done)

    async def pictures(self, ghost: Ghost, post: Post, limit: int, done: Progress) -> list[str]:
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
                    name = named(key, room, part.slot, part.variant + suffix)
                    return await send(self._ghosts, ghost, room, compose.MESSAGE, content, name)
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

        def look(rows: Rows) -> tuple[str | None, str | None]:
            begun = (
                rows.get("root", named(room, first)) if first else None
            )  # also where an older room has the first event
            threaded = next((root for root in roots if rows.get("threaded", root) is not None), None)
            return begun, threaded or next(iter(roots), None)

        begun, named_root = await self._house.write(look)
        root = begun or named_root or next(iter(parents), None)
        if post.opens_thread or root in own:
            return Place()
        if root is not None and root != begun and not await self._is_here(room, root):
            return Place()
        return Place(root, next(iter(parents), None))

    async def _is_here(self, room: str, event: str) -> bool:
        """Whether an event of a thread is in this room: where the room replaced another one, it may be in that one. Raises Trouble."""

        def look(rows: Rows) -> bool:
            return rows.get("replaces", room) is None or rows.get("here", event) is not None

        if await self._house.write(look):
            return True
        room_part, event_part = escaped(room, event)
        try:
            bot = await self._ghosts.bot()
            await bot.call("GET", f"/_matrix/client/v3/rooms/{room_part}/event/{event_part}")
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise
            return False
        await self._house.write(lambda rows: rows.put("here", event, ""))
        return True

    async def _progress(self, key: str, room: str) -> Progress:
        stored = await self._house.write(lambda rows: rows.get("progress", named(key, room)))
        return Progress.of(stored)

    async def _remember(self, key: str, room: str, post: Post, place: Place, refs: tuple[Ref, ...]) -> None:
        def note(rows: Rows) -> None:
            rows.drop("progress", named(key, room))
            if place.root is not None:
                rows.put("threaded", place.root, "")
            elif post.references and refs:
                rows.put("root", named(room, post.references[0]), refs[0].name)

        await self._house.write(note)
