import os
from pathlib import Path

import pytest
from playwright.async_api import Error

from tests.peers.chromium import Chromium, Page

HELLO = """<!doctype html><title>Tides</title><meta name=viewport content="width=device-width">
<style>body { background: white } @media (prefers-color-scheme: dark) { body { background: rgb(0, 0, 0) } }</style>
<h1>Low tide</h1><p id=width></p><script>document.getElementById('width').textContent = innerWidth</script>"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


async def test_a_page_is_rendered_wide_on_a_phone_and_in_the_dark(chromium: Chromium, tmp_path: Path) -> None:
    site = tmp_path / "index.html"
    site.write_text(HELLO)
    wide, phone, dark = await chromium.page(), await chromium.page(phone=True), await chromium.page(dark=True)
    for page in (wide, phone, dark):
        await page.goto(site.as_uri())
        assert await page.title() == "Tides"
    assert await wide.inner_text("#width") == "1280"
    assert await phone.inner_text("#width") == "390"
    assert await wide.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    assert await dark.evaluate(BACKGROUND) == "rgb(0, 0, 0)"
    assert chromium.complaints == []


async def test_pictures_are_taken(chromium: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUNTO_SHOTS", str(tmp_path))
    (tmp_path / "index.html").write_text(HELLO)
    shots = await chromium.looks((tmp_path / "index.html").as_uri(), "tides")
    assert [shot.name for shot in shots] == ["tides-wide.png", "tides-phone.png", "tides-dark.png"]
    assert all(shot.read_bytes().startswith(b"\x89PNG") for shot in shots)


async def test_without_script_a_page_is_still_a_page(chromium: Chromium) -> None:
    page = await chromium.page(script=False)
    await page.set_content(HELLO)
    assert await page.inner_text("h1") == "Low tide"
    assert await page.inner_text("#width") == ""


async def test_what_a_script_complains_of_is_gathered(chromium: Chromium, page: Page) -> None:
    await page.set_content("<script>throw new Error('adrift')</script>")
    await page.wait_for_function("true")
    assert any("adrift" in line for line in chromium.complaints)


async def test_nothing_but_loopback_can_be_reached(page: Page) -> None:
    assert os.environ.get("JUNTO_TEST_RUN")
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        await page.goto("http://example.org/")
