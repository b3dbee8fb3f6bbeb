"""A digest as mail: a table of contents, then each thread's new posts, each with an address that answers it. Pure; no I/O.

Text and HTML say the same (`multipart/alternative`). The HTML has its styles inline and fetches nothing; its colours are the reader's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from bridges.email import digest_text, mime
from bridges.email.compose import Mail, address, bounces, date, forum_fields, to_forum, ways_out
from bridges.email.digest_html import shown_html
from bridges.email.headers import CRLF, mailbox, message_ids, path, structured, unstructured
from bridges.email.mime import Part
from server import render, subjects
from server.bridge import DigestEntry, DigestItem, File, Forum, Target
from server.i18n import _, speaking

WORDS_CHARS = 60_000  # of all posts together: some providers cut what they show of a mail at 100 KB
PAGES = render.environment(Path(__file__).parent / "templates")
"""What mails of ours look like in HTML."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One post. `anchor` names it in the HTML; `rest`: it is longer than what is shown; `address` answers it, `via` its author only;
    `answer` and `private` are the mailto links of these."""

    anchor: str
    name: str
    when: str
    answers: str
    text: str
    html: str
    rest: bool
    url: str
    address: str
    via: str
    answer: str
    private: str
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """What is new in one thread."""

    number: int
    title: str
    posts: tuple[Shown, ...]

    @property
    def names(self) -> list[str]:
        """Who wrote, each once."""
        return list(dict.fromkeys(post.name for post in self.posts))


def digest(item: DigestItem, leave_url: str) -> Mail:
    """The digest for its receivers. `leave_url` is ours, up to the token."""
    forum = item.forum
    with speaking(item.language):
        day = render.local(item.created_at, item.timezone, "EEEE, d MMMM y")
    part = _body(forum, item.entries, day, item.timezone, item.language, item.subject)
    head = forum_fields(forum) + structured("Precedence", ["list"])
    tail = (
        structured("Auto-Submitted", ["auto-generated"]),  # RFC 3834 section 5: nobody is away from a digest
        to_forum("From", forum),
        mailbox("Reply-To", address(forum, "item", item.reply), forum.title),
        unstructured("Subject", item.subject),
        structured("Date", [date(item.created_at)]),
        message_ids("Message-ID", [item.message_id]),
        structured("MIME-Version", ["1.0"]),
        part.head,
        CRLF,
        part.body,
    )
    out = ways_out(forum, leave_url)

    def lines(target: Target) -> bytes:
        return out(target) + b"To: <" + path(target.address) + b">\r\n"

    return Mail(head, b"".join(tail), lines, bounces(forum))


@lru_cache(maxsize=32)
def _body(forum: Forum, entries: tuple[DigestEntry, ...], day: str, timezone: str, language: str, subject: str) -> Part:
    """What all readers share who live in one time zone and were sent the same posts: most of a forum's readers."""
    with speaking(language):
        topics = _topics(forum, entries, timezone)
        facts = {
            "forum": forum,
            "topics": topics,
            "count": len(entries),
            "day": day,
            "subject": subject,
            "write": address(forum),
            "leave": address(forum, "leave"),
        }
        words = digest_text.page(forum, topics, day)
        page = PAGES.get_template("digest.html").render(facts)
    return mime.multipart("alternative", [mime.text(words), mime.text(page, "html")])


def _topics(forum: Forum, entries: tuple[DigestEntry, ...], timezone: str) -> tuple[Topic, ...]:
    most = share([len(entry.post.fresh_text) for entry in entries], WORDS_CHARS)
    topics: list[Topic] = []
    for number, (_thread, group) in enumerate(groupby(entries, lambda entry: entry.thread), 1):
        mine = list(group)
        title = mine[0].topic or mine[0].post.subject or _("(no subject)")
        topics.append(Topic(number, title, tuple(_shown(entry, title, forum, timezone, most) for entry in mine)))
    return tuple(topics)


def _shown(entry: DigestEntry, title: str, forum: Forum, timezone: str, most: int) -> Shown:
    post = entry.post
    text, rest = digest_text.beginning(post.fresh_text, most)
    via = address(forum, "via", post.writer.via) if post.writer.via else ""
    where = address(forum, "item", entry.reply)
    return Shown(
        anchor=f"post-{post.number}",
        name=post.writer.name or _("A member"),
        when=render.local(post.written_at, timezone, "EEE d MMM, HH:mm"),
        answers=entry.answers,
        text=text,
        html=shown_html(post, text, rest, most),
        rest=rest,
        url=post.url,
        address=where,
        via=via,
        answer=_mailto(where, title, post.message_id),
        private=_mailto(via, title, post.message_id) if via else "",
        files=post.files,
    )


def share(sizes: Sequence[int], total: int) -> int:
    """How much each may have at most so that all together are within `total`: who needs less leaves it to the others."""
    left = total
    for place, size in enumerate(sorted(sizes)):
        fair = left // (len(sizes) - place)
        if size > fair:
            return fair
        left -= size
    return max(sizes, default=0)


def _mailto(to: str, subject: str, message_id: str) -> str:
    """RFC 6068; every character that is not unreserved is written %XX: "&" and angle brackets mean something else in a link."""
    answer = subjects.answering(subject)
    return f"mailto:{quote(to, safe='@+')}?subject={quote(answer, safe='')}&In-Reply-To={quote(message_id, safe='')}"
