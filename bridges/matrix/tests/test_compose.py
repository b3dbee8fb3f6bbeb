"""Events as the room gets them: a golden file for the whole, and what holds for every post."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.matrix import compose
from bridges.matrix.compose import BUDGET, Form, Place
from bridges.matrix.tests import schemas
from bridges.matrix.tests.samples import picture, post, said
from bridges.matrix.uploads import Upload
from server.bridge import Post
from tests.fakes import forum

GOLDEN = Path(__file__).parent / "golden"
LIMIT = 1_000_000


def contents(post: Post, heading: bool = True, **more: Any) -> list[dict[str, Any]]:
    return [part.content for part in compose.parts(post, heading, LIMIT, **more)]


def fixed(**changes: object) -> Post:
    names = {"id": 4, "number": 4, "message_id": "<4@lists.test>", "url": "https://talk.test/f/tides/4"}
    return post(forum(), **(names | changes))


CASES = {
    "topic": fixed(),
    "code": fixed(
        fresh_text="Count them:\n\nfor wall in walls:\n    count(wall)\n\nIt is *slow*.",
        fresh_html='<p>Count them:</p><pre><code class="language-python">for wall in walls:\n    count(wall)\n</code></pre>'
        "<p>It is <em>slow</em>.</p>",
    ),
    "pictures": fixed(
        fresh_text="Look.",
        fresh_html='<p>Look. <img src="blob:f00d" alt="limpet"></p>',
        files=(
            picture(),
            picture("b0a7", media_type="text/csv", filename="counts.csv"),
            picture("big", size=LIMIT + 1),
        ),
    ),
    "machine": fixed(automatic=True, subject=""),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    found = json.dumps(contents(CASES[name]), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    file = GOLDEN / f"{name}.json"
    if os.environ.get("GOLDEN_WRITE"):
        file.write_text(found, "utf-8")
    assert found == file.read_text("utf-8")


def test_an_answer_has_no_heading() -> None:
    (content,) = contents(post(), heading=False)
    assert content["body"] == "They are back."


def test_a_post_of_files_alone_has_no_empty_message() -> None:
    bare = post(fresh_text="", fresh_html="", files=(picture(),))
    assert [content["msgtype"] for content in contents(bare, heading=False)] == ["m.image"]
    assert [content["msgtype"] for content in contents(bare, heading=True)] == ["m.text", "m.image"]


def test_the_quoted_past_stays_where_it_is() -> None:
    quoting = post(
        text="> old\nnew", fresh_text="new", fresh_html="<p>new</p>", html="<blockquote>old</blockquote><p>new</p>"
    )
    assert "old" not in json.dumps(contents(quoting))


def test_markup_beyond_the_budget_is_left_out_first() -> None:
    text = "x" * 30_000
    (content,) = contents(post(fresh_text=text, fresh_html=f"<p>{text}</p>"))
    assert "formatted_body" not in content
    assert content["body"].endswith(text)


def test_a_long_text_is_its_beginning_a_link_and_a_file_with_all_of_it() -> None:
    paragraphs = "\n\n".join(f"Paragraph {number} é" * 40 for number in range(300))
    long = post(text=paragraphs, fresh_text=paragraphs, fresh_html=f"<p>{paragraphs}</p>")
    text, whole = compose.parts(long, False, LIMIT)
    body = text.content["body"]
    assert body.endswith(f"\n\n… full message: {long.url}")
    assert paragraphs.startswith(body.rpartition("\n\n")[0])
    assert len(body.encode()) < compose.EXCERPT + 200
    assert whole.data == paragraphs.encode()
    assert whole.content["filename"] == "message.txt"


def test_an_edit_counts_both_of_its_copies() -> None:
    text = "é" * 20_000
    part = compose.edit(said(post(fresh_text=text, fresh_html="", revision=2), "$e"), "$e")
    assert compose._bytes(part.content) <= BUDGET
    assert part.content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$e"}
    assert part.content["m.new_content"]["body"] in part.content["body"]


def test_relations() -> None:
    assert compose.relation(Place()) is None
    to_root = compose.relation(Place("$root", "$root"))
    assert to_root is not None
    assert (to_root["is_falling_back"], to_root["m.in_reply_to"]) == (True, {"event_id": "$root"})
    to_one = compose.relation(Place("$root", "$one"))
    assert to_one is not None
    assert (to_one["event_id"], to_one["is_falling_back"], to_one["m.in_reply_to"]) == (
        "$root",
        False,
        {"event_id": "$one"},
    )


PICTURED = '<p>Look: <img src="blob:f00d" alt="limpet"> and <img src="blob:b0a7" alt="boat" width="40" height="30"></p>'
KEPT = {"f00d": Upload("mxc://hs.test/one", 1200, 800), "b0a7": Upload("mxc://hs.test/two", 400, 300)}


TABLE = "<table><tbody><tr><td>north</td></tr></tbody><tfoot><tr><td>all</td></tr></tfoot></table>"


def pictured() -> Post:
    files = (
        picture(),
        picture("b0a7", filename="boat.png"),
        picture("c5c5", filename="counts.csv", media_type="text/csv"),
    )
    return post(fresh_html=PICTURED, files=files)


def test_pictures_stand_in_the_text_and_do_not_follow_it() -> None:
    text, counts = compose.parts(pictured(), False, LIMIT, pictures=KEPT)
    assert text.content["formatted_body"] == (
        '<p>Look: <img src="mxc://hs.test/one" alt="limpet" width="600" height="400"> and '
        '<img src="mxc://hs.test/two" alt="boat" width="40" height="30"></p>'
    )
    assert counts.content["body"] == "counts.csv"


def test_pictures_that_the_homeserver_does_not_have_are_links_and_files() -> None:
    text, limpet, counts = compose.parts(pictured(), False, LIMIT, pictures={"b0a7": KEPT["b0a7"]})
    assert '<a href="https://talk.test/blob/f00d/limpet.png">[limpet]</a>' in text.content["formatted_body"]
    assert [limpet.content["body"], counts.content["body"]] == ["limpet.png", "counts.csv"]


def test_where_the_text_has_no_markup_its_pictures_follow_it() -> None:
    parts = compose.parts(pictured(), False, LIMIT, Form.PLAIN, KEPT)
    assert [part.content["body"] for part in parts[1:]] == ["limpet.png", "boat.png", "counts.csv"]


def test_only_pictures_that_a_client_shows_and_the_homeserver_takes_stand_in_a_text() -> None:
    drawing = picture("f00d", media_type="image/svg+xml")
    large = picture("b0a7", size=LIMIT + 1)
    beside = picture("e66e")
    assert compose.inline(post(fresh_html=PICTURED, files=(drawing, large, beside)), LIMIT) == []
    assert [file.hash for file in compose.inline(pictured(), LIMIT)] == ["f00d", "b0a7"]


def test_a_drawing_is_a_file() -> None:
    (drawing,) = contents(
        post(fresh_text="", fresh_html="", files=(picture(media_type="image/svg+xml"),)), heading=False
    )
    assert drawing["msgtype"] == "m.file"


@pytest.mark.parametrize(("kind", "msgtype"), [("audio/ogg", "m.audio"), ("video/mp4", "m.video"), ("x/y", "m.file")])
def test_a_sound_is_a_sound(kind: str, msgtype: str) -> None:
    (file,) = contents(post(fresh_text="", fresh_html="", files=(picture(media_type=kind),)), heading=False)
    assert file["msgtype"] == msgtype


LINKS = (
    '<blockquote><a href="https://matrix.to/#/@old:hs.test">Old</a></blockquote>'
    '<p><a href="https://matrix.to/#/@bruno:hs.test">Bruno</a>, <a href="https://matrix.to/#/#room:hs.test">here</a></p>'
)


def test_whom_a_post_links_to_is_mentioned_and_whom_it_quotes_is_not() -> None:
    (content,) = contents(post(fresh_html=LINKS), heading=False)
    assert content["m.mentions"] == {"user_ids": ["@bruno:hs.test"]}
    crowd = "".join(f'<a href="https://matrix.to/#/@u{n}:hs.test">x</a>' for n in range(40))
    (content,) = contents(post(fresh_html=crowd), heading=False)
    assert len(content["m.mentions"]["user_ids"]) == 10


def test_an_edit_does_not_call_people_again() -> None:
    content = compose.edit(said(post(fresh_html=LINKS, revision=1), "$e"), "$e").content
    assert content["m.mentions"] == {}
    assert content["m.new_content"]["m.mentions"] == {"user_ids": ["@bruno:hs.test"]}
    schemas.check("m.room.message", content)


def test_words_that_look_like_the_fallback_of_a_reply_are_not_cut_off() -> None:
    (content,) = contents(post(fresh_text="> <@ana:hs.test> where?\n\nThere."), heading=False)
    assert content["body"] == "><@ana:hs.test> where?\n\nThere."


anything = st.text(st.characters(), max_size=300)  # lone surrogates and NUL with the rest
markup = st.lists(st.sampled_from(["<p>x</p>", "<b>x</b>", PICTURED, LINKS, TABLE, "<hr>", "é🐚", "&lt;"]), max_size=10)


@settings(deadline=None)  # some of it is large
@given(anything, anything, anything, markup.map("".join), st.sampled_from(Form), st.integers(0, 3000), st.booleans())
def test_every_event_is_as_the_specification_says(
    text: str, subject: str, filename: str, html: str, form: Form, times: int, heading: bool
) -> None:
    words = text * (1 + times // 10)
    files = (picture(filename=filename), picture("b0a7", filename=filename, media_type="text/csv"))
    whole = post(subject=subject, text=words, fresh_text=words, fresh_html=html * (1 + times // 100), files=files)
    for part in compose.parts(whole, heading, LIMIT, form, KEPT):
        content = part.content
        if part.file is not None or part.data is not None:
            content = compose.uploaded(content, Upload("mxc://hs.test/abc", 3, 2 if part.file else 0))
            content["info"] = {
                k: v for k, v in content["info"].items() if content["msgtype"] == "m.image" or k not in "wh"
            }
        schemas.check("m.room.message", content)
    schemas.check("m.room.message", compose.edit(whole, "$e", form, KEPT).content)
    sign = text.strip("\0") or "x"
    schemas.check("m.reaction", compose.reaction("$e", sign).content)


def test_what_is_shown_without_its_pictures_is_within_the_budget_too() -> None:
    long = post(fresh_text="x", fresh_html="<p>" + "&amp;" * 20_000 + "</p>")
    (content,) = contents(long, heading=False)
    assert "formatted_body" not in content
    assert compose._bytes(content) <= BUDGET
