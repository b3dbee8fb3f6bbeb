"""Watches the site's pages for new posts, as a reader who reloads: post N+1 has a page as soon as there is one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.demo.ledger import Ledger, Page
from deploy.demo.patience import insist
from deploy.demo.webpage import WebPost, latest_number, posts_on, root_of, subject_of
from deploy.demo.webuser import TEMPORARY, Answer, WebUser

EAGER, IDLE = 0.08, 1.0
"""Seconds between two looks while something is on its way, and else."""


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """A thread as its page shows it."""

    root: Page
    subject: str
    posts: Sequence[WebPost]


class WebWatch:
    """Reads each forum's posts by number, the old ones once, then the next one again and again."""

    def __init__(self, user: WebUser, ledger: Ledger, forums: Sequence[str], eager: Callable[[], bool]) -> None:
        self.user = user
        self.ledger = ledger
        self.eager = eager
        self.next = dict.fromkeys(forums, 1)
        self.subjects: dict[Page, str] = {}
        self.wake = asyncio.Event()
        self.ready = False

    async def catch_up(self) -> None:
        """What is there already; it is not new."""
        for forum in self.next:
            while await self._look(forum, 0.0):
                pass
        self.ready = True

    async def follow(self) -> None:
        """Looks for ever; while the site is away it looks less often."""
        while True:
            pause = EAGER if self.eager() else IDLE
            try:
                for forum in self.next:
                    while await self._look(forum, time.time()):
                        pass
            except TEMPORARY:
                pause = IDLE / 2
            self.wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self.wake.wait()
            except TimeoutError:
                continue

    async def _look(self, forum: str, seen: float) -> bool:
        """Whether the next number of the forum had a page."""
        number = self.next[forum]
        while (forum, number) in self.ledger.posts and "web" in self.ledger.posts[forum, number].seen:
            number += 1
        self.next[forum] = number
        answer = await self._page(f"/f/{forum}/{number}")
        if answer.status != 200:
            # Numbers have no holes but for what was taken back: then the forum's own page knows a higher one.
            if seen == 0.0 and latest_number((await self._page(f"/f/{forum}")).text, forum) > number:
                self.next[forum] = number + 1
                return True
            return False
        self._read(forum, number, answer.text, seen and time.time())
        self.next[forum] = number + 1
        return True

    async def _page(self, path: str) -> Answer:
        answer = await insist(lambda: self.user.get(path), 2.0, TEMPORARY)
        if answer.status >= 500:
            raise ConnectionError(f"{answer.status} from {path}")
        return answer

    def _read(self, forum: str, number: int, html: str, seen: float) -> None:
        posts = posts_on(html)
        if not posts:
            return
        root = (forum, root_of(html, forum) or min(post.number for post in posts))
        self.subjects[root] = subject_of(html)
        for post in posts:
            self.ledger.on_page((forum, post.number), root, post.text, seen)

    async def thread(self, root: Page) -> ThreadPage:
        """The thread's page now."""
        answer = await self._page(f"/f/{root[0]}/{root[1]}")
        return ThreadPage(root, subject_of(answer.text), posts_on(answer.text))
