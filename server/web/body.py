"""The HTML of a post made fit for a page: long quotes folded, pictures from our own address, addresses hidden. Pure.

What comes in was sanitised when the post was stored, so tags are balanced and attributes quoted; nothing here makes new markup out
of an author's words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from markupsafe import Markup

from server.archive.masking import Mask
from server.bridge import File
from server.i18n import gettext as _

FOLD_CHARS = 240
"""A quote with more text than this is folded; nothing of it is left out."""

_TAG = re.compile(r'<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})((?:[^<>"]|"[^"]*")*)>')
_SRC = re.compile(r'\ssrc="blob:([0-9a-f]{64})"')
_MAILTO = re.compile(r'\shref="mailto:[^"]*"')
_HEADING = {f"h{level}": f"h{min(level + 2, 6)}" for level in range(1, 7)}  # the page itself has h1 and h2

SAFE_IMAGES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
"""Pictures that browsers show without running anything."""


class _Pass:
    """One pass over the tags of one post."""

    def __init__(self, files: Sequence[File], mask: Mask, base_url: str, fold: bool) -> None:
        self._files: Mapping[str, File] = {file.hash: mask.file(file) for file in files}
        self._mask, self._base, self._fold = mask, base_url, fold
        self._out: list[str] = []
        self._quotes: list[tuple[int, int, bool]] = []  # place in the output, text before it, whether it may be folded
        self._chars = 0

    def run(self, html: str) -> str:
        at = 0
        html = self._mask.across(html)
        for found in _TAG.finditer(html):
            self._text(html[at : found.start()])
            self._tag(found[1], found[2].lower(), found[3])
            at = found.end()
        self._text(html[at:])
        return "".join(self._out)

    def _text(self, text: str) -> None:
        self._chars += len(text)
        self._out.append(self._mask.text(text))

    def _tag(self, slash: str, name: str, attributes: str) -> None:
        name = _HEADING.get(name, name)
        if name == "img":
            self._image(attributes)
        elif name == "blockquote":
            self._quote(slash, attributes)
        elif name == "table":
            self._out.append("</table></div>" if slash else f'<div class="scroll" tabindex="0"><table{attributes}>')
        elif name == "pre" and not slash:
            self._out.append(f'<pre tabindex="0"{attributes}>')
        elif name == "a" and not slash:
            self._out.append(f"<a{self._link(attributes)}>")
        else:
            self._out.append(f"<{slash}{name}{self._mask.text(attributes)}>")

    def _link(self, attributes: str) -> str:
        attributes = self._mask.text(_MAILTO.sub("", attributes))
        return attributes if " rel=" in attributes else f'{attributes} rel="nofollow ugc noopener"'

    def _image(self, attributes: str) -> None:
        source = _SRC.search(attributes)
        if source is None:
            return  # nothing is loaded from elsewhere
        file = self._files.get(source[1])
        url = self._base + (file.url if file else f"/blob/{source[1]}")
        rest = self._mask.text(_SRC.sub("", attributes).rstrip(" /"))
        if " alt=" not in rest:
            rest += f' alt="{escape(file.filename if file else "")}"'
        self._out.append(f'<img src="{escape(url)}"{rest} loading="lazy">')

    def _quote(self, slash: str, attributes: str) -> None:
        if not slash:
            outermost = not any(may_fold for _place, _before, may_fold in self._quotes)
            self._quotes.append((len(self._out), self._chars, outermost and 'class="quote"' in attributes))
            self._out.append(f"<blockquote{self._mask.text(attributes)}>")
            return
        self._out.append("</blockquote>")
        place, before, may_fold = self._quotes.pop() if self._quotes else (0, self._chars, False)
        if self._fold and may_fold and self._chars - before > FOLD_CHARS:
            summary = escape(_("Quoted text"))
            self._out[place] = f'<details class="quoted"><summary>{summary}</summary>{self._out[place]}'
            self._out.append("</details>")


def shown(html: str, files: Sequence[File], mask: Mask, *, base_url: str = "", fold: bool = True) -> Markup:
    """The post's HTML for a page (or, with `base_url` and unfolded, for a feed)."""
    return Markup(_Pass(files, mask, base_url, fold).run(html))  # noqa: S704  sanitised when it was stored


def beside(html: str, files: Sequence[File], mask: Mask) -> tuple[list[File], list[File]]:
    """Pictures and other files of a post that its HTML does not show already, addresses hidden in their names."""
    others = [mask.file(file) for file in files if f"blob:{file.hash}" not in html]
    pictures = [file for file in others if file.media_type in SAFE_IMAGES]
    return pictures, [file for file in others if file not in pictures]
