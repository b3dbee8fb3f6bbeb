"""The schemas say no where they should: a validator that takes everything would prove nothing of our events."""

from __future__ import annotations

from typing import Any

import pytest

from bridges.matrix.tests import schemas

WORDS: dict[str, Any] = {"msgtype": "m.text", "body": "x", "m.mentions": {}}
FILE: dict[str, Any] = {
    "msgtype": "m.image",
    "body": "x.png",
    "filename": "x.png",
    "url": "mxc://hs.test/abc",
    "info": {"mimetype": "image/png", "size": 7},
    "m.mentions": {},
}


def rich(markup: str) -> dict[str, Any]:
    return WORDS | {"format": "org.matrix.custom.html", "formatted_body": markup}


@pytest.mark.parametrize("content", [WORDS, FILE, rich('<p>a <a href="https://x.test">b</a></p>')])
def test_what_is_right_passes(content: dict[str, Any]) -> None:
    schemas.check("m.room.message", content)


@pytest.mark.parametrize(
    "content",
    [
        {"msgtype": "m.text", "body": "x"},
        WORDS | {"body": 7},
        WORDS | {"body": "a\0"},
        WORDS | {"body": "a\ud800"},
        WORDS | {"body": "x" * 65_000},
        WORDS | {"body": "> <@ana:hs.test> where?\n\nhere"},
        WORDS | {"m.mentions": {"user_ids": ["ana"]}},
        WORDS | {"formatted_body": "<b>x</b>"},
        WORDS | {"m.relates_to": {"rel_type": "m.thread", "event_id": "$a"}},
        WORDS | {"m.relates_to": {"rel_type": "m.replace", "event_id": "$a"}},
        WORDS | {"net.junto.post": {"id": 2**53, "message_id": "<a@b>"}},
        FILE | {"url": "mxc://hs.test/../abc"},
        FILE | {"url": "https://hs.test/abc"},
        FILE | {"info": {"mimetype": "image/png", "size": 7.5}},
        rich("<script>x</script>"),
        rich("<mx-reply>x</mx-reply>y"),
        rich('<a href="javascript:x">y</a>'),
        rich('<img src="https://x.test/pixel.png">'),
        rich('<p style="color: red">y</p>'),
        rich("<div>" * 101 + "x" + "</div>" * 101),
    ],
)
def test_what_is_wrong_does_not(content: dict[str, Any]) -> None:
    with pytest.raises(schemas.Wrong):
        schemas.check("m.room.message", content)


def test_a_kind_without_a_schema_is_wrong() -> None:
    with pytest.raises(schemas.Wrong):
        schemas.check("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
