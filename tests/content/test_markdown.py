"""Markdown as on our pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.content.markdown import MARKDOWN_CHARS, to_html
from server.content.sanitize import clean

REL = 'rel="nofollow noopener ugc"'


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("*a* **b** `c` ~~d~~", "<p><em>a</em> <strong>b</strong> <code>c</code> <s>d</s></p>"),
        ("see https://a.example now", f'<p>see <a href="https://a.example" {REL}>https://a.example</a> now</p>'),
        ("edit setup.py, ask ana@a.example", "<p>edit setup.py, ask ana@a.example</p>"),
        ("<b onclick=x>a</b>", "<p>&lt;b onclick=x&gt;a&lt;/b&gt;</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("![a pump](http://t.example/p)", f'<p><a href="http://t.example/p" {REL}>remote image: a pump</a></p>'),
        ("```python\nx < 1\n```", '<pre><code class="language-python">x &lt; 1\n</code></pre>'),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>'),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
        (
            "a|b\n-|-\n1|2",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        ),
    ],
)
def test_markdown_is_what_commonmark_says_and_safe(written: str, shown: str) -> None:
    assert to_html(written) == shown


@given(st.text(st.sampled_from("ab *_`~[]()!<>#|-\n\\&:/")))
def test_any_markdown_can_be_rendered(text: str) -> None:
    rendered = to_html(text)
    assert clean(rendered) == rendered


def test_too_long_a_markdown_is_shown_as_typed() -> None:
    assert to_html("*" * (MARKDOWN_CHARS + 1)).startswith("<pre>**")


@pytest.mark.parametrize(
    "attack", ["[", "![", "*a_", "> ", "- ", "](", "[a]", "`a", "|a", "<a@", "&", "**a", "http://"]
)
def test_hostile_markdown_is_rendered(attack: str) -> None:
    assert to_html(attack * (60_000 // len(attack)))
