"""The banner that tells a member that their mail stopped: accessible, narrow enough, and gone after its button."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe

from server.people import identity, subscriptions
from tests.archive.sample import NOW
from tests.browser.conftest import Site
from tests.peers.chromium import Chromium


@pytest.mark.parametrize("look", [{}, {"phone": True}, {"dark": True}], ids=["wide", "phone", "dark"])
async def test_the_banner_is_read_pressed_and_gone(site: Site, chromium: Chromium, look: dict[str, bool]) -> None:
    def stop(tx: object) -> None:
        at = identity.ensure(tx, "post", "ana@x.test", "Ana", NOW)  # type: ignore[arg-type]
        mailbox = subscriptions.subscribe(tx, site.rows["tides"], at.address_id, site.rows["ana"], NOW)  # type: ignore[arg-type]
        subscriptions.stop(tx, mailbox, "complaint", NOW)  # type: ignore[arg-type]

    await site.home.store.write(stop)
    page = await chromium.page(**look)
    await site.sign_in(page, "ana")
    await page.goto(f"{site.url}/f/tides")
    button = page.get_by_role("button", name="Send it again")
    assert await button.count() == 1
    assert (await Axe().run(page)).response["violations"] == []
    wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide
    await button.click()
    await page.wait_for_url(f"{site.url}/f/tides")
    assert await button.count() == 0
