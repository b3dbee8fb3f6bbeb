"""HTML as its tags and the text between them, one look at each. Pure; builds no tree and repairs nothing.

A parser that repairs as browsers do makes gigabytes of some sixty kilobytes of unclosed tags, and a room's HTML is anybody's.
Who needs a tree gets the house's, which has limits; here tags are only renamed, dropped or put in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape, unescape

VALUE_CHARS = 2_000  # a longer value is dropped
ATTRIBUTES = 20  # of one tag that are looked at

# Possessive: a tag that never ends costs one look. A quote counts only after "=", as in a browser.
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]{0,40}+)((?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+|["'])*+)>""")
_PAIR = re.compile(r"""([^\s=>"'/]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]++)))?+""")


@dataclass(frozen=True, slots=True)
class Tag:
    """`source` is the tag as it came; `attributes` are those of an opening tag, with their references resolved."""

    name: str
    source: str
    closing: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


def pieces(html: str) -> Iterator[str | Tag]:
    """Text (still with its character references) and tags in order; comments and declarations are left out."""
    place = 0
    while (start := html.find("<", place)) >= 0:
        if start > place:
            yield html[place:start]
        if match := _TAG.match(html, start):
            closing = match.group(1) == "/"
            yield Tag(match.group(2).lower(), match.group(0), closing, {} if closing else _attributes(match.group(3)))
            place = match.end()
        elif html[start + 1 : start + 2] in ("!", "?"):
            end = html.find("-->" if html.startswith("<!--", start) else ">", start)
            if end < 0:
                return
            place = html.find(">", end) + 1
        elif html[start + 1 : start + 2].isalpha() or html.startswith("</", start):
            yield "&lt;" + html[start + 1 :].replace("<", "&lt;")  # a tag that never ends: all that is left is text
            return
        else:
            yield "&lt;"
            place = start + 1
    if place < len(html):
        yield html[place:]


def opening(name: str, **attributes: str) -> str:
    """An opening tag; an empty value is left out."""
    words = [name, *(f'{key}="{escape(value)}"' for key, value in attributes.items() if value)]
    return f"<{' '.join(words)}>"


def _attributes(source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for count, match in enumerate(_PAIR.finditer(source)):
        if count >= ATTRIBUTES:
            break
        value = match.group(2) or match.group(3) or match.group(4) or ""
        if len(value) <= VALUE_CHARS:
            found.setdefault(match.group(1).lower(), unescape(value))
    return found
