"""Files: pictures are shown, the rest is saved, and only what hangs on a post that one may see is there."""

from __future__ import annotations

import pytest

from tests.archive.sample import Town
from tests.web.conftest import Reader

Rows = dict[str, int]


def attach(reader: Reader, post: int, data: bytes, filename: str, media_type: str) -> str:
    digest = reader.home.blobs.put(data)
    reader.home.store.write_now(lambda tx: Town(tx).file(post, digest, filename, media_type, len(data)))
    return digest


async def test_a_picture_is_shown(reader: Reader, rows: Rows) -> None:
    digest = attach(reader, rows["first"], b"png", "limpet 1.png", "image/png")
    answer = await reader.get(f"/blob/{digest}/limpet%201.png")
    assert (answer.status, await answer.read()) == (200, b"png")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == "inline; filename*=UTF-8''limpet%201.png"
    assert f"/blob/{digest}/limpet%201.png" in await reader.text("/f/tides/1")


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/pdf", "not a type\r\nX: y"])
async def test_what_could_run_is_saved_never_shown(reader: Reader, rows: Rows, media_type: str) -> None:
    digest = attach(reader, rows["first"], b"<script>", 'a"b.html', media_type)
    answer = await reader.get(f"/blob/{digest}/a")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%22b.html"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "X" not in answer.headers


async def test_a_file_of_a_hidden_forum_is_not_there(reader: Reader, rows: Rows) -> None:
    digest = attach(reader, rows["secret"], b"plan", "plan.txt", "text/plain")
    await reader.text(f"/blob/{digest}/plan.txt", status=404)
    reader.sign_in(rows["chidi"])
    await reader.text(f"/blob/{digest}/plan.txt", status=404)
    reader.sign_in(rows["ana"])
    assert await reader.text(f"/blob/{digest}/plan.txt") == "plan"


async def test_a_file_that_no_post_names_is_not_there(reader: Reader, rows: Rows) -> None:
    digest = reader.home.blobs.put(b"orphan")
    await reader.text(f"/blob/{digest}/orphan", status=404)
