"""Addresses and our own tokens, hidden wherever the archive shows words to somebody else than their author. Pure.

A forum's own addresses stay, for everybody may know them; a token in one of them does not. Patterns are bounded. Nothing that is
kept is changed by this, only what is shown of it.
"""

from __future__ import annotations

import base64
import quopri
import re
from binascii import Error as BadBase64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.message import Message
from functools import lru_cache
from typing import ClassVar
from urllib.parse import quote

from server import bridge, limits
from server.archive import across

_AS_IT_IS = ("", "7bit", "8bit", "binary")  # a text whose encoding nobody knows is not shown
TYPE_CHARS = 1_000  # of a Content-Type that are read: the standard library takes its parameters apart in quadratic time
_AT = re.compile(r"@|%40|&#0{0,9}64;?|&#[xX]0{0,9}40;?|&commat;")  # as it is written, in links, in HTML
_DOMAIN = re.compile(r"((?:[\w-]{1,63}\.){1,10}[^\W\d_][\w-]{0,62}|localhost\b|\[[\w:.]{2,60}\])")
# The local part is read from the sign to the left, so these are written backwards: RFC 5322 section 3.4.1, "&" perhaps as HTML.
_ATOM = re.compile(r"(?:[\w.!#$%&'*+/=?^`{|}~-]|;pma&){1,128}")
_QUOTED = re.compile(r"""(?:"|;touq&)(?:"\\|;touq&\\|(?!;touq&)[^"<>\r\n]){1,128}(?:"|;touq&)""")
_SPACE = re.compile(r"\s{0,80}")
_REACH = 320  # characters left of the sign that can belong to an address
_SCAN = 1 << 18  # characters looked through at one go, for meanwhile no other thread runs
_PLAIN_TAIL = re.compile(r"[\w.+-]{1,64}\Z")
_MAILTO = re.compile(r'\shref="mailto:[^"]*"')
_TOKEN_PATH = re.compile(r"(?i)(/(?:leave|mute|sign-in|confirm|mod|entry)/)[a-z2-7]{26}(?![a-z2-7])")
_WORD = r"=\?[^?\s]{1,60}\?[bBqQ]\?[^?\s]{0,998}\?="  # RFC 2047 section 2
_ENCODED_WORDS = re.compile(rf"{_WORD}(?:\s{{1,80}}{_WORD}){{0,200}}")
_WIDE = (
    "utf-16",
    "utf16",
    "utf_16",
    "utf-32",
    "utf32",
    "utf_32",
    "utf-7",
    "utf7",
    "utf_7",
    "ucs",
    "iso-10646-ucs",
    "cp037",
    "ibm037",
    "cp500",
)  # no ASCII in their bytes
_IDS = frozenset(("message-id", "references", "in-reply-to", "content-id", "resent-message-id", "archived-at"))
_MAILBOXES = frozenset(
    (
        *("from", "sender", "reply-to", "to", "cc", "bcc", "errors-to", "mail-followup-to", "mail-reply-to"),
        *("resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc", "resent-reply-to"),
        *("disposition-notification-to", "return-receipt-to", "apparently-to", "x-original-from"),
    )
)
_TRACES = frozenset(("received", "x-received", "x-originating-ip", "return-path", "delivered-to", "x-original-to"))


@dataclass(frozen=True, slots=True)
class Mask:
    """What hides addresses of a forum's members: all but the forum's own (`slug` at `domain`). `hidden` stands in their place."""

    slug: str
    domain: str
    hidden: str = "…@…"
    shows_traces: ClassVar[bool] = False

    def text(self, text: str) -> str:
        """The text with addresses and tokens hidden. Its time grows with the text's length, whatever is in it."""
        return self.tokens(self._addresses(text, spaced=False)[0])

    def across(self, html: str) -> str:
        """The HTML with those addresses hidden that tags or character references are in, which `text` does not find in it."""
        return across.hidden(html, lambda words: self._found(words, spaced=False)[0]) if _AT.search(html) else html

    def mailboxes(self, text: str) -> str:
        """A field of addresses with them hidden; if one in it cannot be read, all of its value is."""
        shown, unread = self._addresses(text, spaced=True)
        if not unread:
            return self.tokens(shown)
        return f"{text.partition(':')[0]}: {self.hidden}{text[len(text.rstrip()) :]}"

    def header(self, text: str) -> str:
        """Any other header field with addresses hidden."""
        return self.tokens(self._addresses(text, spaced=True)[0])

    def filename(self, name: str) -> str:
        """A file name with addresses hidden, its extension kept."""
        stem, dot, suffix = name.rpartition(".")
        masked = self.text(stem) if dot and len(suffix) <= 5 else stem
        return f"{masked}.{suffix}" if masked != stem else self.text(name)

    def file(self, file: bridge.File) -> bridge.File:
        """The file with addresses hidden in its name, and in its link that ends in that name."""
        name = self.filename(file.filename)
        if name == file.filename:
            return file
        return replace(file, filename=name, url=f"{file.url.rpartition('/')[0]}/{quote(name, safe='')}")

    def tokens(self, text: str) -> str:
        """The text with our own tokens hidden, addresses as they are."""
        return _TOKEN_PATH.sub(r"\1…", text) if "/" in text else text

    def _addresses(self, text: str, *, spaced: bool) -> tuple[str, bool]:
        """The text with addresses hidden, and whether signs are left that are no part of one that is known.

        With `spaced`, white space may stand around the sign (RFC 5322 section 3.4.1, and folds of section 2.2.3).
        """
        found, unread = self._found(text, spaced=spaced)
        out, done = list[str](), 0
        for start, end, shown in found:
            out += (text[done:start], shown)
            done = end
        out.append(text[done:])
        return "".join(out), unread

    def _found(self, text: str, *, spaced: bool) -> tuple[list[tuple[int, int, str]], bool]:
        """Where addresses are and what is shown instead, in order; and whether signs are left, as above."""
        found, done, unread = list[tuple[int, int, str]](), 0, False
        for at in _signs(text):
            if at.start() < done:
                continue
            begin = _SPACE.match(text, at.end()).end() if spaced else at.end()  # type: ignore[union-attr]
            domain = _DOMAIN.match(text, begin)
            start = _local_start(text, done, at.start(), spaced=spaced) if domain else at.start()
            if domain is None or start == at.start():
                unread = True
                continue
            local = text[start : at.start()].rstrip()
            if text[max(0, start - 4) : start] in ("cid:", "mid:"):  # RFC 2392: ids, not addresses
                continue
            done = domain.end()
            found.append((start, done, self._shown(local, at[0], domain[0])))
        return found, unread

    def _shown(self, local: str, sign: str, domain: str) -> str:
        """An address of ours and what stands before it, or what hides it."""
        plain = _PLAIN_TAIL.search(local[-64:])
        if plain and domain.lower() == self.domain:
            name, plus, _token = plain[0].lower().partition("+")
            if name == self.slug or name.startswith(self.slug + "-"):
                return f"{local[: -len(plain[0])]}{name}{plus and '+…'}{sign}{domain}"
        return self.hidden

    def message(self, raw: bytes) -> bytes:
        """A received message with what names people or their machines hidden. Still a message that mail programs can read."""
        mask = Mask(self.slug, self.domain, hidden="hidden@address.invalid")  # RFC 2606 section 2
        return b"".join(_Masked(mask).of(raw))


class Blank(Mask):
    """Hides our own tokens and nothing else: for those who may see every address, and for copies that leave this server."""

    __slots__ = ()
    shows_traces: ClassVar[bool] = True

    def text(self, text: str) -> str:
        ours = _address_token(self.slug, self.domain)
        return self.tokens(ours.sub(r"\1…", text) if "+" in text or "%2b" in text.lower() else text)

    mailboxes = header = text

    def across(self, html: str) -> str:
        return html

    def message(self, raw: bytes) -> bytes:
        return b"".join(_Masked(self).of(raw))


@lru_cache(maxsize=64)
def _address_token(slug: str, domain: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?i)(?<![\w.-])({re.escape(slug)}-[a-z]{{1,10}}(?:\+|%2b))[a-z2-7]{{26}}(?=(?:@|%40){re.escape(domain)})"
    )


def masked_post(post: bridge.Post) -> bridge.Post:
    """The post with addresses hidden in all of its words and file names, for readers who are not its author."""
    mask = Mask(post.forum.slug, post.forum.mail_domain)
    return replace(
        post,
        writer=replace(post.writer, name=mask.text(post.writer.name)),
        subject=mask.text(post.subject),
        text=mask.text(post.text),
        html=_html(mask, post.html),
        fresh_text=mask.text(post.fresh_text),
        fresh_html=_html(mask, post.fresh_html),
        files=tuple(mask.file(file) for file in post.files),
    )


def _html(mask: Mask, html: str) -> str:
    """Sanitised HTML: no address holds a character that markup is made of; a link to a hidden address leads nowhere."""
    return mask.text(_MAILTO.sub(lambda link: link[0] if mask.text(link[0]) == link[0] else "", mask.across(html)))


def _signs(text: str) -> Iterator[re.Match[str]]:
    for begin in range(0, len(text), _SCAN):
        end = begin + _SCAN
        for found in _AT.finditer(text, begin, end + 8):  # one that lies across the end is found here
            if found.start() < end:
                yield found


def _local_start(text: str, least: int, sign: int, *, spaced: bool) -> int:
    """Where the local part begins that ends before the sign; the sign's own place if there is none."""
    back = text[max(least, sign - _REACH) : sign][::-1]
    skipped = _SPACE.match(back).end() if spaced else 0  # type: ignore[union-attr]
    found = _QUOTED.match(back, skipped) or _ATOM.match(back, skipped)
    if found is None:
        return sign
    start = sign - found.end()
    local = text[start:sign]
    if local.startswith("//") and text[start - 1 : start] == ":":  # a link: only its last piece can be an address
        start += max(local.rfind(mark) for mark in "/?=&;") + 1
    return start


@dataclass(slots=True)
class _Part:
    text: bool = True
    html: bool = False
    encoding: str = ""
    charset: str = ""
    message: bool = False
    read: set[str] = field(default_factory=set)
    lines: list[bytes] = field(default_factory=list)


class _Masked:
    """One pass over a message's lines; parts are told by the boundaries seen so far, so nothing nests on our side."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._boundaries: set[bytes] = set()

    def of(self, raw: bytes) -> Iterator[bytes]:
        part, fields, in_head = _Part(), list[list[bytes]](), True
        for line in raw.splitlines(keepends=True):
            bare = line.rstrip()
            if bare.startswith(b"--") and (bare in self._boundaries or bare.removesuffix(b"--") in self._boundaries):
                yield from self._head(fields, part) if in_head else self._body(part)
                yield line
                part, fields, in_head = _Part(), [], bare in self._boundaries
            elif not in_head:
                part.lines.append(line)
            elif bare:
                if line[:1] in b" \t" and fields:
                    fields[-1].append(line)
                else:
                    fields.append([line])
            else:
                yield from self._head(fields, part)
                yield line
                fields, in_head = [], part.message
                part = _Part() if part.message else part  # a message within has a head of its own
        yield from self._head(fields, part) if in_head else self._body(part)

    def _head(self, fields: list[list[bytes]], part: _Part) -> Iterator[bytes]:
        for lines in fields:
            raw = b"".join(lines)
            if len(raw) > limits.HEADER_BYTES:
                continue  # nobody's header; what is looked through at one go stays small
            name = raw.partition(b":")[0].strip().lower().decode("ascii", "replace")
            value = raw.partition(b":")[2].decode("utf-8", "surrogateescape")
            if name in ("content-type", "content-transfer-encoding"):
                if name in part.read:
                    continue  # readers differ in which of two they believe
                part.read.add(name)
            if name == "content-type":
                self._type(value, part)
            elif name == "content-transfer-encoding":
                part.encoding = value.partition("(")[0].strip(' \t\r\n"').lower()
            if name in _TRACES and not self._mask.shows_traces:
                continue
            if name in _IDS or name.startswith("list-"):
                yield _bytes(self._mask.tokens(_text(raw)))
                continue
            words = _ENCODED_WORDS.sub(self._words, _text(raw))
            yield _bytes(self._mask.mailboxes(words) if name in _MAILBOXES else self._mask.header(words))

    def _type(self, value: str, part: _Part) -> None:
        message = Message()
        message["Content-Type"] = " ".join(value.split())[:TYPE_CHARS].encode("ascii", "replace").decode()
        part.text = message.get_content_maintype() in ("text", "multipart") or "xml" in message.get_content_subtype()
        part.html = "html" in message.get_content_subtype()
        part.charset = message.get_content_charset("")
        part.message = message.get_content_type() == "message/rfc822"
        boundary = message.get_boundary()
        if boundary and len(self._boundaries) < limits.MIME_PARTS:
            self._boundaries.add(b"--" + _bytes(boundary).rstrip())

    def _words(self, found: re.Match[str]) -> str:
        try:
            plain = str(make_header(decode_header(found[0])))
        except (LookupError, ValueError, HeaderParseError):
            return found[0]
        masked = self._mask.text(plain)
        return found[0] if masked == plain else Header(masked, "utf-8").encode()

    def _body(self, part: _Part) -> Iterator[bytes]:
        raw = b"".join(part.lines)
        if not part.text:
            yield raw
        elif part.encoding == "base64":
            try:
                plain = base64.b64decode(raw)
            except (BadBase64, ValueError):
                return
            masked = self._plain(plain, part)
            yield raw if masked == plain else base64.encodebytes(masked)
        elif part.encoding == "quoted-printable":
            plain = quopri.decodestring(raw)
            masked = self._plain(plain, part)
            yield raw if masked == plain else quopri.encodestring(masked)
        elif part.encoding in _AS_IT_IS:
            yield self._plain(raw, part)

    def _plain(self, raw: bytes, part: _Part) -> bytes:
        if not part.charset.startswith(_WIDE):
            return _bytes(self._words_of(_text(raw), part))
        try:
            text = raw.decode(part.charset, "replace")
        except LookupError:
            return b""
        return self._words_of(text, part).encode(part.charset, "replace")

    def _words_of(self, text: str, part: _Part) -> str:
        return self._mask.text(self._mask.across(text) if part.html else text)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
