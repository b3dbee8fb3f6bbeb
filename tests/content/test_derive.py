"""A post as it is shown, from the parts that came."""

from __future__ import annotations

import html as htmllib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import limits
from server.bridge import Attachment
from server.content.derive import Derived, derive
from server.content.sanitize import clean, tidy
from server.i18n import _
from tests.content import strategies

REL = 'rel="nofollow noopener ugc"'
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16
HASH = "b" * 64


def plain(text: str) -> Derived:
    return derive(text, None, "plain", [], [])


def rich(html: str, text: str | None = None) -> Derived:
    return derive(text, html, "plain", [], [])


def test_plain_text_becomes_paragraphs_links_and_code() -> None:
    found = plain(
        "Hello & welcome,\n\nsee http://a.example/x_(y), and\nmind the gap.\n\n    if x < 1:\n\n        go()\n\n  a list:\n- one\n- two"
    )
    assert found.html == (
        "<p>Hello &amp; welcome,</p>\n"
        f'<p>see <a href="http://a.example/x_(y)" {REL}>http://a.example/x_(y)</a>, and<br>mind the gap.</p>\n'
        "<pre><code>    if x &lt; 1:\n\n        go()</code></pre>\n"
        "<p>&nbsp;&nbsp;a list:<br>- one<br>- two</p>"
    )
    assert found.fresh_text == found.text
    assert found.fresh_html == found.html


def test_wrapped_prose_flows_and_verses_do_not() -> None:
    prose = (
        "The pump in the harbour has been running again since Monday morning,\n"
        "and nobody knows who repaired it, or why it had stopped at all in the\nfirst place."
    )
    assert plain(prose).html == f"<p>{prose}</p>"
    assert plain("The pump,\nthe pump.").html == "<p>The pump,<br>the pump.</p>"


def test_aligned_columns_and_patches_keep_their_columns() -> None:
    table = "name     size\notter    12\nheron    3"
    assert plain(table).html == f"<pre><code>{table}</code></pre>"
    patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a \n \n+b"  # it applies when it is copied from the page
    assert plain(f"Fix:\n\n{patch}").html == f"<p>Fix:</p>\n<pre><code>{patch}</code></pre>"


@pytest.mark.parametrize(
    "art",
    [
        " /\\_/\\\n( o.o )\n > ^ <",
        "+---+    +---+\n| a |--->| b |\n+---+    +---+",
        " _   _ _ \n| | | (_)\n| |_| | |\n|  _  | |\n|_| |_|_|",
    ],
)
def test_pictures_made_of_letters_keep_their_form(art: str) -> None:
    found = plain(f"Look:\n\n{art}\n\nBen")
    assert found.html == f"<p>Look:</p>\n<pre><code>{htmllib.escape(art, quote=False)}</code></pre>\n<p>Ben</p>"
    assert found.fresh_html == found.html


def test_quotes_and_signature_of_plain_text() -> None:
    found = plain("Yes.\n\nOn 1/1/24, Ana wrote:\n> Is it?\n>> Was it?\n\n-- \nBen")
    assert found.html == (
        '<p>Yes.</p>\n<blockquote class="quote">\n<p>On 1/1/24, Ana wrote:</p>\n<p>Is it?</p>\n<blockquote class="quote">\n'
        '<p>Was it?</p>\n</blockquote>\n</blockquote>\n<div class="signature">--<br>Ben</div>'
    )
    assert (found.fresh_text, found.fresh_html) == ("Yes.", "<p>Yes.</p>")
    assert found.text == "Yes.\n\nOn 1/1/24, Ana wrote:\n> Is it?\n>> Was it?\n\n-- \nBen"


def test_markdown_is_rendered_and_nothing_of_it_is_folded() -> None:
    found = derive("*Yes.*\n\n> a saying", None, "markdown", [], [])
    assert found.html == "<p><em>Yes.</em></p>\n<blockquote>\n<p>a saying</p>\n</blockquote>"
    assert (found.fresh_text, found.fresh_html) == (found.text, found.html)


GMAIL = (
    '<div dir="ltr">Yes.</div><br><div class="gmail_quote"><div class="gmail_attr">On Mon, Ana &lt;<a href="mailto:a@a.example">'
    'a@a.example</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0"><div>Is it?</div></blockquote></div>'
)
THUNDERBIRD = (
    '<p>Yes.</p><div class="moz-cite-prefix">On 1/1/24, Ana wrote:<br></div><blockquote type="cite" cite="mid:x">'
    '<p>Is it?</p></blockquote><div class="moz-signature">-- <br>Ben</div>'
)
APPLE = (
    "<div>Yes.</div><div>Sent from my iPad</div><div><br><blockquote type='cite'>On 1 Jan 2024, at 10:00, Ana wrote:<br><br>"
    "</blockquote></div><blockquote type='cite'><div>Is it?</div></blockquote>"
)
WORD = (
    "<div class=WordSection1><p class=MsoNormal>Yes.<o:p></o:p></p><div><div style='border-top:solid'><p><b>From:</b> Ana<br>"
    "<b>Sent:</b> Monday<br><b>To:</b> Ben<br><b>Subject:</b> pump</p></div></div><p>Is it?</p></div>"
)
OWA = (
    "<div>Yes.</div><div id='appendonsend'></div><hr><div id='divRplyFwdMsg'><font><b>From:</b> Ana<br><b>Sent:</b> Monday"
    "</font></div><div>Is it?</div>"
)
PROTON = (
    "<div>Yes.</div><div class='protonmail_quote'>On Monday, Ana &lt;a@a.example&gt; wrote:<br><br>"
    "<blockquote class='protonmail_quote' type='cite'>Is it?</blockquote></div>"
)
UNMARKED = (
    "<p>Yes.</p><p>Am 01.01.2024 um 10:00 schrieb Ana:</p><blockquote style='border-left:1px'>Is it?</blockquote>"
)


@pytest.mark.parametrize("html", [GMAIL, THUNDERBIRD, APPLE, WORD, OWA, PROTON, UNMARKED])
def test_the_quotes_of_mail_programs_are_found(html: str) -> None:
    found = rich(html)
    quote = found.html.partition('<blockquote class="quote">')[2]
    assert "Is it?" in quote
    assert "Ana" in quote
    assert found.fresh_text == "Yes."
    assert re.sub("<[^>]*>", "", found.fresh_html).strip() == "Yes."
    assert re.search(r"^> ?Is it\?", found.text, re.MULTILINE)


def test_a_quote_between_answers_stays_in_html_without_its_attribution() -> None:
    found = rich(
        "<div class='moz-cite-prefix'>On 1/1/24, Ana wrote:</div><blockquote type=cite>one?</blockquote><p>Yes.</p>"
        "<blockquote type=cite>two?</blockquote><p>No.</p><blockquote type=cite>three?</blockquote>"
    )
    assert found.fresh_html == (
        '<blockquote class="quote">one?</blockquote><p>Yes.</p><blockquote class="quote">two?</blockquote><p>No.</p>'
    )
    assert found.fresh_text == "> one?\n\nYes.\n\n> two?\n\nNo."


def test_a_footer_that_a_list_appended_to_html_is_no_word_of_the_author() -> None:
    footer = "<p>_______________________________________________<br>\nPumps mailing list<br>\nhttps://lists.example/pumps</p>"
    found = rich(f"<html><body>{GMAIL}</body></html>\n{footer}")
    assert visible(found.fresh_html).strip() == "Yes."
    assert "Pumps mailing list" in found.html
    closing = "<p>It works.</p><p>__________</p><p>And thank you, all of you.</p>"
    assert "thank you" in rich(closing).fresh_html


def test_a_saying_in_a_blockquote_is_the_authors() -> None:
    html = "<p>As they say:</p><blockquote>Haste makes waste.</blockquote>"
    assert rich(html).fresh_html == html == rich(html).html


def test_a_forwarded_message_in_html_is_meant_to_be_read() -> None:
    html = (
        '<div>For you:</div><div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>From: Ana<br>'
        "Date: Monday<br>Subject: pump<br></div>The pump is back.</div>"
    )
    assert "The pump is back." in rich(html).fresh_html


def test_html_alone_reads_well_as_text() -> None:
    found = rich(
        "<h2>Tides</h2><p>High   at\nnoon, <a href='https://tides.example'>more</a>, or https&#58;//a.example:<ul><li>one<ul>"
        "<li>two</ul></ul><ol start=3><li>three</ol><pre>a  b\n c</pre><table><tr><td>x<td>y</table><hr>"
        "<blockquote>a saying</blockquote>"
    )
    assert found.text == (
        "Tides\n\nHigh at noon, more <https://tides.example>, or https://a.example:\n\n- one\n  - two\n\n3. three\n\na  b\n c\n\n"
        "x | y\n\n---\n\n> a saying"
    )


def test_a_post_with_both_parts_keeps_both() -> None:
    found = rich("<p>rich</p>", "plain")
    assert (found.text, found.html) == ("plain", "<p>rich</p>")


@pytest.mark.parametrize("empty", ["", "  ", "<html><body><br></body></html>", "<style>x</style>"])
def test_an_empty_html_part_gives_way_to_the_text(empty: str) -> None:
    assert rich(empty, "plain").html == "<p>plain</p>"


def test_a_picture_in_the_html_is_named_by_its_blob() -> None:
    picture = Attachment("p.png", "image/png", PNG, content_id="one@a")
    other = Attachment("p.png", "image/png", b"<svg onload=alert(1)>", content_id="two")
    html = (
        "<p>x<img src='cid:one%40a' alt=''><img src='CID:one@a'><img src='cid:two' alt='lie'><img src='cid:three'></p>"
    )
    found = derive(None, html, "plain", [picture, other], [HASH, "c" * 64])
    assert found.html == f'<p>x<img src="blob:{HASH}" alt=""><img src="blob:{HASH}">lie</p>'


def test_a_picture_alone_is_a_post() -> None:
    picture = Attachment("p.png", "image/png", PNG, content_id="one")
    found = derive("\n", "<img src=cid:one>", "plain", [picture], [HASH])
    assert found.html == f'<img src="blob:{HASH}">'


def test_too_long_a_text_is_shown_to_its_limit_and_says_so() -> None:
    found = plain("word " * (limits.TEXT_CHARS // 5 + 100))
    assert len(found.text) < limits.TEXT_CHARS + 100
    assert found.text.endswith(_("The rest is too long to be shown here.") + "\n")
    long = "<p>" + "word " * 500_000
    assert rich(long, "short").html == "<p>short</p>"
    assert _("The rest is too long to be shown here.") in rich(long).html


def visible(html: str) -> str:
    return htmllib.unescape(re.sub(r"<[^>]*>", " ", html))


@given(strategies.texts)
def test_every_word_of_a_text_is_in_its_html(text: str) -> None:
    found = plain(text)
    shown = visible(found.html)
    for word in re.findall(r"\w+", tidy(text)):
        assert word in shown


@given(strategies.texts)
def test_fresh_html_of_a_text_says_what_fresh_text_says(text: str) -> None:
    found = plain(text)
    assert sorted(re.findall(r"\w+", visible(found.fresh_html))) == sorted(re.findall(r"\w+", found.fresh_text))


@given(st.none() | strategies.texts, st.none() | strategies.html, st.sampled_from(["plain", "markdown", "else"]))
def test_any_parts_can_be_derived_and_what_is_shown_is_clean(
    text: str | None, html: str | None, text_format: str
) -> None:
    found = derive(text, html, text_format, [], [])
    assert clean(found.html) == found.html
    assert clean(found.fresh_html) == found.fresh_html
    assert bool(found.fresh_html.strip()) == bool(found.html.strip())


@given(strategies.html)
def test_every_word_of_html_is_in_its_text(html: str) -> None:
    found = rich(html)
    shown = re.sub(r"\s", "", found.text)
    for word in re.findall(r"[^\W_]+", visible(re.sub(r"<a [^>]*>remote image(: )?", "", found.html))):
        assert word in shown


@pytest.mark.parametrize(
    "attack",
    ["<div>--</div>" * 20_000, "<p>Ana wrote:</p><blockquote>x</blockquote>" * 3_000, "<blockquote type=cite>" * 20_000,
     "<div><b>From:</b> x" * 10_000, "<br>" * 40_000 + "<blockquote>x", "<p></p>" * 20_000 + "<blockquote>x</blockquote>" * 5_000,
     "<div>Forwarded message</div>" * 10_000, "<blockquote>" * 49 + "x<br>" * 20_000, "<ul><li>" * 20_000,
     "<div>Sent from my iPhone</div>" * 7_000, "<div class=signature>" * 20_000, "<b>From:</b>" * 25_000],
    ids=lambda attack: attack[:20],
)  # fmt: skip
def test_hostile_html_is_derived_within_bounds(attack: str) -> None:
    found = rich(attack)
    assert len(found.text) <= 20 * len(attack)
    assert len(found.html) <= 20 * len(attack)


@pytest.mark.parametrize(
    "attack",
    [">" * 300_000, "> " * 200_000 + "x", "http://" * 60_000, "http://a" + ")" * 500_000,
     "".join(f"{'>' * (n % 60)} x\n" for n in range(9_000)),
     "a   b\n" * 80_000, "```\n" * 100_000, "& " * 250_000, " " * 900_000, "\n \n" * 60_000],
    ids=lambda attack: attack[:12],
)  # fmt: skip
def test_hostile_text_is_derived_within_bounds(attack: str) -> None:
    found = plain(attack)
    assert len(found.html) <= 60 * len(attack) + 2_000
