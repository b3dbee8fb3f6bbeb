"""Nothing dangerous is shown, nothing that was written is lost, and cleaning twice changes nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.content.sanitize import clean, plain_line, tidy
from server.markup import soup
from server.markup.tree import events
from tests.content import strategies

HASH = "a" * 64
REL = 'rel="nofollow noopener ugc"'
ALLOWED_TAG = re.compile(
    r"</?(?:a|b|blockquote|br|caption|code|del|details|div|em|h[1-6]|hr|i|img|li|ol|p|pre|s|strong|sub|summary|sup|table|tbody|"
    r"td|tfoot|th|thead|tr|u|ul)(?: [a-z]+=\"[^\"]*\")*>"
)
ALLOWED_ATTRIBUTE = re.compile(
    r'(?:href="(?:https?://|mailto:)[^"]*"|rel="nofollow noopener ugc"|src="blob:[0-9a-f]{64}"|class="(?:quote|signature|'
    r'language-[A-Za-z0-9_+#.-]+)"|dir="(?:ltr|rtl|auto)"|(?:start|width|height|colspan|rowspan)="[0-9]{1,4}"|'
    r'(?:title|alt)="[^"]*")\Z'
)


def assert_harmless(html: str) -> None:
    tags = re.findall(r"<[^>]*>?", html)
    for tag in tags:
        assert ALLOWED_TAG.fullmatch(tag), tag
        for attribute in re.findall(r'[a-z]+="[^"]*"', tag):
            assert ALLOWED_ATTRIBUTE.match(attribute), tag


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<p>one<p>two", "<p>one</p><p>two</p>"),
        ("<script>alert(1)</script>after", "after"),
        ("<style>p{}</style><title>x</title>after", "after"),
        ("before<!-- <b>hidden</b> -->after", "beforeafter"),
        ('<p style="color:red" onclick="x()" id="y" class="z">t</p>', "<p>t</p>"),
        ('<a href="javascript:alert(1)">t</a>', f"<a {REL}>t</a>"),
        ('<a href="/relative">t</a>', f"<a {REL}>t</a>"),
        (f'<a href="blob:{HASH}">t</a>', f"<a {REL}>t</a>"),
        ('<a href="https://a.example/">t</a>', f'<a href="https://a.example/" {REL}>t</a>'),
        ('<a href="mailto:ana@a.example">t</a>', f'<a href="mailto:ana@a.example" {REL}>t</a>'),
        ('<code class="x language-c++">t</code>', '<code class="language-c++">t</code>'),
        ('<blockquote class="quote x">t</blockquote>', '<blockquote class="quote">t</blockquote>'),
        ('<div class="signature">t</div>', '<div class="signature">t</div>'),
        ('<ol start="3"><li>a<li>b</ol>', '<ol start="3"><li>a</li><li>b</li></ol>'),
        ('<ol start="x"><li>a</ol>', "<ol><li>a</li></ol>"),
        ("<details><summary>s</summary>t</details>", "<details><summary>s</summary>t</details>"),
        ("<font color=red>t</font><o:p>u</o:p>", "tu"),
        ("<center>t</center>", "<div>t</div>"),
        ('<p dir="RTL">שלום</p>', '<p dir="rtl">שלום</p>'),
        ("<pre>\n\nt</pre>", "<pre>t</pre>"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<b>never ends", "<b>never ends</b>"),
        ("kept <a href=never ends", "kept &lt;a href=never ends"),
        ("kept <!-- never ends", "kept  never ends"),
        (
            "<table><td>1<td>2<tr><td>3</table>",
            "<table><tbody><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></tbody></table>",
        ),
        ("<td>no table</td>", "<div>no table</div>"),
        ("<table>words</table>", "<table><tbody><tr><td>words</td></tr></tbody></table>"),
        ("&#133;&#0;&#99999999999;", "…\ufffd\ufffd"),
    ],
)
def test_what_is_allowed_stays_and_the_rest_leaves_only_its_words(written: str, shown: str) -> None:
    assert clean(written) == shown


def test_a_picture_of_ours_stays() -> None:
    picture = f'<img src="blob:{HASH}" alt="a pump" width="20">'
    assert clean(picture) == picture


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('<img src="http://t.example/p.png">', f'<a href="http://t.example/p.png" {REL}>remote image</a>'),
        (
            '<img src="HTTPS://t.example/p" alt="a pump">',
            f'<a href="HTTPS://t.example/p" {REL}>remote image: a pump</a>',
        ),
        (
            '<a href="http://x.example"><img src="http://t.example/p"></a>',
            f'<a href="http://x.example" {REL}>remote image</a>',
        ),
        ('<img src="http://t.example/p" width="1" height="1">', ""),
        ('<img src="data:image/png;base64,AAAA" alt="a pump">', "a pump"),
        ('<img src="cid:unknown">', ""),
        ('<img src="http://[" alt="odd">', "odd"),
        (f'<img src="blob:{HASH}/../x">', ""),
    ],
)
def test_no_other_picture_is_loaded(written: str, shown: str) -> None:
    assert clean(written) == shown


@given(strategies.html)
def test_cleaning_leaves_only_what_is_allowed_and_is_a_fixed_point(html: str) -> None:
    cleaned = clean(html)
    assert_harmless(cleaned)
    assert clean(cleaned) == cleaned


@given(st.text())
def test_any_text_at_all_can_be_cleaned(text: str) -> None:
    assert_harmless(clean(text))


@given(
    st.lists(
        st.sampled_from(["plough", "otter", "&lt;", "é", "<p>", "</p>", "<b>", "</div>", "<td>", "<table>", "<li>"])
    )
)
def test_no_word_between_tags_is_lost(parts: list[str]) -> None:
    words = "".join(part for part in parts if not part.startswith("<"))
    found = "".join(node for _, node in events(soup.parse(clean("".join(parts)))) if isinstance(node, str))
    assert found == soup.decode(words)


@pytest.mark.parametrize("tag", ["div", "blockquote", "b", "ul><li", "table><tr><td", "span", "p", "a", "details"])
def test_twenty_thousand_elements_inside_one_another_become_few(tag: str) -> None:
    cleaned = clean(f"<{tag}>" * 20_000 + "deep" + f"</{tag.split('>', maxsplit=1)[0]}>" * 20_000)
    depth = deepest = 0
    for slash, name in re.findall(r"<(/?)([a-z0-9]+)", cleaned):
        depth += 0 if name == "br" else -1 if slash else 1
        deepest = max(deepest, depth)
    assert "deep" in cleaned
    assert deepest <= 60


@pytest.mark.parametrize(
    "attack",
    [
        "<b><p>" * 150_000,
        "".join(f"<b a{i}=1><p>" for i in range(60_000)),
        "<p " + " ".join(f"a{i}=1" for i in range(100_000)) + ">x",
        "<p>" + "<b>" * 48 + "<div>x</div>" * 60_000,
        "<" * 1_000_000,
        '<a ="' * 200_000,
        "<!--" * 250_000,
        "<script>" * 125_000,
        "&" * 1_000_000,
        "&amp; " * 160_000,
        "&#" + "9" * 999_000,
        "<br>" * 250_000,
        "</b>" * 250_000,
        "<li>" * 250_000,
        "<table>" + "<td>x<table>" * 70_000,
        '<img src="http://t.example/p">' * 30_000,
        "<pre>" + "\n" * 900_000,
    ],
    ids=lambda attack: attack[:12],
)
def test_a_megabyte_of_hostile_html_is_bounded_in_size(attack: str) -> None:
    assert len(clean(attack)) <= 6 * len(attack) + 100


def test_a_line_for_a_header_has_no_control_and_no_turning_characters() -> None:
    assert plain_line("a\r\nBcc: b\x00\u202ec\u2066\t d", 100) == "a Bcc: b c d"
    assert plain_line("x" * 50, 10) == "x" * 9 + "…"
    assert plain_line("", 10) == ""


@given(st.text(), st.integers(min_value=1, max_value=60))
def test_a_plain_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = plain_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert plain_line(line, limit) == line


def test_tidy_text_has_one_sort_of_line_end_and_can_be_stored() -> None:
    assert tidy("a\r\nb\rc\x00\x07\td\ud800") == "a\nb\nc\td"
