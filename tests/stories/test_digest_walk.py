"""A digest by real mail: it comes at the hour, its reply address leads to its post, and an answer to the whole is asked about."""

from __future__ import annotations

import re

import sqlalchemy as sa

from server.people import subscriptions
from server.store.schema import posts
from server.store.schema import subscriptions as subscribed
from tests.peers.postfix import Postfix
from tests.stories.town import Town, arrived, letter, read, send


async def morning(shore: Town) -> None:
    """It is the hour of everybody's digest."""

    def work(tx: sa.Connection) -> None:
        for row in tx.execute(sa.select(subscribed).where(subscribed.c.mode == "daily")).all():
            subscriptions.digested(tx, row.id, row.digest_seq, shore.home.now())

    await shore.home.store.write(work)


async def test_a_reply_to_an_item_goes_to_its_post(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno", mode="daily")
    for number, topic in enumerate(["Limpets", "Nets"], 1):
        raw = letter(f"Ana <{ana}>", pools, topic, f"About {topic.lower()}.\n", f"<{number}@ana.test>")
        await send(postfix, raw, ana, pools)

        async def there(count: int = number) -> bool:
            return len(await shore.rows(sa.select(posts).where(posts.c.seq.is_not(None)))) == count

        await shore.until(there, topic)
    await morning(shore)

    digest = read((await arrived(postfix, bruno, 1))[0])
    assert re.fullmatch(r"Tide pools digest, \d+ \w+ \d+: 2 posts", str(digest["Subject"]))
    assert "/leave/" in str(digest["List-Unsubscribe"])
    text = digest.get_body(("plain",))
    assert text is not None
    words = text.get_content()
    assert words.index("About limpets.") < words.index("About nets.")
    items = re.findall(r"pools-item\+[a-z2-7]{26}@\S+", words)
    assert len(items) == 2

    answer = letter(
        f"Bruno <{bruno}>", items[1], f"Re: {digest['Subject']}", "I have two nets.\n", "<a@bruno.test>",
        In_Reply_To=str(digest["Message-ID"]),
    )  # fmt: skip
    await send(postfix, answer, bruno, items[1])
    got = read((await arrived(postfix, ana, 1))[0])
    assert "two nets" in got.get_content()
    nets, answered = await shore.rows(sa.select(posts).where(posts.c.seq >= 2).order_by(posts.c.seq))
    assert (answered.parent_id, answered.thread_id, answered.subject) == (nets.id, nets.thread_id, "Re: Nets")
    assert "two nets" in await shore.page("/f/pools/2")
    assert "two nets" not in await shore.page("/f/pools/1")


async def test_a_reply_to_the_whole_is_asked_about(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno", mode="daily")
    await send(postfix, letter(f"Ana <{ana}>", pools, "Nets", "Who has one?\n", "<n@ana.test>"), ana, pools)
    await shore.until(lambda: shore.rows(sa.select(posts)), "the post")
    await morning(shore)
    digest = read((await arrived(postfix, bruno, 1))[0])

    whole = re.search(r"<(\S+)>", str(digest["Reply-To"]))
    assert whole is not None
    answer = letter(f"Bruno <{bruno}>", whole[1], f"Re: {digest['Subject']}", "I do.\n", "<w@bruno.test>")
    await send(postfix, answer, bruno, whole[1])
    asked = read((await arrived(postfix, bruno, 2))[1])
    assert asked["Auto-Submitted"] == "auto-replied"
    assert asked["In-Reply-To"] == "<w@bruno.test>"
    assert "> I do." in asked.get_content()
    items = re.findall(r"pools-item\+[a-z2-7]{26}@\S+", asked.get_content())
    assert len(items) == 1
    assert len(await shore.rows(sa.select(posts))) == 1
    await send(postfix, letter(f"Bruno <{bruno}>", items[0], "Re: Nets", "I do.\n"), bruno, items[0])
    await arrived(postfix, ana, 1)
    assert "I do." in await shore.page("/f/pools/1")
