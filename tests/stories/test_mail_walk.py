"""Mail to mail and page: what Ana writes is in Bruno's mailbox, in its thread, and on the page, and nothing is there twice."""

from __future__ import annotations

import asyncio
import smtplib

import pytest
import sqlalchemy as sa

from server.clock import DAY
from server.people import identity, subscriptions
from server.store.schema import addresses, bounces, deliveries, memberships, posts
from server.store.schema import subscriptions as subscribed
from tests.peers.postfix import Postfix
from tests.stories.town import Town, arrived, letter, read, send


async def submit(shore: Town, mails: list[tuple[str, bytes]], to: str) -> None:
    """Straight to our own door, one after another on one connection."""

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", shore.ports["smtp"], timeout=30) as client:
            for sender, raw in mails:
                client.sendmail(sender, [to], raw)

    await asyncio.to_thread(talk)


async def test_a_post_and_its_answer(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")

    asked = letter(f"Ana <{ana}>", pools, "What is this?", "A red blob on the rock.\n", "<one@ana.test>")
    await send(postfix, asked, ana, pools)
    box = postfix.mailbox(bruno)
    raw = (await asyncio.to_thread(box.wait_for, 1))[0]
    got = read(raw)

    assert got["From"] == f"Ana <{ana}>"
    assert got["Message-ID"] == "<one@ana.test>"
    assert f"<pools.{shore.home.config.bridges['email'].domain}>" in got["List-Id"]
    assert got["X-Junto-Channel"] == "email"
    assert got["Archived-At"] == f"<{shore.url}/f/pools/1>"
    assert got["Return-Path"].startswith("<pools-bounces+")
    assert b"A red blob on the rock." in raw
    page = await shore.page("/f/pools/1")
    assert "A red blob on the rock." in page
    assert ana not in page

    answer = letter(
        f"Bruno <{bruno}>", pools, "Re: What is this?", "A beadlet anemone.\n", "<two@bruno.test>",
        In_Reply_To="<one@ana.test>", References="<one@ana.test>",
    )  # fmt: skip
    await send(postfix, answer, bruno, pools)
    back = read((await arrived(postfix, ana, 1))[0])
    assert back["In-Reply-To"] == "<one@ana.test>"
    thread = await shore.page("/f/pools/2")
    assert "A red blob on the rock." in thread
    assert "A beadlet anemone." in thread
    await shore.settled()
    assert len(box.messages()) == 1  # Bruno's own answer does not come back to him


async def test_an_answer_that_comes_before_the_question(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")

    early = letter(f"Bruno <{bruno}>", pools, "Re: When?", "At noon.\n", "<b@x.test>", In_Reply_To="<a@x.test>")
    await send(postfix, early, bruno, pools)
    await shore.until(
        lambda: shore.rows(sa.select(posts)), "the answer"
    )  # Postfix may deliver two mails in either order
    await send(postfix, letter(f"Ana <{ana}>", pools, "When?", "When is low tide?\n", "<a@x.test>"), ana, pools)

    async def both() -> bool:
        return len(await shore.rows(sa.select(posts).where(posts.c.state == "published"))) == 2

    await shore.until(both, "both posts")
    first, second = await shore.rows(sa.select(posts).order_by(posts.c.seq))
    assert first.parent_id == second.id
    assert first.thread_id == second.thread_id


async def test_the_same_mail_again_is_a_duplicate(shore: Town, postfix: Postfix) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    raw = letter(f"Ana <{ana}>", pools, "Once", "Only once.\n", "<once@x.test>")
    await submit(shore, [(ana, raw), (ana, raw.replace(b"Only once.", b"Only  once."))], pools)
    assert len(await shore.rows(sa.select(posts))) == 1


async def test_another_authors_mail_with_the_same_id_is_not_suppressed(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    pools = await shore.forum("pools")
    for name in ("ana", "mallory"):
        await shore.member("pools", f"{name}@{members}", name.title())
    both = [f"{name}@{members}" for name in ("mallory", "ana")]
    await submit(shore, [(who, letter(who, pools, "Mine", f"By {who[:3]}.\n", "<same@x.test>")) for who in both], pools)
    assert [row.seq for row in await shore.rows(sa.select(posts).order_by(posts.c.seq))] == [1, 2]


async def test_unknown_addresses_and_strangers(shore: Town, postfix: Postfix) -> None:
    members, domain = postfix.member_domain(), shore.home.config.bridges["email"].domain
    eve = f"eve@{members}"
    nobody = f"nobody@{domain}"

    async def refused_for_good() -> bytes | None:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await send(postfix, letter(eve, nobody, "Hi", "Hi\n"), eve, nobody)
        code, words = refused.value.recipients[nobody]
        return words if code >= 500 else None  # 450: Postfix is still asking us

    assert b"5.1.1" in await shore.until(refused_for_good, "a final answer")

    closed = await shore.forum("crew", visibility="members", join_policy="invite")
    with pytest.raises(smtplib.SMTPDataError) as told:
        await submit(shore, [(eve, letter(eve, closed, "Let me in", "Please\n"))], closed)
    assert told.value.smtp_code == 550
    assert b"5.7.1" in told.value.smtp_error
    await shore.page("/f/crew", 404)


async def test_a_strangers_mail_is_held_and_one_answer_joins_and_publishes(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, eve = f"ana@{members}", f"eve@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await send(postfix, letter(f"Eve <{eve}>", pools, "New here", "May I ask?\n", "<eve@x.test>"), eve, pools)
    asked = read((await arrived(postfix, eve, 1))[0])
    assert asked["Auto-Submitted"] == "auto-replied"
    assert asked["In-Reply-To"] == "<eve@x.test>"
    await shore.page("/f/pools/1", 404)

    reply_to = str(asked["Reply-To"] or asked["From"])
    address = reply_to.rpartition("<")[2].rstrip(">")
    assert address.startswith("pools-confirm+")
    yes = letter(f"Eve <{eve}>", address, f"Re: {asked['Subject']}", "\n", In_Reply_To=str(asked["Message-ID"]))
    await send(postfix, yes, eve, address)

    await arrived(postfix, ana, 1)
    assert "May I ask?" in await shore.page("/f/pools/1")
    welcome = [read(raw) for raw in await arrived(postfix, eve, 2)][-1]
    assert "Welcome" in welcome["Subject"]


async def test_leaving_by_the_address_in_the_mail_and_by_one_click(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    pools = await shore.forum("pools")
    for name in ("ana", "bruno", "chidi"):
        await shore.member("pools", f"{name}@{members}", name.title())
    ana = f"ana@{members}"
    await send(postfix, letter(ana, pools, "Hello", "Hello\n", "<h@x.test>"), ana, pools)
    links = {}
    for name in ("bruno", "chidi"):
        got = read((await arrived(postfix, f"{name}@{members}", 1))[0])
        assert got["List-Unsubscribe-Post"] is None  # the town's pages are not at https
        links[name] = [part.strip(" <>") for part in str(got["List-Unsubscribe"]).split(",")]

    to = next(link for link in links["bruno"] if link.startswith("mailto:")).removeprefix("mailto:").partition("?")[0]
    bruno = f"bruno@{members}"
    await send(postfix, letter(bruno, to, "leave", "\n"), bruno, to)

    import aiohttp

    click = next(link for link in links["chidi"] if link.startswith("http"))
    async with aiohttp.ClientSession() as session:
        async with session.get(click) as shown:
            assert shown.status == 200  # a link scanner looks, and nothing happens
        active = sa.select(memberships).where(memberships.c.state == "active")
        await shore.until(lambda: _count_is(shore, active, 2), "Bruno gone")
        async with session.post(click, data={"List-Unsubscribe": "One-Click"}, allow_redirects=False) as done:
            assert done.status == 200
    assert len(await shore.rows(active)) == 1


async def _count_is(shore: Town, query: sa.Select[tuple[int]], count: int) -> bool:
    return len(await shore.rows(query)) == count


async def test_what_comes_back_stops_the_mail_after_a_probe_and_is_told_elsewhere(
    shore: Town, postfix: Postfix
) -> None:
    members = postfix.member_domain()
    ana, gone, second = f"ana@{members}", f"gone@{members}", f"second@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    person = await shore.member("pools", gone, "Gone")
    await shore.home.store.write(also_theirs, person, second)
    postfix.bounce(gone)  # taken, and refused further on: reports come back all the way

    await send(postfix, letter(ana, pools, "Hello", "Hello\n", "<h@x.test>"), ana, pools)
    (row,) = await shore.until(lambda: shore.rows(sa.select(bounces)), "the report", 60)
    assert (row.permanent, row.status) == (True, "5.1.1")
    assert "this mailbox is gone" in row.diagnostic
    (went,) = await shore.rows(sa.select(deliveries.c.subscription_id).where(deliveries.c.item_kind == "post"))
    assert row.subscription_id == went.subscription_id

    days = {"bounce_score": 2_400, "bounced_at": shore.home.now() - DAY}  # as if it had come back on days before
    await shore.home.store.write(lambda tx: tx.execute(sa.delete(bounces)))
    await shore.home.store.write(subscriptions.change, row.subscription_id, days)
    await send(postfix, letter(ana, pools, "Again", "Hello\n", "<h2@x.test>"), ana, pools)
    stopped = sa.select(subscribed.c.stop_reason).where(subscribed.c.state == "stopped")
    (why,) = await shore.until(lambda: shore.rows(stopped), "the probe to come back", 60)
    assert why.stop_reason == "bounces"
    told = read((await arrived(postfix, second, 1))[0])
    assert told["Subject"] == "Mail of Tide pools has stopped"
    assert gone in told.get_content()
    assert "this mailbox is gone" in told.get_content()
    assert {one.state for one in await shore.rows(sa.select(memberships.c.state))} == {"active"}


async def test_what_the_relay_refuses_at_once_counts_as_what_comes_back(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, nobody, strict = f"ana@{members}", f"nobody@{members}", f"strict@{members}"
    pools = await shore.forum("pools")
    for address in (ana, nobody, strict):
        await shore.member("pools", address, address.partition("@")[0])
    postfix.refuse(nobody)
    postfix.refuse(strict, "550 5.7.1 your server is on a blocklist")
    await send(postfix, letter(ana, pools, "Hello", "Hello\n", "<h@x.test>"), ana, pools)
    await shore.until(lambda: shore.rows(sa.select(deliveries).where(deliveries.c.state == "failed")), "the refusal")
    await shore.settled()
    (row,) = await shore.rows(
        sa.select(bounces, addresses.c.address)
        .join(subscribed, subscribed.c.id == bounces.c.subscription_id)
        .join(addresses, addresses.c.id == subscribed.c.address_id)
    )
    assert (row.address, row.permanent, row.status) == (nobody, True, "5.1.1")


def also_theirs(tx: sa.Connection, person: int, address: str) -> None:
    """The person proved another address too."""
    known = identity.ensure(tx, "email", address, "", 1, verified=True)
    tx.execute(sa.update(addresses).where(addresses.c.id == known.address_id).values(person_id=person))


async def test_postmaster_is_always_answered_and_help_comes_once(shore: Town, postfix: Postfix) -> None:
    members, domain = postfix.member_domain(), shore.home.config.bridges["email"].domain
    eve = f"eve@{members}"
    await shore.forum("pools")
    for to in (f"postmaster@{domain}", f"abuse@{domain}", f"pools-request@{domain}", f"pools-request@{domain}"):
        assert not await send(postfix, letter(eve, to, "help", "help\n"), eve, to)
    got = [read(raw) for raw in await arrived(postfix, eve, 1)]
    await shore.settled()
    assert len(got) == 1
    assert f"pools-join@{domain}" in got[0].get_content()
