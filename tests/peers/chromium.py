"""Debian's Chromium driven by Playwright; nothing but loopback can be reached from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.peers import run

__all__ = ["Chromium", "Page", "launched", "missing"]

_ARGUMENTS = [
    "--no-sandbox",  # needs no user namespaces, and root may run it
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
_WIDE = {"width": 1280, "height": 900}
_PHONE = {"width": 390, "height": 844}


class Chromium:
    """A running browser. What pages complain of on their console is gathered in `complaints`."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.complaints: list[str] = []

    async def page(self, *, phone: bool = False, dark: bool = False, script: bool = True, language: str = "en") -> Page:
        """A page with cookies of its own: wide or phone-sized, light or dark, with JavaScript or without."""
        context = await self.browser.new_context(
            viewport=_PHONE if phone else _WIDE,  # type: ignore[arg-type]
            device_scale_factor=2 if phone else 1,
            is_mobile=phone,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            locale=language,
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        page = await context.new_page()
        page.on("console", lambda line: self._note(line.type, line.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        return page

    async def screenshot(self, page: Page, name: str) -> Path:
        """A picture of the whole page, NAME.png in $JUNTO_SHOTS or the run's directory."""
        folder = Path(os.environ.get("JUNTO_SHOTS") or run.directory() / "shots")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{name}.png"
        await page.screenshot(path=target, full_page=True)
        return target

    async def looks(self, url: str, name: str) -> list[Path]:
        """Pictures of one address wide, on a phone, and in the dark: NAME-wide, NAME-phone, NAME-dark."""
        shots = []
        for look, options in {"wide": {}, "phone": {"phone": True}, "dark": {"dark": True}}.items():
            page = await self.page(**options)  # type: ignore[arg-type]
            await page.goto(url)
            shots.append(await self.screenshot(page, f"{name}-{look}"))
            await page.context.close()
        return shots

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")


def executable() -> str | None:
    """Debian's Chromium; never one that Playwright downloads."""
    return os.environ.get("JUNTO_CHROMIUM") or shutil.which("chromium", path=f"/usr/bin:{os.environ.get('PATH', '')}")


def missing() -> str | None:
    """Why Chromium cannot be used here, None when it can."""
    return None if executable() else "not installed"


@asynccontextmanager
async def launched() -> AsyncIterator[Chromium]:
    """Starts Chromium and ends it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=_ARGUMENTS)
        try:
            yield Chromium(browser)
        finally:
            await browser.close()
