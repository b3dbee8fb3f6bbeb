"""The tree of a message's parts, as spans of its bytes. Pure; raises `Rejected` only for what is too deep or too much.

The tree is cut with a stack of our own, so that no depth of nesting can exhaust Python's, and each level is searched once at the
speed of `bytes.find`. Messages inside of messages stay closed: they are attachments.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridges.email import fields
from bridges.email.enclosed import uu_line
from bridges.email.fields import Fields
from server import limits
from server.errors import Rejected
from server.i18n import _

OTHER_LINES = 10_000  # lines of one level that begin like a delimiter and are none


@dataclass(slots=True)
class Part:
    """A node of the tree; `body` is a span of the message, `start` where the part's header begins. `parent` is an index into the list of
    parts, -1 at the root.

    `disposition` is "inline", "attachment", or what else is written there (RFC 2183).
    """

    header: Fields
    media_type: str
    parameters: dict[str, str]
    disposition: str
    disposition_parameters: dict[str, str]
    start: int
    body: tuple[int, int]
    parent: int = -1
    depth: int = 0
    children: list[int] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        return bool(self.children)

    @property
    def filename(self) -> str:
        """The name as the sender wrote it, on one line; "" if none."""
        return fields.plain(self.disposition_parameters.get("filename") or self.parameters.get("name", ""), 255)


def parts(raw: bytes) -> list[Part]:
    """All parts of the message, depth first, in the order of the bytes; the first is the message itself."""
    found: list[Part] = []
    todo = [(0, len(raw), -1, "text/plain")]
    while todo:
        start, end, parent, default = todo.pop()
        if len(found) >= limits.MIME_PARTS:
            raise Rejected("5.6.0", _("the message has more than {count} parts").format(count=limits.MIME_PARTS))
        part = _part(raw, start, end, parent, default)
        index = len(found)
        if parent >= 0:
            part.depth = found[parent].depth + 1
            found[parent].children.append(index)
        found.append(part)
        if not part.media_type.startswith("multipart/"):
            continue
        if part.depth >= limits.MIME_DEPTH:
            raise Rejected(
                "5.6.0", _("the message has parts nested deeper than {count}").format(count=limits.MIME_DEPTH)
            )
        spans = _spans(raw, *part.body, part.parameters.get("boundary", ""))
        if spans:
            # RFC 2046 section 5.1.5: parts of a digest are messages unless they say otherwise
            inner = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
            todo.extend((*span, index, inner) for span in reversed(spans))
        else:
            part.media_type = "text/plain"  # no boundary, or none found: what is there is shown as it is
    return found


def _part(raw: bytes, start: int, end: int, parent: int, default: str) -> Part:
    stop, body = fields.cut(raw, start, end)
    if parent >= 0 and stop - start > limits.HEADER_BYTES:
        stop = body = start  # a part whose header does not end has none
    header = fields.read(raw[start:stop])
    value = header.first("content-type")
    media_type, parameters = fields.parameters(value) if value else (default, {})
    main, slash, sub = media_type.partition("/")
    if not (slash and main and sub and media_type.isascii()):
        # RFC 2045 section 5.2: what cannot be read is plain text; "text" alone is an old way to say so
        media_type = default if not value or main == "text" else "application/octet-stream"
    disposition, naming = fields.parameters(header.first("content-disposition"))
    return Part(header, media_type, parameters, disposition, naming, start, (min(body, end), end), parent)


def _spans(raw: bytes, start: int, end: int, boundary: str) -> list[tuple[int, int]]:
    """The parts between the delimiter lines (RFC 2046 section 5.1.1); the line break before a delimiter belongs to it."""
    if not boundary:
        return []
    mark = b"\n--" + boundary.encode("utf-8", "replace").rstrip()
    spans: list[tuple[int, int]] = []
    begin = -1
    others = 0
    at = max(start - 1, 0) if raw[start - 1 : start] == b"\n" else start
    while (hit := raw.find(mark, at, end)) >= 0:
        at = hit + len(mark)
        newline = raw.find(b"\n", at, end)
        line_end = end if newline < 0 else newline
        rest = raw[at : min(line_end, at + 80)].strip()
        if rest not in (b"", b"--"):
            others += 1
            if others > OTHER_LINES:
                raise Rejected("5.6.0", _("the parts of the message cannot be told apart"))
            continue
        if begin >= 0:
            stop = hit - 1 if raw[hit - 1 : hit] == b"\r" else hit
            spans.append((begin, max(begin, stop)))
            if len(spans) > limits.MIME_PARTS:
                raise Rejected("5.6.0", _("the message has more than {count} parts").format(count=limits.MIME_PARTS))
        if rest == b"--":
            return spans
        at = line_end
        begin = min(line_end + 1, end)
    if begin >= 0:  # the closing delimiter is missing
        spans.append((begin, end))
    return spans


def leaves(found: list[Part]) -> Iterator[tuple[int, Part]]:
    """The parts that hold no parts, with their indexes."""
    return ((index, part) for index, part in enumerate(found) if not part.is_multipart)


def content(raw: bytes, part: Part) -> bytes:
    """The decoded bytes of a part (RFC 2045 section 6); an encoding that we do not know leaves them as they are."""
    data = raw[part.body[0] : part.body[1]]
    encoding = fields.plain(part.header.first("content-transfer-encoding").decode("ascii", "replace"), 40).lower()
    encoding = encoding.partition(";")[0].strip(" \"'")
    if encoding == "base64":
        begin = data[:4_000]
        prose = begin.count(b" ") * 12 > len(begin) and part.media_type.startswith("text/")
        return (
            data if prose else fields.base64(data)
        )  # words between spaces were never encoded, whatever the header says
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding in ("x-uuencode", "uuencode", "x-uue"):
        return _uudecode(data)
    return data


def _uudecode(data: bytes) -> bytes:
    lines = iter(data.splitlines())
    for line in lines:
        if line.startswith(b"begin "):
            break
    else:
        return data
    out = []
    for line in lines:
        if line.strip() in (b"end", b"`", b""):
            break
        piece = uu_line(line)
        if piece is None:
            return data
        out.append(piece)
    return b"".join(out)
