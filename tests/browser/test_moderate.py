"""The page of a held post, in a real browser without script: wide, and on a narrow phone."""

from __future__ import annotations

import json

import sqlalchemy as sa
from axe_playwright_python.async_playwright import Axe

from server.bridge import Attachment, Author, NewPost, Proof, Ref
from server.desk import accept, forums
from server.desk.prepare import prepare
from server.people import handles, identity, membership
from server.store.schema import letters, posts
from tests.archive.sample import NOW
from tests.browser.conftest import Site
from tests.peers.chromium import Chromium, Page

WORDS = """Hello everybody,

I found this on the north side of the pier at low water, a hand's breadth below the line of the barnacles. It is red, soft, and closes
when it is touched. Does it bite?

> An earlier answer said that nothing red lives there.

https://example.org/a-very-long-address-that-nobody-can-break-anywhere/because-it-has-no-blank-in-it/at-all-and-goes-on.html
"""


async def reported(site: Site, names: list[str]) -> str:
    """Strangers of these names wrote; the link of the moderator's mail about all of that."""

    def work(tx: sa.Connection) -> str:
        forums.set_options(tx, "tides", {"strangers": "hold"}, NOW)
        forum = forums.get(tx, "tides")
        known = identity.ensure(tx, "post", "mod@x.test", "Mona", NOW)
        membership.join(tx, forum.id, known.person_id, known.address_id, NOW, role="moderator")
        for name in names:
            new = NewPost(
                "tides",
                Author("post", f"{name.lower()}@x.test", name, Proof.NONE),
                (Ref("message-id", f"<{name}@x.test>"),),
                subject=f"What does {name} see on the north side of the pier?",
                text=WORDS,
                attachments=(Attachment("north-side-of-the-pier.jpg", "image/jpeg", b"\xff\xd8\xff"),),
            )
            accept.new_post(tx, site.home.desk, prepare(new, site.home.blobs))
        row = tx.execute(sa.select(letters).where(letters.c.template == "held").order_by(letters.c.id)).first()
        assert row is not None
        waiting = tx.execute(sa.text("SELECT post_id, name FROM held ORDER BY post_id"))
        data = json.loads(row.data) | {"posts": [list(each) for each in waiting]}
        return site.url + "/mod/" + handles.grant(tx, "mod", forum.id, data, NOW, 60_000)

    return await site.home.store.write(work)


async def fits(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


async def test_one_post_and_its_buttons(site: Site, chromium: Chromium) -> None:
    link = await reported(site, ["Eve"])
    await chromium.looks(link, "moderate")
    seen = await chromium.page()
    await seen.goto(link)
    assert (await Axe().run(seen)).response["violations"] == []
    page = await chromium.page(script=False, phone=True)
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(link)
    await chromium.screenshot(page, "moderate-360")
    assert await fits(page)
    await page.get_by_role("button", name="Publish").click()
    assert await page.get_by_role("heading", name="Done").count() == 1
    await chromium.screenshot(page, "moderate-done")
    published = await site.home.store.read(
        lambda tx: tx.scalar(sa.select(posts.c.state).order_by(posts.c.id.desc()).limit(1))
    )
    assert published == "published"
    assert chromium.complaints == []


async def test_several_posts_are_a_list(site: Site, chromium: Chromium) -> None:
    link = await reported(site, ["Eve", "Fay", "Gil"])
    page = await chromium.page(script=False, phone=True)
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(link)
    await chromium.screenshot(page, "moderate-several")
    assert await fits(page)
    await page.get_by_role("link", name="What does Fay see").click()
    await page.get_by_label("Why").fill("Asked before: see the archive.")
    await page.get_by_role("button", name="Reject", exact=True).click()
    assert await page.get_by_text("its author is told why").count() == 1
    await page.get_by_role("link", name="2 more wait").click()
    assert await page.get_by_role("link", name="What does Fay see").count() == 0


async def test_an_author_sees_one_button(site: Site, chromium: Chromium) -> None:
    """What a mail to the author of a first post links to."""

    def work(tx: sa.Connection) -> str:
        forums.set_options(tx, "tides", {"first_post": "hold"}, NOW)
        forum = forums.get(tx, "tides")
        known = identity.ensure(tx, "post", "hal@x.test", "Hal", NOW)
        membership.join(tx, forum.id, known.person_id, known.address_id, NOW)
        author = Author("post", "hal@x.test", "Hal", Proof.AUTHENTICATED)
        new = NewPost("tides", author, (Ref("message-id", "<hal@x.test>"),), subject="My first words", text="Hello!")
        accept.new_post(tx, site.home.desk, prepare(new, site.home.blobs))
        row = tx.execute(sa.select(letters).where(letters.c.template == "held-first")).one()
        data = json.loads(row.data)
        return site.url + "/mod/" + handles.grant(tx, "mod", forum.id, data, NOW, 60_000)

    link = await site.home.store.write(work)
    page = await chromium.page(script=False, phone=True)
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(link)
    await chromium.screenshot(page, "moderate-author")
    assert await fits(page)
    assert await page.locator("main button").count() == 1
    await page.get_by_role("button", name="Take it back").click()
    assert await page.get_by_text("nothing of it is kept").count() == 1
