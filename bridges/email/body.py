"""From the tree of parts to what is shown: text, HTML, attachments. Pure.

Nothing that an author wrote is cut: a text that is too long to show is attached whole, and what is neither text nor HTML is a file.
"""

from __future__ import annotations

import html
import mimetypes
from dataclasses import dataclass

from bridges.email import fields, structure
from bridges.email.charsets import decode
from bridges.email.enclosed import Enclosed, lift
from bridges.email.flowed import unflow
from bridges.email.structure import Part
from server import limits
from server.bridge import Attachment
from server.errors import Rejected
from server.i18n import _

GUESSES = 10  # parts of one message whose charset is guessed
_FORBIDDEN = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))


@dataclass(slots=True)
class Body:
    """What a reader sees. `text` or `html` is None where the author wrote none; never both."""

    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]


@dataclass(slots=True)
class _Segment:
    """A piece of the message in one or two forms."""

    text: list[str]
    html: list[str]


def read(raw: bytes, tree: list[Part]) -> Body:
    """Pick the texts and the files. Raises Rejected for more files than `limits.ATTACHMENTS`."""
    segments: dict[int, _Segment] = {}
    files: list[Attachment] = []
    shown = 0
    for index, part in structure.leaves(tree):
        kind = _shown_as(tree, part, bool(segments))
        data = structure.content(raw, part)
        if kind is None:
            if data or part.filename:
                files.append(_file(tree, part, data))
            continue
        shown += 1
        if kind == "text":
            data, enclosed = lift(data)
            files.extend(map(_enclosed, enclosed))
        piece = _text(part, data, guess=shown <= GUESSES)
        # the forms of one alternative are one piece, whichever parts they are spread over
        segment = segments.setdefault(_alternative(tree, part, index), _Segment([], []))
        (segment.html if kind == "html" else segment.text).append(piece)
    text, markup = _join(list(segments.values()))
    text, markup, whole = _within_limits(text, markup)
    files.extend(whole)
    if len(files) > limits.ATTACHMENTS:
        raise Rejected("5.6.0", _("the message has more than {count} files").format(count=limits.ATTACHMENTS))
    return Body("" if text is None and markup is None else text, markup, tuple(files))


def _shown_as(tree: list[Part], part: Part, something_shown: bool) -> str | None:
    """ "text", "html", or None for a file."""
    if part.disposition == "attachment" and part.parent >= 0:
        return None
    if (
        part.parent >= 0 and tree[part.parent].media_type == "multipart/encrypted"
    ):  # RFC 3156 section 4: nothing in it is text
        return None
    if part.media_type == "text/html":
        return None if part.filename and something_shown else "html"
    if part.media_type != "text/plain":
        return None
    return None if part.filename and (something_shown or part.disposition) else "text"


def _alternative(tree: list[Part], part: Part, index: int) -> int:
    """The outermost multipart/alternative around the part, else the part itself."""
    found, at = index, part.parent
    while at >= 0:
        if tree[at].media_type == "multipart/alternative":
            found = at
        at = tree[at].parent
    return found


def _text(part: Part, data: bytes, guess: bool) -> str:
    text = decode(data, part.parameters.get("charset", ""), guess).replace("\r\n", "\n").replace("\r", "\n")
    if part.media_type == "text/plain" and part.parameters.get("format", "").lower() == "flowed":
        text = unflow(text, part.parameters.get("delsp", "").lower() == "yes")
    return text


def _join(segments: list[_Segment]) -> tuple[str | None, str | None]:
    """All pieces in order, in both forms where that can be told without guessing."""
    if not segments:
        return None, None
    markup: str | None = None
    if any(segment.html for segment in segments):
        markup = "\n".join("\n".join(s.html) if s.html else _as_html("\n".join(s.text)) for s in segments)
    text: str | None = None
    if all(segment.text for segment in segments):  # else the text is made from the whole HTML, later
        text = "\n".join("\n".join(segment.text) for segment in segments)
    return text, markup


def _as_html(text: str) -> str:
    return "<p>" + html.escape(text.strip("\n"), quote=False).replace("\n", "<br>\n") + "</p>"


def _within_limits(text: str | None, markup: str | None) -> tuple[str | None, str | None, list[Attachment]]:
    whole: list[Attachment] = []
    if markup is not None and len(markup) > limits.TEXT_CHARS:
        whole.append(Attachment("message.html", "text/html", markup.encode()))
        markup = None if text is not None else markup[: limits.TEXT_CHARS]
    if text is not None and len(text) > limits.TEXT_CHARS:
        whole.append(Attachment("message.txt", "text/plain", text.encode()))
        text = text[: limits.TEXT_CHARS]
    return text, markup, whole


def _file(tree: list[Part], part: Part, data: bytes) -> Attachment:
    content_id = part.header.first("content-id").decode("utf-8", "replace").strip().strip("<>").strip()
    related = part.parent >= 0 and tree[part.parent].media_type == "multipart/related"
    media_type = part.media_type if part.media_type.count("/") == 1 else "application/octet-stream"
    return Attachment(
        filename=_filename(part),
        media_type=media_type[:120],
        data=data,
        content_id=content_id[: limits.MESSAGE_ID_CHARS] or None,
        inline=bool(content_id) and (related or part.disposition == "inline"),
    )


def _enclosed(file: Enclosed) -> Attachment:
    name = _safe(fields.plain(decode(file.name, guess=False), 255)) or "attachment.bin"
    return Attachment(name, file.media_type or mimetypes.guess_type(name)[0] or "application/octet-stream", file.data)


def _filename(part: Part) -> str:
    name = _safe(part.filename)
    if name:
        return name
    if part.media_type == "message/rfc822":
        return "message.eml"
    kind = part.media_type.partition("/")[0]
    stem = kind if kind in ("image", "audio", "video") else "attachment"
    return stem + (mimetypes.guess_extension(part.media_type) or ".bin")


def _safe(name: str) -> str:
    """The last part of the path that the sender wrote, safe on any disk; "" if nothing is left."""
    return name.replace("\\", "/").rpartition("/")[2].translate(_FORBIDDEN).strip(". ")[-200:]
