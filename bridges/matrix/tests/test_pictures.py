"""What a picture is and how large, from its bytes; whatever else they are, no error."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.matrix import pictures
from bridges.matrix.tests.samples import png

FRAME = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00"


def held(orientation: int, order: Literal["big", "little"] = "big") -> bytes:
    """A JPEG picture of 32 x 16 from a camera that was held so."""

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)

    entries = [(0x010F, 0), (0x0112, orientation)]
    tiff = (b"MM" if order == "big" else b"II") + number(42, 2) + number(8, 4) + number(len(entries), 2)
    for tag, value in entries:
        tiff += number(tag, 2) + number(3, 2) + number(1, 4) + number(value, 2) + b"\0\0"
    exif = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + FRAME


@given(
    st.binary(max_size=60).flatmap(
        lambda tail: st.sampled_from([b"\xff\xd8", b"RIFF1234WEBP", png()[:18], b"GIF89a"]).map(
            lambda head: head + tail
        )
    )
)
def test_any_bytes_have_a_size_or_none(data: bytes) -> None:
    found = pictures.size(data)
    assert found is None or len(found) == 2


def test_sizes_of_pictures() -> None:
    assert pictures.size(png(640, 480)) == (640, 480)
    assert pictures.size(b"GIF89a" + bytes([3, 0, 2, 0])) == (3, 2)
    jpeg = b"\xff\xd8" + b"\xff\xe0\x00\x04ab" + b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00"
    assert pictures.size(jpeg) == (32, 16)
    assert pictures.size(b"plain text") is None


@pytest.mark.parametrize("order", ["big", "little"])
def test_a_picture_is_as_large_as_it_is_shown(order: Literal["big", "little"]) -> None:
    assert [pictures.size(held(turn, order)) for turn in (1, 3, 5, 6, 8)] == [(32, 16)] * 2 + [(16, 32)] * 3


@given(st.binary(max_size=80))
def test_whatever_a_camera_says_of_itself_is_no_error(said: bytes) -> None:
    data = b"\xff\xd8\xff\xe1" + (len(said) + 8).to_bytes(2, "big") + b"Exif\0\0" + said + FRAME
    assert pictures.size(data) in ((32, 16), (16, 32))


@pytest.mark.parametrize(
    ("data", "kind"),
    [(png(), "image/png"), (b"GIF89a", "image/gif"), (held(1), "image/jpeg"), (b"<svg/>", None), (b"", None)],
)
def test_kinds_of_pictures(data: bytes, kind: str | None) -> None:
    assert pictures.media_type(data) == kind
