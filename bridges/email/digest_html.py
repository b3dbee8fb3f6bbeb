"""A post's HTML as it stands in a digest: with styles of its own, since many mail programs take no others. Pure."""

from __future__ import annotations

import re
from html import escape

from selectolax.lexbor import LexborHTMLParser

from server.bridge import Post

MARKUP = 4  # so many times as long as its words may HTML be; what is longer is shown as text
_LINE = "1px solid rgba(128,128,128,.4)"
STYLES = {
    "blockquote": "margin:12px 0;padding:0 0 0 12px;border-left:3px solid rgba(128,128,128,.5);opacity:.8",
    "pre": "margin:12px 0;padding:10px 12px;border-radius:6px;background:rgba(128,128,128,.14);font-size:14px;"
    "line-height:1.4;overflow-x:auto;white-space:pre-wrap",
    "table": "border-collapse:collapse;margin:12px 0",
    "td": f"border:{_LINE};padding:4px 8px",
    "th": f"border:{_LINE};padding:4px 8px;text-align:left",
    "a": "color:#2f7bd9",
    "p": "margin:12px 0",
    "hr": f"border:0;border-top:{_LINE};margin:16px 0",
    **{f"h{level}": "font-size:17px;line-height:1.3;margin:18px 0 8px" for level in range(1, 7)},
}
_PARAGRAPH = re.compile(r"\n[ \t]{0,80}\n\s{0,80}")


def shown_html(post: Post, text: str, rest: bool, most: int) -> str:
    """The post's own HTML; of one that is too long the beginning of its text (`text`)."""
    markup = post.fresh_html
    if rest or not markup.strip() or len(markup) > MARKUP * most + 4_000:
        return _of_text(text)
    tree = LexborHTMLParser(markup)
    files = {f"blob:{file.hash}": file for file in post.files}
    for picture in tree.css("img"):  # nothing is fetched from us by itself: its link stands below
        file = files.get(picture.attributes.get("src") or "")
        picture.replace_with(f"[{file.filename if file else picture.attributes.get('alt') or ''}]")
    for name, style in STYLES.items():
        for element in tree.css(name):
            element.attrs["style"] = style
    return (tree.body.inner_html if tree.body else None) or _of_text(text)


def _of_text(text: str) -> str:
    paragraphs = _PARAGRAPH.split(text.strip("\n"))
    return "".join(f'<p style="{STYLES["p"]}">{"<br>".join(escape(one).split(chr(10)))}</p>' for one in paragraphs)
