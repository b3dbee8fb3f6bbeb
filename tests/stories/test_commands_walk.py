"""By mail alone, through a real Postfix: Bruno asks, is asked back, mutes a thread by answering a mail of it, and leaves by habit."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import sqlalchemy as sa

from server.store.schema import memberships, posts, subscriptions, thread_marks
from tests.peers.postfix import Mailbox, Postfix
from tests.stories.town import Town, letter, read, send


async def nth(box: Mailbox, count: int) -> EmailMessage:
    return read((await asyncio.to_thread(box.wait_for, count))[count - 1])


async def answer(postfix: Postfix, by: str, asked: EmailMessage, words: str, to: str | None = None) -> None:
    """As a mail program answers: to Reply-To, below nothing, with the words quoted."""
    where = to or str(asked["Reply-To"] or asked["From"]).rpartition("<")[2].rstrip(">")
    text = f"{words}\n\nOn Monday, somebody wrote:\n> leave\n> {asked['Subject']}\n"
    raw = letter(by, where, f"Re: {asked['Subject']}", text, In_Reply_To=str(asked["Message-ID"]))
    await send(postfix, raw, by, where)


async def test_everything_by_mail(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    request = pools.replace("@", "-request@")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")
    box = postfix.mailbox(bruno)

    asked = letter(bruno, request, "set own posts on", "timezone Europe/Lisbon\n-- \nBruno\n", "<ask@x.test>")
    await send(postfix, asked, bruno, request)
    question = await nth(box, 1)
    assert question["Auto-Submitted"]
    assert question["In-Reply-To"] == "<ask@x.test>"
    assert "own-posts yes" in question.get_content()
    assert "timezone Europe/Lisbon" in question.get_content()
    await answer(postfix, bruno, question, "")
    done = await nth(box, 2)
    assert "Europe/Lisbon, from now on" in done.get_content()
    assert (await shore.rows(sa.select(subscriptions).where(subscriptions.c.own_posts)))[0].mode == "each"

    await send(postfix, letter(ana, pools, "Limpets", "How?\n", "<l@x.test>"), ana, pools)
    post = await nth(box, 3)
    assert f"mailto:{request}?subject=mute%201" in post["X-Junto-Mute"]
    await answer(postfix, bruno, post, "mute", to=request)
    await answer(postfix, bruno, await nth(box, 4), "")
    assert "“Limpets” is muted" in (await nth(box, 5)).get_content()
    assert len(await shore.rows(sa.select(thread_marks))) == 1
    more = letter(ana, pools, "Re: Limpets", "Anybody?\n", "<m@x.test>", In_Reply_To="<l@x.test>")
    await send(postfix, more, ana, pools)
    await shore.until(lambda: _posts(shore, 2), "the second post")
    await shore.settled()

    await answer(postfix, bruno, post, "Unsubscribe", to=pools)
    last = await nth(box, 6)
    assert "leave" in last["Subject"]
    assert len(await shore.rows(sa.select(posts))) == 2
    await answer(postfix, bruno, last, "")
    await nth(box, 7)
    left = sa.select(memberships).where(memberships.c.state == "left")
    assert len(await shore.rows(left)) == 1


async def _posts(shore: Town, count: int) -> bool:
    return len(await shore.rows(sa.select(posts))) == count
