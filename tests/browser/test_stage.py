"""The stage, played by a browser on real peers: what is said in one pane is ringed in all three. Makes the README's picture.

`JUNTO_PICTURE=1` writes the picture to `deploy/demo/stage.png`; without it the picture only goes beside the other screenshots.
Uses a synapse of the demo's own.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe

from tests.peers import synapse as homeserver
from tests.peers.chromium import Chromium, Page
from tests.peers.fixtures import require

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "deploy" / "demo" / "stage.png"


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a stage whose room is open."""
    require("Synapse", homeserver.missing())
    environment = {**os.environ, "JUNTO_DEMO_DIR": str(tmp_path / "demo")}
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "deploy/demo/run.py"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert run.stdout is not None
    try:
        said = ""
        async with asyncio.timeout(150):
            while "The room is open" not in said:
                line = await run.stdout.readline()
                assert line, f"it ended: {said}"
                said += line.decode()
        found = re.search(r"http://localhost:\d+/", said)
        assert found is not None
        assert all(words in said for words in ("The stage", "Sign in", "Matrix client", "junto trace"))
        yield found[0]
    finally:
        run.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(run.wait(), 30) == 0


async def say(page: Page, pane: str, words: str) -> None:
    await page.fill(f"#{pane} form.say textarea", words)
    await page.click(f"#{pane} form.say .send button")


async def ringed(page: Page, pane: str, words: str) -> None:
    """The words are new in the pane, or in the page that it frames."""
    if pane == "web":
        await page.frame_locator("#web iframe >> nth=-1").get_by_text(words).first.wait_for(timeout=30_000)
    else:
        await page.locator(f"#{pane} .new", has_text=words).first.wait_for(timeout=30_000)


@pytest.mark.timeout(300)
async def test_a_post_is_seen_arriving_in_all_three(stage: str, chromium: Chromium) -> None:
    page = await chromium.page()
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.goto(stage)
    await page.locator("#mail .row a").first.click()
    await page.wait_for_url("**thread=**")
    for pane, words in (
        ("mail", "Is anybody at the pools tonight?"),
        ("room", "Yes, from nine on."),
        ("web", "Me too!"),
    ):
        await say(page, pane, words)
        for seen in ("mail", "room", "web"):
            await ringed(page, seen, words)
    await page.wait_for_timeout(500)
    await page.evaluate("document.querySelectorAll('.trace').forEach(line => line.remove())")  # it names this machine
    wide = await chromium.screenshot(page, "stage-wide")
    assert wide.stat().st_size > 20_000
    if os.environ.get("JUNTO_PICTURE"):
        shutil.copyfile(wide, PICTURE)
    found = await Axe().run(page)
    serious = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == [], [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in serious]
    for name, options in {"stage-phone": {"phone": True}, "stage-dark": {"dark": True}}.items():
        other = await chromium.page(**options)  # type: ignore[arg-type]
        await other.goto(page.url)
        await chromium.screenshot(other, name)
        width = await other.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, "it scrolls sideways"


def test_the_picture_in_the_readme_is_there() -> None:
    assert "deploy/demo/stage.png" in (ROOT / "README.md").read_text()
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
