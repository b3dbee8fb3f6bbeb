"""The HTML of a post on a page: quotes folded, pictures from here, no addresses, and nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.archive.masking import Mask
from server.bridge import File
from server.web.body import beside, shown

MASK = Mask("tides", "lists.test")
PICTURE = File("ab" * 32, 'a"b.png', "image/png", 10, f"/blob/{'ab' * 32}/a%22b.png")
LONG = "<p>" + "word " * 100 + "</p>"


def test_a_long_quote_is_folded_and_a_short_one_is_not() -> None:
    html = f'<p>On Monday:</p><blockquote class="quote">{LONG}</blockquote><p>No.</p>'
    page = str(shown(html, (), MASK))
    assert page == (
        '<p>On Monday:</p><details class="quoted"><summary>Quoted text</summary>'
        f'<blockquote class="quote">{LONG}</blockquote></details><p>No.</p>'
    )
    short = '<blockquote class="quote"><p>Yes?</p></blockquote>'
    assert str(shown(short, (), MASK)) == short
    assert str(shown(html, (), MASK, fold=False)) == html


def test_quotes_in_quotes_fold_once() -> None:
    html = f'<blockquote class="quote">{LONG}<blockquote class="quote">{LONG}</blockquote></blockquote>'
    assert str(shown(html, (), MASK)).count("<details") == 1


def test_a_block_quote_that_is_no_reply_quote_stays_open() -> None:
    html = f"<blockquote>{LONG}</blockquote>"
    assert str(shown(html, (), MASK)) == html


def test_a_picture_comes_from_our_own_address_and_no_other() -> None:
    html = f'<p><img src="blob:{PICTURE.hash}"><img src="https://tracker.test/x.gif" alt="x"></p>'
    assert str(shown(html, (PICTURE,), MASK)) == (
        f'<p><img src="/blob/{PICTURE.hash}/a%22b.png" alt="a&quot;b.png" loading="lazy"></p>'
    )
    assert "https://talk.test/blob/" in shown(html, (PICTURE,), MASK, base_url="https://talk.test")


def test_an_address_shows_neither_as_text_nor_as_link() -> None:
    html = (
        '<p><a href="mailto:ana@example.org">ana@example.org</a> <a href="https://x.test/?u=ana@example.org">x</a></p>'
    )
    assert "ana@" not in shown(html, (), MASK)


def test_headings_stand_below_those_of_the_page() -> None:
    assert str(shown("<h1>A</h1><h5>B</h5>", (), MASK)) == "<h3>A</h3><h6>B</h6>"


def test_what_the_text_shows_is_not_listed_again() -> None:
    other = File("cd" * 32, "b.pdf", "application/pdf", 10, "/blob/b")
    html = f'<img src="blob:{PICTURE.hash}">'
    assert beside(html, (PICTURE, other), MASK) == ([], [other])
    assert beside("", (PICTURE, other), MASK) == ([PICTURE], [other])


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<blockquote>", "</blockquote>", '<blockquote class="quote">', LONG, "x"]))
)
def test_details_are_always_closed(pieces: list[str]) -> None:
    page = str(shown("".join(pieces), (), MASK))
    assert page.count("<details") == page.count("</details>")


def test_no_file_name_tells_an_address() -> None:
    card = File("ef" * 32, "ana@example.org.vcf", "text/vcard", 10, "/blob/ef/ana%40example.org.vcf")
    picture = File("aa" * 32, "ana@example.org.png", "image/png", 10, "/blob/aa/ana%40example.org.png")
    ((one,), (other,)) = beside("", (picture, card), MASK)
    assert "ana" not in one.filename + one.url + other.filename + other.url
    assert "ana" not in shown(f'<img src="blob:{picture.hash}">', (picture,), MASK)
