"""HTML between Matrix and the house: one subset, both ways."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.matrix.markup import PICTURES, Rich, from_matrix, shown, to_matrix
from bridges.matrix.mentions import listed, mentioned, unlinked, with_names, with_names_in_html
from bridges.matrix.tags import pieces
from bridges.matrix.tests import schemas

TABLE = (
    "<table><caption>Counts</caption><thead><tr><th>wall</th><th>limpets</th></tr></thead>"
    "<tbody><tr><td>north</td><td>40</td></tr></tbody></table>"
)
BOTH_WAYS = [
    TABLE,
    '<pre><code class="language-python">for wall in walls:\n    count(wall)\n</code></pre>',
    '<ol start="3"><li>x</li></ol>',
    "<details><summary>Counts</summary>forty</details>",
    "<h1>a</h1><h6>b</h6><blockquote><p>c</p></blockquote><hr>",
    "<p><b>a</b><strong>b</strong><i>c</i><em>d</em><u>e</u><s>f</s><del>g</del><sup>h</sup><sub>i</sub><br>j</p>",
    '<p><a href="https://example.org/x?a=1&amp;b=2">x</a> <a href="mailto:ana@example.org">y</a></p>',
]


@pytest.mark.parametrize("html", BOTH_WAYS)
def test_what_both_sides_know_passes_both_ways(html: str) -> None:
    assert to_matrix(html) == html
    assert from_matrix(html) == Rich(html)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ('<p class="x" dir="rtl">a <b>b</b></p>', "<p>a <b>b</b></p>"),
        ('<code class="language-py evil">x</code>', "<code>x</code>"),
        ('<a href="javascript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="mxc://hs.test/abc">x</a>', "<a>x</a>"),
        ('<a href="https://x.test" title="y" rel="nofollow">x</a>', '<a href="https://x.test">x</a>'),
        ('<img src="blob:f00d" alt="limpet &lt;b&gt;">', "[limpet &lt;b&gt;]"),
        ("<script>x()</script><mx-reply>q</mx-reply>", "q"),
        (
            '<table><tbody><tr><td colspan="2">a</td></tr></tbody><tfoot><tr><td>b</td></tr></tfoot></table>',
            "<table><tbody><tr><td>a</td></tr></tbody><tbody><tr><td>b</td></tr></tbody></table>",
        ),
    ],
)
def test_what_matrix_does_not_know_is_left_out_of_what_we_say(ours: str, theirs: str) -> None:
    assert to_matrix(ours) == theirs


def test_a_picture_that_the_homeserver_keeps_is_shown_and_no_other() -> None:
    html = '<p><img src="blob:f00d" alt="a limpet" title="big" width="30" height="20"></p>'
    kept = to_matrix(html, lambda attributes: shown("mxc://hs.test/abc", attributes))
    assert kept == '<p><img src="mxc://hs.test/abc" alt="a limpet" title="big" width="30" height="20"></p>'
    schemas.html(kept)
    elsewhere = to_matrix(html, lambda attributes: shown("https://hs.test/abc", attributes))
    assert "https" not in elsewhere


def test_a_spoiler_is_a_box_to_open() -> None:
    told = from_matrix('It was <span data-mx-spoiler="the &lt;end&gt;">the <b>crab</b></span>, <span>sure</span>.')
    assert told.hides
    assert told.html == (
        "It was <details><summary>Spoiler: the &lt;end&gt;</summary>the <b>crab</b></details>, <span>sure</span>."
    )
    assert "<summary>Spoiler</summary>" in from_matrix("<span data-mx-spoiler>x</span>").html
    nested = from_matrix("<span data-mx-spoiler><span data-mx-color='#ff0000'>x</span>y</span>z").html
    assert nested.endswith("x</span>y</details>z")


def test_the_quotation_of_a_reply_goes_and_one_that_never_ends_does_not() -> None:
    assert from_matrix("<mx-reply><blockquote>old</blockquote></mx-reply>new").html == "new"
    assert from_matrix("<MX-Reply>old</MX-REPLY >new").html == "new"
    assert from_matrix("<mx-reply>all of it").html == "all of it"


def test_emoticons_are_their_names_and_pictures_are_files_of_the_message() -> None:
    said = from_matrix(
        'Look <img data-mx-emoticon src="mxc://hs.test/cat" alt=":cat:" height="32"> '
        '<img src="mxc://hs.test/abc" alt="limpet" width="3"><img src="mxc://hs.test/abc" alt="again">'
    )
    (picture,) = said.pictures
    assert (picture.mxc, picture.words) == ("mxc://hs.test/abc", "limpet")
    assert "Look :cat: <img src=" in said.html
    assert said.html.count(f"cid:{picture.content_id}") == 2
    assert "mxc:" not in said.html
    assert "hs.test" not in said.html


def test_more_pictures_than_anybody_shows_are_words() -> None:
    many = "".join(f'<img src="mxc://hs.test/p{n}" alt="p{n} ">' for n in range(PICTURES + 5))
    said = from_matrix(many)
    assert len(said.pictures) == PICTURES
    assert said.html.endswith("p10 p11 p12 p13 p14")


@pytest.mark.parametrize("source", ["", "mxc://hs.test/../x", "mxc://hs.test", "data:image/png;base64,AAAA", "cid:x"])
def test_a_picture_from_nowhere_is_its_words(source: str) -> None:
    assert from_matrix(f'<img src="{source}" alt="limpet">') == Rich("limpet")


@pytest.mark.parametrize(
    ("link", "person"),
    [
        ("https://matrix.to/#/@ana:hs.test", "@ana:hs.test"),
        ("https://matrix.to/#/%40ana%3Ahs.test?via=hs.test", "@ana:hs.test"),
        ("matrix:u/ana:hs.test?action=chat", "@ana:hs.test"),
        ("https://matrix.to/#/#room:hs.test", None),
        ("https://matrix.to/#/!room/$event", None),
        ("https://example.org/@ana:hs.test", None),
        ("matrix:r/room:hs.test", None),
    ],
)
def test_a_link_to_a_person_is_a_mention(link: str, person: str | None) -> None:
    assert mentioned(link) == person
    said = from_matrix(f'<a href="{link}">Ana</a>!')
    assert said.people == ((person,) if person else ())
    assert ("<a" in said.html) == (person is None)


def test_names_stand_where_ids_stood_and_nowhere_else() -> None:
    names = {"@ana:hs.test": "Ana <Ferreira>", "@ana:hs.test.org": "another Ana"}
    text = "@ana:hs.test: see @ana:hs.test.org, (@ana:hs.test) @ana:hs.testing @ana:hs.test:8448"
    assert with_names(text, names) == (
        "Ana <Ferreira>: see another Ana, (Ana <Ferreira>) @ana:hs.testing @ana:hs.test:8448"
    )
    html = '<a href="https://x.test/@ana:hs.test">@ana:hs.test</a>'
    assert with_names_in_html(html, names) == '<a href="https://x.test/@ana:hs.test">Ana &lt;Ferreira&gt;</a>'


@pytest.mark.parametrize(
    "mentions",
    [None, 7, {}, {"user_ids": "@ana:hs.test"}, {"user_ids": [7, None, "ana", "@", {"a": 1}]}, {"user_ids": {"a": 1}}],
)
def test_mentions_that_are_none_mention_nobody(mentions: object) -> None:
    assert listed({"m.mentions": mentions}) == ()


def test_listed_people_are_each_once() -> None:
    assert listed({"m.mentions": {"user_ids": ["@a:x.test", "@a:x.test"], "room": True}}) == ("@a:x.test",)


@pytest.mark.parametrize(
    ("text", "words", "people"),
    [
        ("[Ana](https://matrix.to/#/@ana:hs.test): hi", "Ana: hi", ["@ana:hs.test"]),
        ("[@ana:hs.test](https://matrix.to/#/%40ana:hs.test)", "@ana:hs.test", ["@ana:hs.test"]),
        ("(https://matrix.to/#/@ana:hs.test?via=x)", "(@ana:hs.test)", ["@ana:hs.test"]),
        ("[room](https://matrix.to/#/#room:hs.test)", "[room](https://matrix.to/#/#room:hs.test)", []),
        ("[x](https://example.org/@ana:hs.test)", "[x](https://example.org/@ana:hs.test)", []),
        ("[](https://matrix.to/#/@ana:hs.test)", "@ana:hs.test", ["@ana:hs.test"]),
        ("[" * 60_000, "[" * 60_000, []),
    ],
)
def test_a_link_to_a_person_in_plain_words_is_their_name(text: str, words: str, people: list[str]) -> None:
    assert unlinked(text) == (words, people)


EVIL = [
    "<a " * 20_000,
    "<" * 60_000,
    '<b a="' * 10_000,
    "<!--" * 15_000,
    "<span data-mx-spoiler>" * 3_000,
    "<p>" + "".join(f"<b c{n}>" for n in range(3_000)) + "</p>" + "<p>x</p>" * 4_000,  # 4 GB in a parser that repairs
    "<a b=c" * 10_000 + ">",
    "<a b='" * 10_000 + "'>",
    "&#" + "9" * 60_000 + ";",
    '<a href="&#' + "9" * 1_900 + ';">x</a>',
]


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_what_comes_in_stays_in_proportion(evil: str) -> None:
    assert len(from_matrix(evil).html) <= 4 * len(evil)


tags = st.sampled_from(
    [
        "b",
        "p",
        "a",
        "span",
        "span data-mx-spoiler",
        "img",
        "table",
        "tr",
        "td",
        "mx-reply",
        "details",
        "x",
        "code class='y'",
    ]
)
bits = st.one_of(
    st.text(max_size=5),
    tags.map(lambda tag: f"<{tag}>"),
    tags.map(lambda tag: f"</{tag.split()[0]}>"),
    st.sampled_from(["<", ">", '"', "'", "&lt;", "<!--", "-->", "<img src='mxc://a/b'>", "<a href='matrix:u/a:b'>"]),
)


@settings(deadline=None)
@given(st.lists(bits, max_size=30).map("".join))
def test_any_markup_is_something(html: str) -> None:
    from_matrix(html)
    schemas.html(to_matrix(html))


@given(st.text(alphabet=st.characters(exclude_characters="\r"), max_size=60))
def test_words_are_kept(text: str) -> None:
    assert "".join(piece for piece in pieces(escape(text)) if isinstance(piece, str)) == escape(text)
