"""Who is mentioned, and their names where their ids stood. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from urllib.parse import unquote

from bridges.matrix.names import split_user
from bridges.matrix.tags import pieces

PEOPLE = 50  # in one message; more are not looked up
LINKED = 10  # in one post of ours; whoever writes more names does not ask for people's attention
_PREFIXES = ("https://matrix.to/#/", "matrix:u/")
_BARE = re.compile(r"(?P<url>https://matrix\.to/#/(?:@|%40)[^\s()<>\[\]]{1,400})")
_MARKDOWN = re.compile(r"\[(?P<words>[^\[\]\n]{0,255})\]\(" + _BARE.pattern + r"\)")
_END = r"(?![A-Za-z0-9_-]|[.:][A-Za-z0-9])"  # an id does not end in the middle of a longer one


def mentioned(url: str) -> str | None:
    """The id of the person that a link stands for (appendices, "matrix.to navigation" and "Matrix URI scheme"), if it does."""
    for prefix in _PREFIXES:
        if url.startswith(prefix):
            name = unquote(url.removeprefix(prefix).partition("?")[0])
            name = f"@{name}" if prefix == "matrix:u/" else name
            return name if split_user(name) else None
    return None


def listed(content: Mapping[str, object]) -> tuple[str, ...]:
    """The people that `m.mentions` names (C-S API v1.7, 11.37), as far as it is well formed."""
    mentions = content.get("m.mentions")
    ids = mentions.get("user_ids") if isinstance(mentions, dict) else None
    found = (
        [each for each in ids[:PEOPLE] if isinstance(each, str) and split_user(each)] if isinstance(ids, list) else []
    )
    return tuple(dict.fromkeys(found))


def linked(html: str) -> list[str]:
    """The people whom a text of ours links to in its own words: what it quotes mentioned them before."""
    found: dict[str, None] = {}
    quoted = 0
    for piece in pieces(html):
        if isinstance(piece, str):
            continue
        if piece.name == "blockquote":
            quoted = max(0, quoted - 1) if piece.closing else quoted + 1
        person = mentioned(piece.attributes.get("href", "")) if piece.name == "a" and not quoted else None
        if person is not None and len(found) < LINKED:
            found[person] = None
    return list(found)


def unlinked(text: str) -> tuple[str, list[str]]:
    """Plain words with the text of each link to a person instead of the link, as some clients write them; and who they are.

    A bare link becomes the id, which becomes a name later.
    """
    found: dict[str, None] = {}

    def words(match: re.Match[str]) -> str:
        url = match.group("url").rstrip(".,:;!?")  # the sentence's, where the link is bare
        person = mentioned(url)
        if person is None:
            return match.group(0)
        found[person] = None
        return match.groupdict().get("words") or person + match.group("url")[len(url) :]

    text = _MARKDOWN.sub(words, text)
    return _BARE.sub(words, text), list(found)[:PEOPLE]


def occurring(people: tuple[str, ...], *texts: str | None) -> list[str]:
    """Those whose ids stand in one of the texts."""
    return [each for each in people if any(text and (each in text or _escaped(each) in text) for text in texts)]


def with_names(text: str, names: Mapping[str, str]) -> str:
    """The text with the names of people where their ids stood."""
    if not names:
        return text
    ids = "|".join(re.escape(each) for each in sorted(names, key=len, reverse=True))
    return re.sub(f"(?:{ids}){_END}", lambda match: names[match.group(0)], text)


def with_names_in_html(html: str, names: Mapping[str, str]) -> str:
    """The same between the tags of HTML."""
    if not names:
        return html
    escaped = {_escaped(each): _escaped(name) for each, name in names.items()}
    return "".join(with_names(p, escaped) if isinstance(p, str) else p.source for p in pieces(html))


def _escaped(text: str) -> str:
    return escape(text, quote=False)
