"""The body of a mail for a post that was born elsewhere: text and HTML, pictures within, files beside, or links to them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from selectolax.lexbor import LexborHTMLParser

from bridges.email import mime
from bridges.email.mime import Part
from server.bridge import File, Post
from server.i18n import _

PICTURES_BYTES = 256 * 1024  # all pictures of a post together; past that they become links
FILES_BYTES = 1024 * 1024  # all its other files together

# Only what a mail program's own style leaves unreadable on a phone: bars beside quotes, code and pictures that stay in their place.
_STYLE = """\
blockquote { margin: 0; padding-left: 0.8em; border-left: 3px solid #9aa7b0; }
pre { overflow-x: auto; }
img { max-width: 100%; height: auto; }
"""


def embedded(post: Post) -> tuple[File, ...]:
    """The files whose bytes travel in the mail: what the forum's `link_over` allows, else each kind of file whole or not at all."""
    if post.forum.link_over:
        return tuple(file for file in post.files if file.size <= post.forum.link_over)
    pictures = [file for file in post.files if is_shown(file, post)]
    others = [file for file in post.files if not is_shown(file, post)]
    chosen = pictures if sum(file.size for file in pictures) <= PICTURES_BYTES else []
    return tuple(chosen + (others if sum(file.size for file in others) <= FILES_BYTES else []))


def is_shown(file: File, post: Post) -> bool:
    """Whether the file is a picture within the text."""
    return f"blob:{file.hash}" in post.html


def content(post: Post, blobs: Mapping[str, bytes]) -> Part:
    """The whole body. A file whose hash is in `blobs` travels in it, each other one is named with its link."""
    linked = [file for file in post.files if file.hash not in blobs]
    text = mime.text(post.text.rstrip("\r\n") + _links_as_text(linked))
    body = text
    if post.html:
        pictures = [file for file in _once(post.files) if file.hash in blobs and is_shown(file, post)]
        body = mime.multipart("alternative", [text, _html(post, pictures, linked, blobs)])
    beside = [file for file in post.files if file.hash in blobs and not is_shown(file, post)]
    if not beside:
        return body
    files = [mime.file(file.filename, file.media_type, blobs[file.hash]) for file in beside]
    return mime.multipart("mixed", [body, *files])


def _once(files: tuple[File, ...]) -> list[File]:
    return list({file.hash: file for file in files}.values())


def _html(post: Post, pictures: list[File], linked: list[File], blobs: Mapping[str, bytes]) -> Part:
    markup = _pictures_as_links(post.html, {file.hash: file for file in linked})
    parts = []
    for file in pictures:
        content_id = f"{file.hash}@{post.forum.slug}.{post.forum.mail_domain}"
        markup = markup.replace(f"blob:{file.hash}", f"cid:{content_id}")
        parts.append(mime.file(file.filename, file.media_type, blobs[file.hash], content_id))
    head = f'<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">\n<style>\n{_STYLE}</style></head>'
    page = f"<!DOCTYPE html>\n<html>{head}<body>\n{markup}\n{_links_as_html(linked)}</body></html>"
    shown = mime.text(page, "html")
    return mime.multipart("related", [shown, *parts], 'type="text/html"') if parts else shown


def _pictures_as_links(markup: str, files: Mapping[str, File]) -> str:
    """No reader's mail program shall fetch anything from us by itself, so a picture that does not travel goes; its link is below."""
    if not any(f"blob:{hash}" in markup for hash in files):
        return markup
    tree = LexborHTMLParser(markup)
    for picture in tree.css('img[src^="blob:"]'):
        file = files.get((picture.attributes.get("src") or "").removeprefix("blob:"))
        if file is not None:
            picture.replace_with(f"[{file.filename}]")
    return (tree.body.inner_html if tree.body else None) or ""


def link(file: File) -> str:
    """What stands in a text in place of the file."""
    return f"{file.filename} ({_size(file.size)}):\n{file.url}"


def _links_as_text(files: list[File]) -> str:
    return "".join(f"\n\n{link(file)}" for file in files)


def _links_as_html(files: list[File]) -> str:
    return "".join(
        f'<p><a href="{escape(file.url)}">{escape(file.filename)}</a> ({_size(file.size)})</p>\n' for file in files
    )


def _size(size: int) -> str:
    if size < 1024 * 1024:
        return _("{n} KB").format(n=max(1, round(size / 1024)))
    return _("{n} MB").format(n=round(size / 1024 / 1024, 1))
