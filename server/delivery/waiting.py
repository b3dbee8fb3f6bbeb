"""What a notice about held posts says and encloses: which posts, why they wait, how to answer. Read-only.

Said when the notice leaves and not when it was booked: what was decided meanwhile is not asked about again, and no words of a post
lie in the queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from server import bridge
from server.archive.portable import port_post
from server.content.excerpts import first_words
from server.desk import Desk
from server.i18n import _, ngettext
from server.store.schema import bodies, held, posts

ENCLOSED_BYTES = 5 * 1024 * 1024
"""Of all messages in one notice; one that does not fit is only on the page."""
EXCERPT_LINES, EXCERPT_CHARS, LINE_CHARS = 6, 400, 68

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """What fills a notice's template, and the messages that go with it."""

    facts: dict[str, str]
    enclosed: tuple[bytes, ...] = ()


def about(tx: Connection, desk: Desk, channel: str, data: Data, forum: bridge.Forum, link: str) -> About:
    """The facts of a notice about held posts, in the reader's language. What became of an answer (`lines`) is all said already."""
    if "lines" in data:
        return About({})
    if data.get("role") == "author":
        return About(_for_author(forum, data))
    rows = _rows(tx, [int(post_id) for post_id, _name in data["posts"]])
    waiting = [
        (place, rows[post_id], name) for place, (post_id, name) in enumerate(data["posts"], 1) if post_id in rows
    ]
    enclosed = _enclosed(tx, desk, channel, [row.id for _place, row, _name in waiting])
    facts = {
        "what": _what([row for _place, row, _name in waiting]),
        "intro": _intro(forum, len(waiting)),
        "list": "\n".join(_entry(place, row, name, len(data["posts"]), link) for place, row, name in waiting),
        "how": how(len(data["posts"])),
        "attached": _attached(len(enclosed), len(waiting)),
    }
    return About(facts, enclosed)


def _rows(tx: Connection, ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Those of the posts that still wait."""
    query: Select[Any] = (
        select(posts.c.id, posts.c.subject, posts.c.author_name, bodies.c.fresh_text, held.c.author, held.c.reason)
        .join_from(posts, held, held.c.post_id == posts.c.id)
        .join(bodies, bodies.c.post_id == posts.c.id)
        .where(posts.c.id.in_(ids))
    )
    return {row.id: row for row in tx.execute(query)}


def _for_author(forum: bridge.Forum, data: Data) -> dict[str, str]:
    others = len(data["posts"]) - 1
    more = ngettext(" (and {count} other)", " (and {count} others)", others).format(count=others) if others else ""
    readers = (
        _("Once it is published it is public: it goes to every member, and anybody can read it at {url}.")
        if forum.visibility == "public"
        else _("Once it is published it goes to every member, and only members can read it.")
    )
    return {"subject": str(data.get("subject") or _("(no subject)")) + more, "readers": readers.format(url=forum.url)}


def _what(rows: Sequence[Row[Any]]) -> str:
    if not rows:
        return _("nothing any more")
    if len(rows) > 1:
        return ngettext("{count} message", "{count} messages", len(rows)).format(count=len(rows))
    return _("“{subject}” by {name}").format(subject=rows[0].subject or _("(no subject)"), name=_name(rows[0]))


def _intro(forum: bridge.Forum, count: int) -> str:
    if not count:
        return _("What waited in {forum} was decided before this mail left: there is nothing to do.").format(
            forum=forum.title
        )
    return ngettext(
        "A message to {forum} waits for you: it is published if you say so.",
        "{count} messages to {forum} wait for you: they are published if you say so.",
        count,
    ).format(forum=forum.title, count=count)


def _name(row: Row[Any]) -> str:
    return row.author_name or _address(row) or _("somebody")


def _address(row: Row[Any]) -> str:
    """The author's address; who writes on our pages has none there."""
    channel, _colon, address = row.author.partition(":")
    return "" if channel == bridge.WEB else address


def _entry(place: int, row: Row[Any], name: str, count: int, link: str) -> str:
    """One post of the list: who, what, why, the first words."""
    by = f"{row.author_name} <{_address(row)}>" if row.author_name and _address(row) else _name(row)
    lines = [
        _("From: {author}").format(author=by),
        _("Subject: {subject}").format(subject=row.subject or _("(no subject)")),
        _("Waits because: {reason}").format(reason=row.reason),
    ]
    if count == 1:
        shown = [f"    {line}" for line in [*lines, _("Named: {name}").format(name=name)]]
        return "\n".join([*shown, "", *_excerpt(row.fresh_text)]) + "\n"
    first = first_words(row.fresh_text, LINE_CHARS)
    return (
        "\n".join([f"{place}.  {lines[0]}", *(f"    {line}" for line in [*lines[1:], first, f"{link}/{name}"] if line)])
        + "\n"
    )


def _excerpt(text: str) -> list[str]:
    """The first lines as they are, each behind a bar, so that they are not taken for ours."""
    lines = [line.rstrip() for line in text.strip()[:EXCERPT_CHARS].splitlines()]
    cut = len(lines) > EXCERPT_LINES or len(text.strip()) > EXCERPT_CHARS
    return [f"    | {line}".rstrip() for line in lines[:EXCERPT_LINES]] + (["    | …"] if cut else [])


def how(count: int) -> str:
    """The words that an answer may begin with."""
    which = "" if count == 1 else " 2"
    told = [
        (_("approve") + which, _("it is published") if count == 1 else _("number 2 is published")),
        (_("reject") + which, _("it is not published, and its author is told nothing")),
        (_("reject") + which + " " + _("and your reason"), _("the same, and your reason goes to its author")),
        (_("ban") + which, _("it is not published, and its author is shut out")),
    ]
    if count > 1:
        told.insert(1, (_("approve") + " " + _("all"), _("all of them are published")))
    wide = max(len(word) for word, _meaning in told)
    return "\n".join(f"    {word.ljust(wide)}   {meaning}" for word, meaning in told)


def _attached(enclosed: int, count: int) -> str:
    if not count:
        return ""
    if enclosed == count:
        return ngettext(
            "The message is attached as it came.", "The messages are attached as they came, in this order.", count
        )
    if enclosed:
        return _("{enclosed} of the {count} messages are attached as they came; the others are too large.").format(
            enclosed=enclosed, count=count
        )
    return _("The whole text is on that page.")


def _enclosed(tx: Connection, desk: Desk, channel: str, ids: Sequence[int]) -> tuple[bytes, ...]:
    """The messages as they came, or, of posts born elsewhere, as they will be sent; as many as fit."""
    found: list[bytes] = []
    if channel not in desk.sources:
        return ()
    room = ENCLOSED_BYTES
    for post_id in ids:
        post = port_post(tx, post_id, channel, desk.base_url)
        message = post.original if post.original is not None else desk.sources[channel](post)
        if len(message) <= room:
            found.append(message)
            room -= len(message)
    return tuple(found)
