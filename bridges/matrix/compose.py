"""From a post to events. Pure: no network, no file, no clock.

A post is one text event, and one more for each file. An event may have 65,536 bytes (Client-Server API, "Size limits") of which
signatures and references take a part, so the content has a budget; what does not fit is said shorter, with a link to the whole
text and the text itself as a file. Nothing is cut without saying so.
"""

from __future__ import annotations

import html as _html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from bridges.matrix.markup import clean, named, shown, to_matrix
from bridges.matrix.mentions import linked as linked_people
from bridges.matrix.names import POST_MARK
from bridges.matrix.uploads import Upload, is_picture
from server.bridge import File, Post, Ref
from server.i18n import _

SPACE = "matrix"
"""Our name space of Refs: their names are event ids."""

BUDGET = 60_000
EXCERPT = 8_000
MESSAGE = "m.room.message"
HTML = "org.matrix.custom.html"
INLINE = 20  # pictures in the middle of one text; more follow it
SHOWN_WIDTH = 600  # of such a picture, where its author says nothing
Content = dict[str, Any]
NO_PICTURES: Mapping[str, Upload] = MappingProxyType({})


class Form(IntEnum):
    """How a text is said, from whole to short."""

    WHOLE = 0
    PLAIN = 1
    SHORT = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One event to send. With a file or `data`, those are uploaded first.

    `slot` is its place in the post, whatever form it takes there; slot and `variant` are part of its transaction id.
    """

    slot: str
    content: Content
    file: File | None = None
    data: bytes | None = None
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the room a post goes: below a thread's root, as an answer to an event. Both None: it is a root itself."""

    root: str | None = None
    parent: str | None = None


def events(refs: Sequence[Ref]) -> list[str]:
    """Event ids among the names of a post, in the order of its parts."""
    return [ref.name for ref in sorted(refs, key=lambda ref: ref.part) if ref.space == SPACE]


def inline(post: Post, upload_limit: int) -> list[File]:
    """The pictures that the post shows in the middle of its text, each once."""
    found = {file.hash: file for file in post.files if f'"blob:{file.hash}"' in post.fresh_html}
    return [file for file in found.values() if is_picture(file.media_type) and file.size <= upload_limit][:INLINE]


def parts(
    post: Post, heading: bool, upload_limit: int, form: Form = Form.WHOLE, pictures: Mapping[str, Upload] = NO_PICTURES
) -> list[Part]:
    """The events of a post, without their relations. `heading`: say the subject, because no event above this one does.

    `pictures` are those of `inline`, by hash, that the homeserver has: they are shown in the text and do not follow it.
    """
    found: list[Part] = []
    text, html = _texts(post, heading, pictures)
    if text or not post.files:
        while True:
            content = _said(post, text, html, form)
            if form is Form.SHORT or _bytes(content) <= BUDGET:
                break
            form = Form(form + 1)
        found.append(Part("text", content, variant=str(int(form))))
    seen = pictures if found and "formatted_body" in found[0].content else {}
    for number, file in enumerate(post.files):
        if file.hash in seen:
            continue
        part = Part(f"file{number}", _marked(post, _named(file)), file=file)
        fits = file.size <= upload_limit
        found.append(part if fits else Part(part.slot, linked(post, part), variant="-link"))
    if form is Form.SHORT:
        whole = clean(post.text or text).encode()
        name = {"msgtype": "m.file", "body": "message.txt", "filename": "message.txt"}
        info = {"mimetype": "text/plain", "size": len(whole)}
        if len(whole) <= upload_limit:
            found.append(Part("whole", _marked(post, name | {"info": info}), data=whole))
    return found


def edit(post: Post, event: str, form: Form = Form.WHOLE, pictures: Mapping[str, Upload] = NO_PICTURES) -> Part:
    """The event that replaces an earlier one (C-S API 11.3.7). The old relation of the replaced event stays by itself."""
    text, html = _texts(post, post.opens_thread, pictures)
    while True:
        fresh = _said(post, text, html, form)
        # Who was mentioned before is not told again (C-S API v1.7, 11.37): only the content that is shown names them.
        content = fresh | {"body": f"* {fresh['body']}", "m.new_content": fresh, "m.mentions": {}}
        content["m.relates_to"] = {"rel_type": "m.replace", "event_id": event}
        if "formatted_body" in fresh:
            content["formatted_body"] = f"* {fresh['formatted_body']}"
        if form is Form.SHORT or _bytes(content) <= BUDGET:
            return Part("edit", content, variant=f"{post.revision}-{int(form)}")
        form = Form(form + 1)


def reaction(event: str, key: str) -> Part:
    return Part("reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": clean(key)}})


def linked(post: Post, part: Part) -> Content:
    """Instead of a file that the homeserver does not take."""
    url = post.url if part.file is None else part.file.url
    words = _("{filename} is not in this room; it is here: {url}")
    body = words.format(filename=part.content["filename"], url=url)
    return _marked(post, {"msgtype": "m.notice", "body": body})


def relation(place: Place) -> Content | None:
    """A thread with a fallback for clients without threads; an answer to one exact event of it says so (C-S API 11.3.4)."""
    if place.root is None:
        return None
    exact = place.parent is not None and place.parent != place.root
    return {
        "rel_type": "m.thread",
        "event_id": place.root,
        "is_falling_back": not exact,
        "m.in_reply_to": {"event_id": place.parent or place.root},
    }


def plain_answer(place: Place) -> Content | None:
    """An answer without a thread, for a root that cannot be one."""
    nearest = place.parent or place.root
    return None if nearest is None else {"m.in_reply_to": {"event_id": nearest}}


def related(content: Content, to: Content | None) -> Content:
    return content if to is None else content | {"m.relates_to": to}


def uploaded(content: Content, upload: Upload) -> Content:
    """A file's content once the homeserver has its bytes."""
    info = dict(content.get("info", {}))
    if upload.width and upload.height:
        info["w"], info["h"] = upload.width, upload.height
    return content | {"url": upload.mxc, "info": info}


def _texts(post: Post, heading: bool, pictures: Mapping[str, Upload]) -> tuple[str, str]:
    text, subject = clean(post.fresh_text).strip(), clean(post.subject).strip()
    files = {file.hash: file for file in post.files}
    html = to_matrix(clean(post.fresh_html), lambda attributes: _picture(attributes, files, pictures))
    if heading and subject:
        text = f"{subject}\n\n{text}".rstrip()
        html = f"<p><strong>{_html.escape(subject, quote=False)}</strong></p>{html}"
    if text.startswith(
        ("> <@", "> * <@")
    ):  # it would be cut off as the fallback of a reply, which nobody sends any more
        text = f">{text[2:]}"
    return text, html


def _picture(attributes: Mapping[str, str], files: Mapping[str, File], pictures: Mapping[str, Upload]) -> str:
    """What stands for an <img> of the house: the picture, or a link to it, or its words."""
    hash = attributes.get("src", "").removeprefix("blob:")
    file, upload = files.get(hash), pictures.get(hash)
    if file is None:
        return named(attributes)
    words = attributes.get("alt") or clean(file.filename)
    if upload is None:
        return f'<a href="{_html.escape(file.url)}">{named({"alt": words})}</a>'
    size: dict[str, str] = {}
    if upload.width and not attributes.get("width") and not attributes.get("height"):
        width = min(upload.width, SHOWN_WIDTH)
        size = {"width": str(width), "height": str(max(1, upload.height * width // upload.width))}
    return shown(upload.mxc, {**attributes, **size, "alt": words})


def _said(post: Post, text: str, html: str, form: Form) -> Content:
    content: Content = {"msgtype": "m.notice" if post.automatic else "m.text", "body": text}
    if form is Form.SHORT:
        link = _("… full message: {url}").format(url=post.url)
        content["body"] = f"{_beginning(text)}\n\n{link}"
    elif form is Form.WHOLE and html:
        content |= {"format": HTML, "formatted_body": html}
    return _marked(post, content, linked_people(html))


def _marked(post: Post, content: Content, people: Sequence[str] = ()) -> Content:
    """What every event of ours carries: nobody mentioned by accident (MSC4210), the page, and the post's own names."""
    ours = {"id": post.id, "message_id": clean(post.message_id)}
    mentions = {"user_ids": list(people)} if people else {}
    return content | {"m.mentions": mentions, "external_url": post.url, POST_MARK: ours}


def _named(file: File) -> Content:
    kinds = {"audio": "m.audio", "video": "m.video"}
    msgtype = "m.image" if is_picture(file.media_type) else kinds.get(file.media_type.partition("/")[0], "m.file")
    name = clean(file.filename)[:200] or "file"
    return {
        "msgtype": msgtype,
        "body": name,
        "filename": name,
        "info": {"mimetype": clean(file.media_type), "size": file.size},
    }


def _beginning(text: str) -> str:
    """The first paragraphs within EXCERPT bytes; whole characters always."""
    head = text.encode()[:EXCERPT].decode("utf-8", "ignore")
    if len(head) == len(text):
        return text
    for end in ("\n\n", "\n", " "):
        at = head.rfind(end, len(head) // 2)
        if at > 0:
            return head[:at].rstrip()
    return head


def _bytes(content: Content) -> int:
    """Size as canonical JSON (Matrix specification, appendix "Canonical JSON"), but for the order of keys."""
    return len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
