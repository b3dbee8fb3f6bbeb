"""The page of a held post: looking does nothing, one button decides, and it shows nothing that could act."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import Attachment, Author, NewPost, Proof, Ref
from server.delivery import letters
from server.desk import accept, forums
from server.desk.prepare import prepare
from server.people import handles
from server.store.schema import letters as letters_table
from server.store.schema import posts
from tests.web.conftest import NOW, Reader

WORDS = '<p>Hello <b>you</b>, write to <a href="mailto:eve@evil.test">eve@evil.test</a><img src="http://evil.test/x.png"></p>'


def hold(reader: Reader, text: str, by: str = "eve", forum: str = "tides") -> None:
    new = NewPost(
        forum,
        Author("post", f"{by}@x.test", by.title(), Proof.NONE),
        (Ref("message-id", f"<{text}@x.test>"),),
        subject=f"About {text}",
        html=WORDS + f"<p>{text}</p><script>alert(1)</script>",
        attachments=(Attachment("tide table.pdf", "application/pdf", b"%PDF"),),
    )
    home = reader.home
    home.store.write_now(accept.new_post, home.desk, prepare(new, home.blobs))


def links(reader: Reader, template: str, role: str = "moderator") -> list[str]:
    """A link as each notice of that kind has it."""

    def work(tx: sa.Connection) -> list[str]:
        found = []
        for row in tx.execute(sa.select(letters_table).where(letters_table.c.template == template)):
            data = json.loads(row.data) | {"template": row.template}
            assert data["role"] == role
            found.append("/mod/" + handles.grant(tx, "mod", row.forum_id, data, NOW, 60_000))
        return found

    return reader.home.store.write_now(work)


@pytest.fixture
def held(reader: Reader, rows: dict[str, int]) -> Reader:
    """A forum that holds strangers, with a moderator who has a mailbox."""

    def work(tx: sa.Connection) -> None:
        forums.set_options(tx, "tides", {"strangers": "hold"}, NOW)
        tx.execute(
            sa.text(
                "INSERT INTO addresses (channel, address, person_id, created_at) VALUES ('post', 'b@x.test', :p, 0)"
            ),
            {"p": rows["bruno"]},
        )

    reader.home.store.write_now(work)
    return reader


def state(reader: Reader) -> list[Any]:
    return reader.home.store.read_now(
        lambda tx: list(tx.scalars(sa.select(posts.c.state).where(posts.c.subject != "").order_by(posts.c.id)))
    )


async def test_the_page_shows_the_post_safely_and_does_nothing(held: Reader) -> None:
    hold(held, "limpets")
    (link,) = links(held, "held")
    page = await held.text(link)
    assert "About limpets" in page
    assert "Hello <b>you</b>" in page
    assert "tide table.pdf" in page
    assert "not a member" in page
    assert "eve@x.test" in page  # who decides on them needs to know whom
    for never in ("<script", "<img", "eve@evil.test", "/blob/"):
        assert never not in page
    assert 'name="robots" content="noindex"' in page
    assert await held.text(link) == page
    assert state(held)[-1] == "held"


async def test_a_button_publishes_and_the_next_reader_is_told(held: Reader) -> None:
    hold(held, "limpets")
    (link,) = links(held, "held")
    page = await held.text(link)
    action = page.split('form method="post" action="/mod/')[1].split('"')[0]
    done = await (await held.submit(f"/mod/{action}", 200, verb="approve", csrf="")).text()
    assert "is published" in done
    assert state(held)[-1] == "published"
    again = await held.text(link)
    assert "was already published by you" in again
    assert 'href="http://talk.test/f/tides/' in again


async def test_a_reason_goes_to_the_author(held: Reader) -> None:
    hold(held, "limpets")
    (link,) = links(held, "held")
    name = (await held.text(link)).split(f'action="{link}/')[1].split('"')[0]
    await held.submit(f"{link}/{name}", 200, verb="reject", reason="Off topic.", csrf="")
    told = held.home.store.read_now(
        lambda tx: tx.scalar(sa.select(letters_table.c.data).where(letters_table.c.template == "post-rejected"))
    )
    assert json.loads(told)["reason"] == "Off topic."


async def test_of_several_each_has_its_page(held: Reader) -> None:
    held.home.store.write_now(_reported_lately)
    hold(held, "limpets")
    hold(held, "whelks", by="fay")
    held.home.store.write_now(_forget_reports)
    hold(held, "winkles", by="gil")
    (link,) = links(held, "held")
    page = await held.text(link)
    assert "3 messages wait" in page
    first = page.split(f'href="{link}/')[1].split('"')[0]
    assert "About limpets" in await held.text(f"{link}/{first}")
    done = await (await held.submit(f"{link}/{first}", 200, verb="approve", csrf="")).text()
    assert "2 more wait" in done


def _reported_lately(tx: sa.Connection) -> None:
    forum = forums.get(tx, "tides")
    letters.notice(tx, 1, "held", forum.id, {}, NOW)


def _forget_reports(tx: sa.Connection) -> None:
    tx.execute(sa.text("DELETE FROM deliveries"))
    tx.execute(sa.text("DELETE FROM letters"))


async def test_an_author_can_only_take_it_back(held: Reader) -> None:
    held.home.store.write_now(
        lambda tx: forums.set_options(tx, "tides", {"first_post": "hold", "strangers": "confirm"})
    )
    from server.people import identity, membership

    def join(tx: sa.Connection) -> None:
        known = identity.ensure(tx, "post", "eve@x.test", "Eve", NOW)
        membership.join(tx, forums.get(tx, "tides").id, known.person_id, known.address_id, NOW)

    held.home.store.write_now(join)
    hold(held, "limpets")
    (link,) = links(held, "held-first", "author")
    page = await held.text(link)
    assert "Take it back" in page
    assert "approve" not in page
    name = page.split(f'action="{link}/')[1].split('"')[0]
    refused = await (await held.submit(f"{link}/{name}", 200, verb="approve", csrf="")).text()
    assert "only moderators decide" in refused
    await held.submit(f"{link}/{name}", 200, verb="cancel", csrf="")
    assert "held" not in state(held)


async def test_what_is_no_token_or_no_decision_is_refused(held: Reader) -> None:
    hold(held, "limpets")
    (link,) = links(held, "held")
    name = (await held.text(link)).split(f'action="{link}/')[1].split('"')[0]
    await held.text("/mod/" + "a" * 26, 404)
    await held.text(f"{link}/H-zzzz", 404)
    await held.submit(f"{link}/{name}", 403, verb="explode", csrf="")
    answer = await held.post(
        f"{link}/{name}", data={"verb": "approve", "csrf": ""}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status == 403
    assert state(held)[-1] == "held"
