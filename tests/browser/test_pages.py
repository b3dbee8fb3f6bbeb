"""Pages as people meet them: accessible, by keyboard, on a phone, in the dark, without script."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe

from tests.browser.conftest import Site
from tests.peers.chromium import Chromium

PAGES = {
    "home": "/",
    "community": "/c/shore",
    "forum": "/f/tides",
    "thread": "/f/tides/1",
    "post": "/f/tides/3",
    "write": "/f/tides/new",
    "reply": "/f/tides/2/reply",
    "join": "/f/tides/join",
    "sign-in": "/sign-in",
    "nothing": "/nothing",
}
LOOKS = {"wide": {}, "phone": {"phone": True}, "dark": {"dark": True}}


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_is_accessible_and_fits(site: Site, chromium: Chromium, look: str) -> None:
    """No axe violation, signed in or not; no page scrolls sideways at 360 px."""
    found = []
    for person in (None, "chidi"):
        page = await chromium.page(**LOOKS[look])
        if look == "phone":
            await page.set_viewport_size({"width": 360, "height": 740})
        if person:
            await site.sign_in(page, person)
        for name, path in PAGES.items():
            await page.goto(site.url + path)
            for violation in (await Axe().run(page)).response["violations"]:
                nodes = [node["html"][:120] for node in violation["nodes"][:2]]
                found.append(f"{name} {look} {person}: {violation['id']} {nodes}")
            over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                found.append(f"{name} {look} {person}: {over} px too wide")
            await chromium.screenshot(page, f"{name}-{look}{'-member' if person else ''}")
        await page.context.close()
    assert not found, "\n".join(found)


async def test_pages_load_nothing_that_their_own_policy_refuses(site: Site, chromium: Chromium) -> None:
    page = await chromium.page()
    await site.sign_in(page, "ana")
    for path in ("/", "/f/tides", "/f/tides/1", "/f/tides/new"):
        await page.goto(site.url + path)
    assert chromium.complaints == []


async def test_a_link_to_a_post_brings_one_to_it(site: Site, chromium: Chromium) -> None:
    page = await chromium.page(script=False)
    await page.set_viewport_size({"width": 600, "height": 400})
    await page.goto(site.url + "/f/tides/4")
    await page.locator('[id="4"] .author:focus').wait_for()
    box = await page.locator('[id="4"]').bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 300


async def test_reading_by_keyboard(site: Site, chromium: Chromium) -> None:
    """Tab reaches the skip link first; a folded quote opens with Enter."""
    page = await chromium.page()
    await page.goto(site.url + "/f/tides/1")
    await page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert await skip.evaluate("e => e === document.activeElement")
    box = await skip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    await page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    quote = page.locator("details.quoted")
    await quote.locator("summary").focus()
    await page.keyboard.press("Enter")
    assert await quote.get_attribute("open") is not None


async def test_a_reply_without_script_and_without_a_mouse(site: Site, chromium: Chromium) -> None:
    """From the mailed link to the post in the thread: sign in, preview, post, found by everybody."""
    page = await chromium.page(script=False)
    await page.goto(await site.link("chidi"))
    await page.locator("main button:focus").wait_for()  # the button has the focus by itself
    await page.keyboard.press("Enter")
    await page.wait_for_url(site.url + "/")
    await page.goto(site.url + "/f/tides/1")
    await page.get_by_label("Your words").fill("I saw *nine* of them.")
    await page.get_by_role("button", name="Preview").press("Enter")
    assert await page.locator(".preview em").inner_text() == "nine"
    await page.get_by_role("button", name="Post", exact=True).press("Enter")
    await page.wait_for_url(site.url + "/f/tides/6#6")
    post = page.locator('[id="6"]')
    assert await post.locator(".author").inner_text() == "Chidi"
    assert await post.locator(".badge").inner_text() == "Web"
    assert await post.locator(".answers a").inner_text() == "#1 Ana"
    assert await post.locator(".body em").inner_text() == "nine"
    await page.goto(site.url + "/f/tides")
    assert await page.get_by_text("You are a member.").count() == 1


async def test_sending_the_same_form_twice_makes_one_post(site: Site, chromium: Chromium) -> None:
    page = await chromium.page(script=False)
    await site.sign_in(page, "ana")
    await page.goto(site.url + "/f/tides/new")
    fields = {name: await page.locator(f"[name={name}]").first.input_value() for name in ("csrf", "form")}
    fields |= {"subject": "Whelks", "text": "They eat limpets."}
    for _ in range(2):
        answer = await page.request.post(site.url + "/f/tides/new", form=fields)
        assert answer.url.startswith(site.url + "/f/tides/6")
    await page.goto(site.url + "/f/tides")
    assert await page.get_by_role("link", name="Whelks").count() == 1
