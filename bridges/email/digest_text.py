"""The text of a digest, for programs that show no HTML and people who want none. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridges.email.compose import address
from server import render
from server.bridge import Forum
from server.i18n import _, ngettext

if TYPE_CHECKING:
    from bridges.email.digest import Shown, Topic

WIDTH = 72
_RULE, _THIN = "=" * WIDTH, "-" * WIDTH


def page(forum: Forum, topics: Sequence[Topic], day: str) -> str:
    """The whole text."""
    lines = [forum.title, f"{day}: {counted(topics)}", "", *_contents(topics), ""]
    lines += _wrapped(
        _("To answer a post, write to the address below it. An answer to this whole mail is not posted."), ""
    )
    for topic in topics:
        lines += ["", "", _RULE, *_wrapped(f"{topic.number}  {topic.title}", "   "), _RULE]
        for place, post in enumerate(topic.posts):
            lines += ["", *([_THIN, ""] if place else []), *_post(post)]
    lines += ["", "", _RULE, *_wrapped(_("Something new: {address}").format(address=address(forum)), "  ")]
    lines += _wrapped(_("Read everything: {url}").format(url=forum.url), "  ")
    lines += _wrapped(_("Leave: {address}").format(address=address(forum, "leave")), "  ")
    return "\n".join(lines) + "\n"


def counted(topics: Sequence[Topic]) -> str:
    """ "5 new posts in 2 topics"."""
    count = sum(len(topic.posts) for topic in topics)
    posts = ngettext("{count} new post", "{count} new posts", count).format(count=count)
    where = ngettext("{count} topic", "{count} topics", len(topics)).format(count=len(topics))
    return _("{posts} in {topics}").format(posts=posts, topics=where)


def _contents(topics: Sequence[Topic]) -> list[str]:
    lines: list[str] = []
    for topic in topics:
        number = f"{topic.number:>4}  "
        lines += _wrapped(number + topic.title, " " * len(number))
        lines += textwrap.wrap(", ".join(topic.names), WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return lines


def _post(post: Shown) -> list[str]:
    head = _("{name}, {when}").format(name=post.name, when=post.when)
    if post.answers:
        head = _("{name} answers {other}, {when}").format(name=post.name, other=post.answers, when=post.when)
    lines = [*_wrapped(head, "  "), "", *fitted(post.text)]
    if post.rest:
        lines += ["", _("[… the rest is on its page]")]
    if post.files:
        lines.append("")
    for file in post.files:
        lines += [f"  {file.filename} ({render.size(file.size)}):", f"    {file.url}"]
    lines += ["", _("  Answer:  {address}").format(address=post.address)]
    lines += [_("  Private: {address}").format(address=post.via)] if post.via else []
    return [*lines, _("  Page:    {url}").format(url=post.url)]


def beginning(text: str, chars: int) -> tuple[str, bool]:
    """At most that much of a text, ended where a paragraph, a line or a word ends; and whether there is more."""
    whole = text.strip("\n").rstrip()
    if len(whole) <= chars:
        return whole, False
    cut = whole[:chars]
    for end in ("\n\n", "\n", " "):
        at = cut.rfind(end)
        if at > chars // 2:
            cut = cut[:at]
            break
    return cut.rstrip(), True


def fitted(text: str) -> list[str]:
    """The lines of a text, those that are too long wrapped; code, tables and drawings keep their form."""
    return [short for line in text.split("\n") for short in _fitted(line.rstrip())]


def _fitted(line: str) -> list[str]:
    if len(line) <= WIDTH + 4 or line.startswith(("    ", "\t")) or "   " in line.strip():
        return [line]
    inside = line.lstrip("> ")
    marks = line[: len(line) - len(inside)]
    return _wrapped(line, marks)


def _wrapped(line: str, indent: str) -> list[str]:
    """One line as several; addresses and links are never broken."""
    wrapped = textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return wrapped or [""]
