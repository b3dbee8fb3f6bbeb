"""Whatever HTML comes from a room, what the house makes of it can be said in a room again, in the same words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.matrix.markup import from_matrix, to_matrix
from bridges.matrix.tags import pieces
from bridges.matrix.tests import schemas
from server.content.derive import derive

TAGS = [
    *(
        "a",
        "b",
        "blockquote",
        "br",
        "caption",
        "code",
        "del",
        "details",
        "div",
        "em",
        "h1",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
    ),
    *(
        "pre",
        "s",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "u",
        "ul",
    ),
    *("mx-reply", "font", "script", "style", "x", "svg"),
]
OPENED = [
    "<span data-mx-spoiler='why'>",
    "<img src='mxc://hs.test/abc' alt='limpet'>",
    "<img data-mx-emoticon src='mxc://hs.test/abc' alt=':cat:'>",
    "<a href='https://matrix.to/#/@ana:hs.test'>",
    "<a href='https://example.org/'>",
    "<a href='javascript:x'>",
    "<code class='language-py'>",
    "<ol start=3>",
    "<td colspan=2>",
    "<p onclick=x dir=rtl title=y lang=z>",
]
bits = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [*(f"<{tag}>" for tag in TAGS), *(f"</{tag}>" for tag in TAGS), *OPENED, "<!-- x -->", "&amp;", "<"]
    ),
)


def words(html: str) -> str:
    return "".join("".join(piece for piece in pieces(html) if isinstance(piece, str)).split())


@settings(deadline=None, max_examples=200)
@given(st.lists(bits, max_size=60).map("".join))
def test_what_a_room_says_can_be_said_in_a_room(html: str) -> None:
    once = to_matrix(derive("", from_matrix(html).html, "plain", (), ()).html)
    schemas.html(once)
    again = to_matrix(derive("", from_matrix(once).html, "plain", (), ()).html)
    schemas.html(again)
    assert words(again) == words(once)  # a signature gets a box of its own
