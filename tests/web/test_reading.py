"""Pages for readers: the same for everybody who may see them, not there for everybody else."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from sqlalchemy import Connection

from server.archive.masking import Mask
from server.content import attachments
from server.errors import StoreUnavailable
from tests.web.conftest import Reader

Rows = dict[str, int]


async def test_the_front_page_leads_to_communities_and_forums(reader: Reader, rows: Rows) -> None:
    page = await reader.text("/")
    assert 'href="/c/shore"' in page
    assert 'href="/f/tides"' in page
    assert "What lives between the tides" in page


async def test_a_forum_lists_its_threads(reader: Reader, rows: Rows) -> None:
    page = await reader.text("/f/tides")
    assert 'href="/f/tides/1"' in page
    assert "Limpets" in page
    assert "How do they stick?" in page
    for channel in ("post", "room", "web"):
        assert f"channel-{channel}" in page
    assert 'rel="alternate" type="application/atom+xml" href="/f/tides/feed.atom"' in page


async def test_a_post_is_shown_inside_its_thread(reader: Reader, rows: Rows) -> None:
    page = await reader.text("/f/tides/2")
    for words in ("How do they stick?", "With slime.", "Thank you!"):
        assert words in page
    assert 'id="2"' in page
    assert 'class="post chosen" id="2"' in page
    assert '<link rel="canonical" href="http://talk.test/f/tides/1">' in page
    assert 'href="/f/tides/1#1"' in page  # what it answers


async def test_a_stranger_sees_every_way_to_take_part(reader: Reader, rows: Rows) -> None:
    page = await reader.text("/f/tides/1")
    assert "mailto:tides@lists.test?in-reply-to=limpets@example.org" in page
    assert "/sign-in?next=/f/tides/1/reply" in page
    assert "an open forum of Shore watchers" in page


async def test_what_is_not_there_and_what_is_hidden_look_the_same(reader: Reader, rows: Rows) -> None:
    hidden = [
        "/f/board", "/f/board/1", "/f/board/1/raw", "/f/board/1/thread.mbox", "/f/board/feed.atom",
        "/m/plans@example.org", "/f/board/1/reply", "/f/board/new", "/f/board/join",
    ]  # fmt: skip
    reader.sign_in(rows["chidi"])
    for path in hidden:
        await reader.text(path, status=404)
        await reader.text(path.replace("board", "nowhere").replace("plans", "nothing"), status=404)


async def test_members_read_their_forum_and_search_engines_do_not(reader: Reader, rows: Rows) -> None:
    assert "Board" not in await reader.text("/")
    reader.sign_in(rows["ana"])
    assert "Plans." in await reader.text("/f/board/1")
    assert '<meta name="robots" content="noindex">' in await reader.text("/f/board")
    assert "noindex" not in await reader.text("/f/tides")


@pytest.mark.parametrize(
    "path", ["/f/tides/99", "/f/tides/0", "/f/tides/99999999999999999999", "/f/tides?before=x", "/zzz"]
)
async def test_what_is_missing_gets_a_friendly_page(reader: Reader, rows: Rows, path: str) -> None:
    page = await reader.text(path, status=404)
    assert "There is no such page" in page


async def test_a_message_id_leads_to_its_post(reader: Reader, rows: Rows) -> None:
    for name in ("limpets@example.org", "%3Climpets@example.org%3E"):
        answer = await reader.get(f"/m/{name}", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "/f/tides/1#1")


async def test_a_stranger_sees_the_source_without_addresses_its_author_as_it_came(reader: Reader, rows: Rows) -> None:
    source = await reader.text("/f/tides/1/raw")
    assert "From: Ana <hidden@address.invalid>\r\nTo: tides@lists.test" in source
    reader.sign_in(rows["ana"])
    assert "From: Ana <ana@example.org>\r\n" in await reader.text("/f/tides/1/raw")


async def test_a_moderator_sees_exact_bytes_and_another_member_does_not(reader: Reader, rows: Rows) -> None:
    reader.sign_in(rows["bruno"])
    assert "ana@example.org" in await reader.text("/f/tides/1/raw")
    reader.sign_in(rows["chidi"])
    assert "ana@example.org" not in await reader.text("/f/tides/1/raw")


async def test_a_post_born_elsewhere_has_a_source_too(reader: Reader, rows: Rows) -> None:
    answer = await reader.get("/f/tides/2/raw")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "Subject: Limpets" in await answer.text()


async def test_a_thread_is_an_mbox(reader: Reader, rows: Rows) -> None:
    answer = await reader.get("/f/tides/2/thread.mbox")
    text = await answer.text()
    assert answer.headers["Content-Type"] == "application/mbox"
    assert answer.headers["Content-Security-Policy"]
    assert text.count("\nFrom MAILER-DAEMON ") == 2
    assert text.startswith("From MAILER-DAEMON ")
    assert "\r" not in text
    assert "ana@example.org" not in text


async def test_feeds_are_atom_with_the_posts_words(reader: Reader, rows: Rows) -> None:
    for path in ("/f/tides/feed.atom", "/c/shore/feed.atom"):
        answer = await reader.get(path)
        assert answer.content_type == "application/atom+xml"
        feed = ET.fromstring(await answer.text())
        atom = "{http://www.w3.org/2005/Atom}"
        entries = feed.findall(f"{atom}entry")
        assert [entry.findtext(f"{atom}id") for entry in entries] == [
            f"http://talk.test/f/tides/{n}" for n in (3, 2, 1)
        ]
        assert entries[0].findtext(f"{atom}content") == "<p>Thank you!</p>"
        assert entries[0].findtext(f"{atom}author/{atom}name") == "Ana"


async def test_a_strangers_page_is_not_sent_again_until_something_changed(reader: Reader, rows: Rows) -> None:
    first = await reader.get("/f/tides/1")
    again = await reader.get("/f/tides/1", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.text()) == (304, "")
    reader.home.store.write_now(lambda tx: tx.exec_driver_sql("UPDATE forums SET modseq = modseq + 1"))
    assert (await reader.get("/f/tides/1", headers={"If-None-Match": first.headers["ETag"]})).status == 200


async def test_a_members_page_is_kept_nowhere(reader: Reader, rows: Rows) -> None:
    reader.sign_in(rows["ana"])
    answer = await reader.get("/f/tides/1")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "ETag" not in answer.headers


async def test_every_answer_forbids_what_no_page_needs(reader: Reader, rows: Rows) -> None:
    for path in ("/", "/f/tides/1", "/nothing", "/sign-in", "/healthz", "/m/limpets@example.org"):
        answer = await reader.get(path, allow_redirects=False)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    page = await reader.text("/f/tides/1")
    assert "<script" not in page
    assert " style=" not in page


async def test_an_error_of_ours_is_a_page_and_says_nothing_of_the_inside(
    reader: Reader, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.home.bridges["post"].ways = lambda *about: 1 / 0  # type: ignore[attr-defined]
    page = await reader.text("/f/tides/1", status=500)
    assert "Something went wrong here" in page
    assert "ZeroDivision" not in page


async def test_a_database_that_is_away_says_come_back(
    reader: Reader, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*about: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(reader.home.store, "read_now", away)
    answer = await reader.get("/f/tides")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert "come back in a moment" in await answer.text()
    answer = await reader.get("/healthz")
    assert (answer.status, (await answer.json())["degraded"]) == (503, ["database"])


async def test_machines_are_told_how_we_are(reader: Reader, rows: Rows) -> None:
    answer = await reader.get("/healthz")
    assert (answer.status, (await answer.json())["status"]) == (200, "ok")
    reader.home.report("post", ok=False, detail="the relay does not answer")
    answer = await reader.get("/healthz")
    told = await answer.json()
    assert (answer.status, told["status"], told["degraded"]) == (200, "degraded", ["post"])
    assert "junto_requests_total" in await reader.text("/metrics")


async def test_without_a_disk_we_are_not_ready(reader: Reader, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    (reader.home.config.data_dir / ".writable").mkdir()
    answer = await reader.get("/healthz")
    assert (answer.status, (await answer.json())["degraded"]) == (503, ["disk"])


async def test_a_database_or_a_disk_that_takes_nothing_is_told_until_it_does(
    reader: Reader, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wrong() -> tuple[int, list[str]]:
        answer = await reader.get("/healthz")
        return answer.status, (await answer.json())["degraded"]

    def full(*_about: object) -> None:
        raise OSError(28, "No space left on device")

    home = reader.home
    with monkeypatch.context() as broken:
        broken.setattr(attachments, "_write", full)
        broken.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreUnavailable):
            home.blobs.put(b"x" * 100_000)
        assert home.blobs.refused == 100_000
        assert await wrong() == (503, ["disk"])
    assert await wrong() == (200, [])
    assert home.blobs.refused == 0
    monkeypatch.setattr(home.store, "takes_writes", lambda: False)
    assert await wrong() == (503, ["database"])


async def test_no_page_and_no_link_on_it_tells_an_address_in_a_subject(reader: Reader, rows: Rows) -> None:
    words = "bounce of carol@private.test"
    for table in ("threads", "posts"):
        reader.home.store.write_now(
            lambda tx, table=table: tx.exec_driver_sql(f"UPDATE {table} SET subject = '{words}'")
        )
    pages = [await reader.text(path) for path in ("/f/tides", "/f/tides/1", "/f/tides/feed.atom", "/f/tides/1/raw")]
    reader.sign_in(rows["chidi"])
    pages.append(await reader.text("/f/tides/1/reply"))
    assert "about=" in pages[1]
    for page in pages:
        assert "carol" not in page


@pytest.mark.parametrize("path", ["/m/a%00b", "/m/a%0Ab@example.org", "/m/%3Ca%7Fb%3E"])
async def test_no_database_is_asked_for_a_name_with_control_characters(
    reader: Reader, rows: Rows, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[object] = []
    execute = Connection.execute
    monkeypatch.setattr(
        Connection, "execute", lambda tx, what, *how, **more: statements.append(what) or execute(tx, what, *how, **more)
    )
    await reader.text(path, status=404)
    assert not statements


@pytest.mark.parametrize(
    "path", ["/f/tides/1", "/f/tides/feed.atom", "/f/tides/1/raw", "/f/tides/1/thread.mbox", "/f/tides/1/reply"]
)
async def test_long_posts_are_made_ready_beside_the_loop(
    reader: Reader, rows: Rows, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.sign_in(rows["chidi"])
    threads: set[int] = set()
    text = Mask.text
    monkeypatch.setattr(Mask, "text", lambda mask, words: threads.add(threading.get_ident()) or text(mask, words))
    await reader.text(path)
    assert threads
    assert threading.get_ident() not in threads
