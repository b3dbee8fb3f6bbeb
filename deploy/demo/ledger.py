"""Which mail, which event and which page are the same post, and when each channel first showed it. Pure: no I/O.

A page knows its number. A mail or an event from Junto names its page; what a member wrote with their own client does not,
so that is found by its words, as a person would.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

Page = tuple[str, int]
"""(forum, number)."""

WORDS = 40
"""Letters and digits that are compared: before a list begins, whose numbers a page draws and does not write."""

LISTED = 45.0
"""Seconds for which a post counts as new."""


def essence(text: str) -> str:
    """The letters and digits of a text, in one case: what survives Markdown, HTML and line breaks alike."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())[:WORDS]


@dataclass(slots=True)
class Handed:
    """Something a member has just written on the stage, until its page is known."""

    number: int
    channel: str
    forum: str
    words: str
    at: float
    page: Page | None = None


@dataclass(slots=True)
class Post:
    """One post on all channels. `seen`: channel -> seconds since the epoch, 0 for what was there before we looked."""

    page: Page
    root: Page
    words: str
    origin: str = ""
    at: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)

    def hops(self) -> dict[str, float]:
        """Channel -> milliseconds from its author's hand, for each other channel that showed it."""
        return {
            channel: max(0.0, (seen - self.at) * 1000)
            for channel, seen in self.seen.items()
            if channel != self.origin and seen and self.at
        }

    def new(self, now: float) -> bool:
        """Whether it is to be ringed."""
        return bool(self.at) and now - max(self.at, *self.seen.values(), 0.0) < LISTED


class Ledger:
    """All posts, and the names by which they are found. `changed` is called after each news."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.posts: dict[Page, Post] = {}
        self.pages: dict[str, Page] = {}  # Message-ID or event id -> page
        self.changed = changed
        self.handed: list[Handed] = []
        self._loose: dict[str, tuple[str, str, str, float]] = {}  # name -> channel, forum, words, seen

    def hand(self, channel: str, forum: str, text: str, now: float | None = None) -> Handed:
        """A member writes: the clock of its hops starts."""
        entry = Handed(len(self.handed), channel, forum, essence(text), time.time() if now is None else now)
        self.handed.append(entry)
        return entry

    def on_page(self, page: Page, root: Page, text: str, seen: float) -> None:
        """The web shows post `page` in the thread of `root`. `seen` is 0 for what was there before we looked."""
        post = self.posts.setdefault(page, Post(page, root, essence(text)))
        if post.root != root or "web" not in post.seen:
            post.root = root
            self.changed()
        if "web" not in post.seen:
            post.words = essence(text)
            self._claim(post)
            self._show(post, "web", seen)

    def elsewhere(self, channel: str, name: str, forum: str, page: Page | None, text: str, seen: float) -> None:
        """Mail or room shows something under a name of its own; `page` if it names one."""
        if name in self.pages or name in self._loose:
            return
        if page is None:
            self._loose[name] = (channel, forum, essence(text), seen)
            for post in reversed(self.posts.values()):
                if self._match(name, post):
                    break
            self.changed()
            return
        self.pages[name] = page
        # The page itself may not have been read yet: its text and its root are filled in then.
        post = self.posts.setdefault(page, Post(page, page, essence(text)))
        self._claim(post)
        self._show(post, channel, seen)

    def post_of(self, name: str) -> Post | None:
        """The post that a Message-ID or an event id is a name of."""
        page = self.pages.get(name)
        return self.posts.get(page) if page else None

    def root_of(self, page: Page) -> Page:
        """The first post of its thread."""
        post = self.posts.get(page)
        return post.root if post else page

    def _claim(self, post: Post) -> None:
        for entry in self.handed:
            if entry.page is None and entry.forum == post.page[0] and same(entry.words, post.words):
                entry.page = post.page
                post.origin, post.at = entry.channel, entry.at
                break
        for name in reversed(list(self._loose)):  # of equal words the latest: it is the one on its way
            self._match(name, post)

    def _match(self, name: str, post: Post) -> bool:
        channel, forum, words, seen = self._loose[name]
        if forum not in ("", post.page[0]) or not same(words, post.words) or channel in post.seen:
            return False
        del self._loose[name]
        self.pages[name] = post.page
        self._show(post, channel, seen)
        return True

    def _show(self, post: Post, channel: str, seen: float) -> None:
        if channel not in post.seen:
            post.seen[channel] = seen
            self._begin(post, channel, seen)
            self.changed()

    def _begin(self, post: Post, channel: str, seen: float) -> None:
        """A post that was not written on the stage: it begins where it was seen first."""
        if not seen or post.origin or any(not earlier for earlier in post.seen.values()):
            return  # known already, or old and only late on this channel
        post.origin, post.at = channel, seen


def same(one: str, other: str) -> bool:
    """Whether one text begins like the other; short ones must be equal."""
    length = min(len(one), len(other))
    return one == other if length < 24 else one[:length] == other[:length]


def spoken(milliseconds: float) -> str:
    """ "84 ms", "0.4 s", "12 s"."""
    if milliseconds < 200:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
