"""Items to the homeserver: sends what `compose` made, tells the outbox how it went. Posts are in `posts`."""

from __future__ import annotations

from collections.abc import Callable

from bridges.matrix import compose, known
from bridges.matrix.barred import Barred, PutOut
from bridges.matrix.compose import Form
from bridges.matrix.direct import Direct
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.history import History
from bridges.matrix.marks import Decisions
from bridges.matrix.moderators import Moderators
from bridges.matrix.posts import Posts
from bridges.matrix.progress import Progress
from bridges.matrix.rooms import Rooms
from bridges.matrix.transactions import named, send
from bridges.matrix.uploads import Uploads
from bridges.matrix.wire import Ghost, Trouble, told
from server.bridge import (
    DecisionItem,
    EditItem,
    Failed,
    HistoryItem,
    House,
    Later,
    LetterItem,
    Lot,
    MemberItem,
    NoticeItem,
    Outcome,
    Post,
    PostItem,
    QueueItem,
    ReactionItem,
    RetractionItem,
    Sent,
    Settle,
    StateItem,
    Target,
)
from server.clock import DAY, HOUR, MINUTE
from server.errors import Deferred
from server.i18n import _


class Speaker:
    """Says items. `doubt` is called when the homeserver as a whole seems away."""

    def __init__(
        self,
        house: House,
        ghosts: Ghosts,
        rooms: Rooms,
        barred: Barred,
        direct: Direct,
        decisions: Decisions,
        moderators: Moderators,
        doubt: Callable[[str], None],
    ) -> None:
        self._house, self._ghosts, self._rooms, self._direct, self._doubt = house, ghosts, rooms, direct, doubt
        self._barred, self._decisions, self._moderators = barred, decisions, moderators
        self._uploads = Uploads()
        self._posts = Posts(house, ghosts, self._uploads)
        self._history = History(house, self._posts, self._is_permanent)

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        """One item to each target; every target gets its answer."""
        for target in lot.targets:
            settle(target, await self._outcome(lot, target))

    async def _outcome(self, lot: Lot, target: Target) -> Outcome:
        bar = await self._barred.of(target.address)
        if bar is not None:
            return Failed(bar.why) if bar.for_good else Later(bar.why, after_ms=HOUR)
        try:
            return await self._say(lot, target)
        except PutOut as problem:
            await self._barred.bar(problem.room, str(problem))
            return Later(str(problem), after_ms=min(5 * MINUTE << min(target.attempt, 10), DAY // 4))
        except Trouble as trouble:
            if trouble.away:
                self._doubt(str(trouble))
            if trouble.code == "M_FORBIDDEN" and await self._is_put_out(target.address):
                return Later(str(trouble), "403", after_ms=HOUR)
            return outcome(trouble)
        except Deferred as later:
            return Later(later.reason, later.code)

    async def _is_permanent(self, trouble: Trouble, room: str) -> bool:
        if trouble.code == "M_FORBIDDEN" and await self._is_put_out(room):
            return False
        return isinstance(outcome(trouble), Failed)

    async def _is_put_out(self, room: str) -> bool:
        """Whether it was refused because the bot is not in the room any more; that is noted, and nothing more is tried there."""
        try:
            if await self._house.forum_of(room) is None or room in await known.joined(await self._ghosts.bot()):
                return False
        except Trouble:
            return False
        await self._barred.bar(room, _("The bot is not in {room} any more.").format(room=room))
        return True

    async def _say(self, lot: Lot, target: Target) -> Outcome:
        room = target.address
        match lot.item:
            case PostItem(post):
                return Sent(await self._posts.say(lot.key, room, post))
            case EditItem(post):
                return await self._edit(lot.key, room, post)
            case RetractionItem(post):
                return await self._retract(lot.key, room, post)
            case ReactionItem():
                return await self._react(lot.key, room, lot.item)
            case DecisionItem():
                return await self._decisions.shown(room, lot.item, target.attempt)
            case QueueItem():
                return await self._moderators.shown(lot.item)
            case HistoryItem():
                await self._history.say(room, lot.item)
                return Sent()
            case StateItem():
                await self._moderators.ensure(lot.item)
                return Sent(detail=await self._rooms.ensure(lot.item))
            case MemberItem(_forum, writer, here):
                return Sent(detail=await self._ghosts.changed(writer, room, here))
            case NoticeItem() | LetterItem():
                return await self._direct.deliver(lot.key, room, lot.item)
            case _:
                return Failed("not by this channel")

    # Changes of posts
    async def _edit(self, key: str, room: str, post: Post) -> Outcome:
        own = compose.events(post.refs)
        if not own:
            return Sent(detail="it is not in this room")
        if post.channel == compose.SPACE:
            return Failed("only its author can edit a message of the room")
        ghost = await self._ghosts.of(post.writer, post.channel)
        await self._ghosts.into(ghost, room)
        form, done = Form.WHOLE, Progress()
        await self._posts.pictures(ghost, post, await self._uploads.limit(ghost), done)
        while True:
            part = compose.edit(post, own[0], form, done.media)
            try:
                name = named(key, room, part.slot, part.variant)
                event = await send(self._ghosts, ghost, room, compose.MESSAGE, part.content, name)
                return Sent(detail=event)
            except Trouble as trouble:
                if trouble.status != 413 or form is Form.SHORT:
                    raise
                form = Form(form + 1)

    async def _retract(self, key: str, room: str, post: Post) -> Outcome:
        bot = await self._ghosts.bot()
        ghost = bot if post.channel == compose.SPACE else await self._ghosts.of(post.writer)
        for number, event in enumerate(compose.events(post.refs)):
            await self._redact(ghost, bot, room, event, named(key, room, number, "redact"))
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
        if self._ghosts.one_for_all:
            return Sent(detail="one account cannot react for others")
        ghost = await self._ghosts.of(item.writer)
        said = named(room, own[0], item.writer.key, item.key)
        if item.removed:
            event = await self._house.write(lambda rows: rows.get("said", said))
            if event:
                bot = await self._ghosts.bot()
                await self._redact(ghost, bot, room, event, named(key, room, 0, "unreact"))
            await self._house.write(lambda rows: rows.drop("said", said))
            return Sent()
        await self._ghosts.into(ghost, room)
        part = compose.reaction(own[0], item.key)
        try:
            event = await send(self._ghosts, ghost, room, "m.reaction", part.content, named(key, room, part.slot))
        except Trouble as trouble:
            if trouble.code != "M_DUPLICATE_ANNOTATION":
                raise
            return Sent(detail="it was there already")
        await self._house.write(lambda rows: rows.put("said", said, event))
        return Sent(detail=event)


def outcome(trouble: Trouble) -> Outcome:
    """What a refusal means for the item. What does not say that it is for ever, is tried again."""
    if trouble.limited:
        return Later(str(trouble), str(trouble.status), after_ms=trouble.retry_after_ms)
    if trouble.away:
        return Later(str(trouble), str(trouble.status), down=True)
    return Failed(str(trouble), str(trouble.status))
