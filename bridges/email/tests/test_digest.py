"""Digests as mail: everything new in one mail, and each post with an address of its own that answers it."""

from __future__ import annotations

import html
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from bridges.email import digest_text
from bridges.email.digest import digest, share
from bridges.email.tests.digests import RICH, entry, item, sample, words
from bridges.email.tests.posts import BOUNCES, LEAVE, VIA, file, target
from bridges.email.tests.test_compose import golden
from server.bridge import DigestItem

LEAVE_URL = "https://talk.test/leave/"


def copy(of: DigestItem) -> bytes:
    return digest(of, LEAVE_URL).copy(target())


def read(of: DigestItem) -> EmailMessage:
    return message_from_bytes(copy(of), policy=policy.default)


def text(of: DigestItem) -> str:
    part = read(of).get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def page(of: DigestItem) -> str:
    part = read(of).get_body(("html",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_digest_as_its_reader_gets_it() -> None:
    golden("digest.eml", copy(item()))


def test_every_attempt_is_the_same() -> None:
    assert copy(item()) == copy(item())
    assert read(item())["Message-ID"] == item().message_id


def test_it_says_what_it_is_and_how_to_be_rid_of_it() -> None:
    message = read(item())
    assert message["From"] == "Tide pools <tides@lists.test>"
    assert message["To"] == "m1@far.test"
    assert message["Reply-To"] == f"Tide pools <tides-item+{'w' * 26}@lists.test>"
    assert message["List-Id"] == "Tide pools <tides.lists.test>"
    assert message["List-Unsubscribe"] == f"<https://talk.test/leave/{LEAVE}>, <mailto:tides-leave+{LEAVE}@lists.test>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Precedence"] == "list"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Archived-At"] is None
    assert message.get_content_type() == "multipart/alternative"
    assert digest(item(), LEAVE_URL).envelope(target()) == f"tides-bounces+{BOUNCES}@lists.test"


def test_both_forms_have_every_post_with_its_address_and_page() -> None:
    for each in sample():
        where = f"tides-item+{each.reply}@lists.test"
        for form in (text(item()), html.unescape(page(item()))):
            assert where in form
            assert each.post.url in form
            assert each.post.writer.name in form
            assert f"tides-via+{VIA}@lists.test" in form


def test_the_reply_button_answers_that_post() -> None:
    links = [a.attributes["href"] or "" for a in LexborHTMLParser(page(item())).css("a") if a.text() == "Reply"]
    assert len(links) == len(sample())
    for link, each in zip(links, sample(), strict=True):
        parts = urlsplit(link)
        fields = parse_qs(parts.query)
        assert (parts.scheme, parts.path) == ("mailto", f"tides-item+{each.reply}@lists.test")
        assert fields["subject"] == [f"Re: {each.topic}"]
        assert fields["In-Reply-To"] == [each.post.message_id]


def test_the_contents_lead_to_their_topics() -> None:
    tree = LexborHTMLParser(page(item()))
    inside = [a.attributes["href"] or "" for a in tree.css('a[href^="#"]')]
    assert inside == ["#topic-1", "#topic-2"]
    assert all(tree.css_first(link) is not None for link in inside)


def test_nothing_is_fetched_and_no_style_sheet_is_needed() -> None:
    tree = LexborHTMLParser(page(item()))
    for unwanted in ("img", "link", "style", "script", "iframe", "[src]", "[background]"):
        assert tree.css_first(unwanted) is None, unwanted
    assert "url(" not in page(item())


def test_words_of_others_are_never_markup_of_ours() -> None:
    evil = words(3, "<b>Mallory</b> & co", "Hi <script>alert(1)</script>", html=" ")
    shown = page(item(entry(evil, 1, '"><img src=x>', '<i>"')))
    assert "<script" not in shown
    assert "<img" not in shown
    assert "<b>Mallory" not in shown
    assert "<i>" not in shown


def test_times_are_read_on_the_clocks_of_the_reader() -> None:
    assert "Mon 2 Nov, 18:26" in text(item())
    assert "Tue 3 Nov, 03:26" in text(item(timezone="Asia/Tokyo"))
    assert "Mon 2 Nov, 18:26" in text(item(timezone="No/Where"))
    assert "Dienstag, 3 November 2026" in text(item(language="de"))


def test_files_are_links() -> None:
    big = file("survey.pdf", b"x", "application/pdf", size=40_000_000)
    made = item(entry(words(3, "Ana", "See the file.", files=(big,)), 1, "Survey"))
    assert big.url in text(made)
    assert "40 MB" in text(made)
    assert big.url in page(made)


# Size -----------------------------------------------------------------------------------------------------------------
def test_very_much_is_shown_as_beginnings_and_nothing_is_left_out() -> None:
    long = "\n\n".join("It rained on the shore and nobody went out. " * 20 for _ in range(30))
    made = item(*(entry(words(n, f"Member {n}", f"Number {n}.\n\n{long}"), n, f"Topic {n}") for n in range(1, 51)))
    assert len(copy(made)) < 260_000
    for form in (text(made), page(made)):
        assert len(form) < 140_000
        assert all(f"Number {n}." in form for n in range(1, 51))
    assert page(made).count("Read the rest on its page") == 50
    assert text(made).count("the rest is on its page") == 50


def test_markup_that_is_far_longer_than_its_words_is_shown_as_words() -> None:
    bloated = "<p>" + "<b>" * 20_000 + "hi" + "</b>" * 20_000
    assert len(page(item(entry(words(3, "Ana", "hi", bloated), 1, "x")))) < 20_000


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.integers(1, 60_000))
def test_shares_are_fair_and_fill_what_there_is(sizes: list[int], total: int) -> None:
    most = share(sizes, total)
    shown = [min(size, most) for size in sizes]
    assert sum(shown) <= max(total, 0)
    if sum(sizes) <= total:
        assert shown == sizes
    else:
        assert sum(min(size, most + 1) for size in sizes) > total


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 100))
def test_a_beginning_is_one_and_says_when_there_is_more(whole: str, chars: int) -> None:
    shown, more = digest_text.beginning(whole, chars)
    assert len(shown) <= chars
    assert whole.strip("\n").startswith(shown)
    assert more == (len(whole.strip("\n").rstrip()) > chars)


# Text -----------------------------------------------------------------------------------------------------------------
def test_lines_of_the_text_fit_and_what_has_a_form_keeps_it() -> None:
    code = "    if limpets:  # this line of code is far longer than what a text in a mail may have, and stays as it is"
    shown = text(item(entry(words(3, "Ana", "word " * 60 + "\n" + code + "\n> " + "quoted " * 20), 1, "T " * 70)))
    assert code in shown.splitlines()
    too_long = [line for line in shown.splitlines() if len(line) > 76 and line != code]
    assert too_long == []
    assert all(line.startswith("> ") for line in shown.splitlines() if "quoted" in line)


@pytest.mark.parametrize("line", ["https://tides.example/" + "a" * 90, "x" * 200])
def test_a_link_is_never_broken(line: str) -> None:
    assert line in digest_text.fitted(line)


@given(st.text(max_size=400))
def test_fitting_loses_no_word(line: str) -> None:
    assert "".join("".join(digest_text.fitted(line)).split()).replace(">", "") == "".join(line.split()).replace(">", "")


def test_rich_posts_keep_their_form() -> None:
    shown = page(item())
    assert "<b>only</b>" in shown
    assert re.search(r'<blockquote class="quote" style="[^"]+">', shown)
    assert "blob:" in RICH
    assert "blob:" not in shown
    assert "[ladder.png]" in shown
