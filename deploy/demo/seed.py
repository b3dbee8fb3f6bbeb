"""Plays the sample threads through the real doors: each post once, by its author's own client, whatever start it takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from deploy.demo import picture
from deploy.demo.community import DOMAIN, MAIL, ROOM, Member, SeedPost, SeedThread, seed_threads
from deploy.demo.ledger import Page, essence, same
from deploy.demo.mailread import Mail, fresh
from deploy.demo.mailwrite import Correspondent, compose, new_id, reply
from deploy.demo.patience import until
from deploy.demo.peers import Peers, alias
from deploy.demo.roomview import Message

PATIENCE = 100.0
"""Seconds for a post to reach the channel on which the next one answers it: mail that was under way when a demo was killed comes
again after a minute."""

HURRY = 10.0
"""The same while the stage waits to be announced."""


class SeedFailed(RuntimeError):
    """A sample post did not come through; the text says which. The next start goes on from there."""


class Seed:
    """What of the sample is played is in the state, by the post's key, with its page."""

    def __init__(self, peers: Peers) -> None:
        self.peers = peers
        self.done: dict[str, Any] = peers.state.part("seed")
        self.threads = seed_threads()
        self.patience = PATIENCE

    @property
    def missing(self) -> int:
        """How many posts are not played yet."""
        return sum(post.key not in self.done for thread in self.threads for post in thread.posts)

    async def play(self, patience: float = PATIENCE) -> None:
        """Everything that can be played now: a thread waits at its first post by a member in the room until there is one.

        Raises SeedFailed.
        """
        self.patience = patience
        for thread in self.threads:
            for post in thread.posts:
                if post.key in self.done:
                    continue
                if post.by.channel == ROOM and self.peers.room is None:
                    break
                if thread.talk:
                    await self._talk(thread, post)
                    continue
                parent = self.done[thread.posts[post.to].key] if post.to is not None else None
                page = self._found(thread, post) or await self._play(thread, post, parent and tuple(parent))
                self.done[post.key] = page
                self.peers.state.save()
        await self._sign()

    async def _talk(self, thread: SeedThread, post: SeedPost) -> None:
        """A message at room level, which has no page of its own."""
        assert self.peers.room is not None
        answered = self.done[thread.posts[post.to].key] if post.to is not None else None
        user, room = self.peers.room_users[post.by.key], self.peers.room.aliases[alias(thread.forum)]
        event = await user.write(room, post.text, transaction=f"seed-{post.key}", answers=answered)
        self.done[post.key] = event
        self.peers.state.save()

    async def _sign(self) -> None:
        """What was put on posts, once the room has them."""
        for post in (post for thread in self.threads for post in thread.posts if post.signs):
            named = f"{post.key} signs"
            if self.peers.room is None or named in self.done or post.key not in self.done:
                continue
            message = await until(partial(self._shown, tuple(self.done[post.key])), self.patience)
            if message is None:
                raise SeedFailed(f"the room never got the sample post {post.key}")
            for key, sign in post.signs.items():
                user = self.peers.room_users[key]
                await user.react(message.room, message.id, sign, transaction=f"seed-{named}-{key}")
            self.done[named] = True
            self.peers.state.save()

    def _shown(self, page: Page) -> Message | None:
        view, ledger = self.peers.room, self.peers.ledger
        return next((found for found in view.all() if ledger.pages.get(found.id) == page), None) if view else None

    def _found(self, thread: SeedThread, post: SeedPost, page: Page | None = None) -> Page | None:
        """Its page once the web shows it: the one that is known, or by its words."""
        words = essence(post.text)
        pages = (found for found in self.peers.ledger.posts.values() if found.page[0] == thread.forum)
        shown = (found for found in pages if "web" in found.seen)
        return next(
            (found.page for found in shown if found.page == page or (not page and same(found.words, words))), None
        )

    async def _play(self, thread: SeedThread, post: SeedPost, parent: Page | None) -> Page:
        page: Page | None = None
        if post.by.channel == MAIL:
            await self._mail(thread, post, parent)
        elif post.by.channel == ROOM:
            await self._room(thread, post, parent)
        else:
            user = await self.peers.sign_in(post.by)
            path = f"/f/{parent[0]}/{parent[1]}/reply" if parent else f"/f/{thread.forum}/new"
            page = await user.write(path, post.text, thread.subject if parent is None else "", self.patience)
        self.peers.watch.wake.set()
        page = await until(lambda: self._found(thread, post, page), self.patience)
        if page is None:
            raise SeedFailed(f"the sample post {post.key} by {post.by.name} did not appear on the web")
        return page

    async def _mail(self, thread: SeedThread, post: SeedPost, parent: Page | None) -> None:
        author, message_id = Correspondent(post.by.name, post.by.address), new_id(post.by.address)
        date = datetime.now(UTC) - timedelta(days=post.days)
        files = [(f"{post.picture}.png", "image/png", _draw(post.picture))] if post.picture else []
        if parent is None:
            to = f"{thread.forum}@{DOMAIN}"
            data = compose(author, to, thread.subject, post.text, message_id=message_id, date=date, files=files)
        else:
            answered = await until(lambda: self._mail_of(post.by, parent), self.patience)
            if answered is None:
                raise SeedFailed(f"{post.by.name} never got the mail that {post.key} answers")
            data = reply(author, answered, post.text, message_id=message_id, date=date, files=files)
        await self.peers.post_mail(post.by, data, self.patience)

    def _mail_of(self, member: Member, page: Page) -> Mail | None:
        """The member's copy of a post: the one that came, or the one that they wrote themselves."""
        for mail in self.peers.office.box(member.address):
            if mail.page == page:
                return mail
            post = self.peers.ledger.posts.get(page)
            if mail.sent and post and same(essence(fresh(mail.text)), post.words):
                return mail
        return None

    async def _room(self, thread: SeedThread, post: SeedPost, parent: Page | None) -> None:
        view = self.peers.room
        assert view is not None
        room, root = view.aliases[alias(thread.forum)], None
        if parent is not None:
            found = await until(lambda: self._opener(parent), self.patience)
            if found is None:
                raise SeedFailed(f"the room never got the thread that {post.key} answers")
            root = found.id
        user, transaction = self.peers.room_users[post.by.key], f"seed-{post.key}"
        if post.picture:
            name, data = f"{post.picture}.png", _draw(post.picture)
            await user.show(room, name, data, transaction=transaction, caption=post.text, root=root)
        else:
            words = post.was or post.text
            event = await user.write(room, words, transaction=transaction, root=root, patience=self.patience)
            if post.was:
                await user.edit(room, event, post.text, transaction=f"{transaction}-edit")

    def _opener(self, page: Page) -> Message | None:
        found = self.peers.thread_event(self.peers.ledger.root_of(page))
        return found[0] if found else None


def _draw(name: str) -> bytes:
    return picture.tide_curve() if name == "tide" else picture.bars([310, 540, 1260, 2140, 1730, 880, 460])
