"""Reads the site's pages as HTML: the posts on one, its forms, and the page made fit for a frame on the stage. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

_NUMBER = re.compile(r"^p?(\d{1,12})$")
_POST = re.compile(r"^/f/([a-z0-9-]+)/(\d+)$")
_LINKS = ("href", "src", "action", "srcset")


@dataclass(frozen=True, slots=True)
class WebPost:
    """A post as it stands on a thread's page, without the quotes in it."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Form:
    """Where a form goes, and its fields as they are filled in."""

    action: str
    fields: Mapping[str, str]


def forms(html: str) -> list[Form]:
    """The forms of a page that are sent by POST. Buttons are not among the fields."""
    found = []
    for node in LexborHTMLParser(html).css("form"):
        if (node.attributes.get("method") or "").lower() != "post":
            continue
        fields = {}
        for field in node.css("input, textarea, select"):
            name, kind = field.attributes.get("name"), field.attributes.get("type")
            if name and kind not in ("submit", "button", "image"):
                fields[name] = field.text() if field.tag == "textarea" else field.attributes.get("value") or ""
        found.append(Form(node.attributes.get("action") or "", fields))
    return found


def posts_on(html: str) -> list[WebPost]:
    """The posts of a thread's page, in its order."""
    found = []
    for node in LexborHTMLParser(html).css("article[id]"):
        number = _NUMBER.match(node.attributes.get("id") or "")
        body = node.css_first(".body") or node
        if number:
            for quote in body.css("blockquote.quote, details"):
                quote.decompose()
            found.append(WebPost(int(number[1]), body.text(separator=" ").strip()))
    return found


def latest_number(html: str, forum: str) -> int:
    """The highest post number that a page links to."""
    numbers = [int(found) for found in re.findall(rf'href="[^"]*/f/{re.escape(forum)}/(\d{{1,12}})(?:#\w+)?"', html)]
    return max(numbers, default=0)


def root_of(html: str, forum: str) -> int:
    """The number of the first post of the thread that a page shows (its mbox is named after it); 0 if the page does not tell."""
    found = re.search(rf'href="[^"]*/f/{re.escape(forum)}/(\d{{1,12}})/thread\.mbox"', html)
    return int(found[1]) if found else 0


def subject_of(html: str) -> str:
    """A page's first heading."""
    heading = LexborHTMLParser(html).css_first("h1")
    return heading.text(strip=True) if heading else ""


def for_frame(
    html: str,
    path: str,
    base_url: str,
    rung: Mapping[int, str],
    on_stage: Callable[[str, int], str],
    styles: Collection[str],
) -> str:
    """The page for a sandboxed frame under `/web`: its links lead through the stage, nothing in it can be sent.

    `rung` gives new posts a mark with these words; `on_stage` is where a link to a post opens the stage.
    """
    page = LexborHTMLParser(html)
    for node in page.css("script, meta[http-equiv], base"):
        node.decompose()
    for node in page.css("[autofocus]"):
        del node.attrs["autofocus"]  # the words being written in the pane beside keep the focus
    for node in page.css("[href], [src], [action], [srcset]"):
        for name in _LINKS:
            if value := node.attributes.get(name):
                _lead(node, name, value, path, base_url, on_stage)
    for node in page.css("article[id]"):
        number = _NUMBER.match(node.attributes.get("id") or "")
        if number and int(number[1]) in rung:
            node.attrs["class"] = f"{node.attributes.get('class') or ''} stage-new".strip()
            mark = LexborHTMLParser(f'<p class="stage-hops">{rung[int(number[1])]}</p>').css_first("p")
            if mark and node.child:
                node.child.insert_before(mark)
    if head := page.head:
        for style in styles:
            link = LexborHTMLParser(f'<link rel="stylesheet" href="{style}">').css_first("link")
            if link:
                head.insert_child(link)
    return page.html or ""


def _lead(
    node: LexborNode, name: str, value: str, path: str, base_url: str, on_stage: Callable[[str, int], str]
) -> None:
    if value.startswith("#"):
        return
    there = urlsplit(urljoin(base_url + path, value))
    if name == "srcset" or not there.scheme.startswith("http"):
        node.attrs[name] = ""
    elif f"{there.scheme}://{there.netloc}" != base_url:
        node.attrs["rel"] = "noopener noreferrer"  # the sandbox lets it lead nowhere, the address can still be read
    elif node.tag == "a" and (post := _POST.match(there.path)):
        node.attrs["href"] = on_stage(post[1], int(post[2]))
        node.attrs["target"] = "_top"
    else:
        node.attrs[name] = "/web" + there._replace(scheme="", netloc="").geturl()
