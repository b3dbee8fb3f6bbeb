"""The site's pages are read as HTML, and made harmless for the frame on the stage."""

from __future__ import annotations

from deploy.demo.roomuser import shown_html
from deploy.demo.webpage import for_frame, forms, latest_number, posts_on, root_of, subject_of

BASE = "http://localhost:8080"
THREAD = """<html><head><base href="//evil"><script>1</script></head><body><h1>Shrimp</h1>
<a href="/f/pools/3/thread.mbox">mbox</a> <a href="/f/pools/9">next</a> <a href="https://far.example/x">far</a>
<a href="javascript:alert(1)">no</a><img src="/blob/ab/x.png"><a href="#4">four</a>
<article class="post" id="3"><h2>Ana</h2><div class="body">A shrimp <blockquote class="quote">old words</blockquote>today</div></article>
<article class="post" id="4"><div class="body">Two</div></article>
<form method="post" action="/f/pools/3/reply"><input type="hidden" name="csrf" value="t&amp;1"><textarea name="text" autofocus>
draft</textarea><button name="preview" value="1">Preview</button></form></body></html>"""


def framed() -> str:
    return for_frame(
        THREAD, "/f/pools/3", BASE, {4: "web +84 ms"}, lambda forum, n: f"/?thread={n}", ["/static/frame.css"]
    )


def test_posts_are_read_without_their_quotes() -> None:
    posts = posts_on(THREAD)
    assert [post.number for post in posts] == [3, 4]
    assert posts[0].text.split() == ["A", "shrimp", "today"]
    assert (root_of(THREAD, "pools"), subject_of(THREAD), latest_number(THREAD, "pools")) == (3, "Shrimp", 9)


def test_a_form_keeps_its_hidden_fields_and_leaves_its_buttons() -> None:
    (form,) = forms(THREAD)
    assert form.action == "/f/pools/3/reply"
    assert form.fields == {"csrf": "t&1", "text": "draft"}


def test_the_frame_leads_nowhere_but_the_stage() -> None:
    page = framed()
    assert 'href="/?thread=9" target="_top"' in page
    assert 'src="/web/blob/ab/x.png"' in page
    assert 'href="#4"' in page
    for gone in ("<script", "<base", "javascript:", "autofocus"):
        assert gone not in page


def test_a_new_post_is_ringed_in_the_frame() -> None:
    page = framed()
    assert 'class="post stage-new" id="4"' in page
    assert page.count("stage-hops") == 1
    assert "web +84 ms" in page


def test_a_rooms_html_loses_what_a_client_must_not_show() -> None:
    shown = shown_html(
        '<b onclick="x()">hi</b><script>1</script><img src="http://far.example/pixel"><a href="javascript:x">l</a>'
        '<img src="mxc://hs.test/a&amp;b" alt="A limpet" onerror="x()"><a href="mxc://hs.test/b">m</a>'
    )
    assert "<b>hi</b>" in shown
    assert '<img src="/room/picture?of=mxc%3A%2F%2Fhs.test%2Fa%26b" alt="A limpet">' in shown
    for gone in ("onclick", "script", "far.example", "onerror", "href"):
        assert gone not in shown
