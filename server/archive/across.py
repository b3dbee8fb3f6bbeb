"""Addresses in HTML with tags or character references in them, hidden as the words that a reader sees. Pure.

What a tag stands in is one word on the page: `ana<b>@</b>sea.example` is an address. Only text that belongs to one is written anew;
everything else stays as it is, so that nothing here makes new markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape

from server.markup import soup
from server.markup.tree import BLOCK, PARTS, VOID

Hits = Callable[[str], Sequence[tuple[int, int, str]]]
"""The addresses in a text: where each begins and ends, and what is shown instead."""

# No "<" in a tag: whatever is sent, each character is looked at no more than twice.
_TAG = re.compile(r"""(<(?:/?[a-zA-Z](?:[^<>"]++|"[^"<]*+")*+|[!?][^<>]*+)>)""")
_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,20})")
_APART = BLOCK | PARTS | VOID


def hidden(html: str, hits: Hits) -> str:
    """The HTML without the addresses that tags or references are in; those without may still be there."""
    pieces = _TAG.split(html)
    run: list[int] = []
    for at in range(0, len(pieces), 2):
        run.append(at)
        if at + 1 == len(pieces) or _apart(pieces[at + 1]):
            _hide(pieces, run, hits)
            run = []
    return "".join(pieces)


def _apart(tag: str) -> bool:
    """Whether what stands before the tag and behind it are not one word."""
    name = _NAME.match(tag)
    return name is not None and name[1].lower() in _APART


def _hide(pieces: list[str], run: Sequence[int], hits: Hits) -> None:
    if len(run) == 1 and "&" not in pieces[run[0]]:
        return
    texts = [soup.decode(pieces[at]) for at in run]
    words = "".join(texts)
    found = [hit for hit in hits(words) if words[hit[0] : hit[1]] != hit[2]]
    begin = first = 0
    for at, text in zip(run, texts, strict=True):
        end = begin + len(text)
        while first < len(found) and found[first][1] <= begin:
            first += 1
        last = first
        while last < len(found) and found[last][0] < end:
            last += 1
        if last > first:
            pieces[at] = escape(_without(text, begin, found[first:last]), quote=False)
        begin = end


def _without(text: str, begin: int, hits: Sequence[tuple[int, int, str]]) -> str:
    """The text, which begins at that place, without what the hits hide; what is shown instead stands where each begins."""
    out, done = [], 0
    for start, stop, instead in hits:
        out.append(text[done : max(0, start - begin)])
        out.append(instead if start >= begin else "")
        done = stop - begin
    out.append(text[done:])
    return "".join(out)
