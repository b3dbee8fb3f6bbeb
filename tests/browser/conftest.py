"""The pages on a port, over a whole house: what is written in the browser goes through the desk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from aiohttp.test_utils import TestServer

from server.house import Household
from server.people import handles, sessions
from server.web.app import make_app
from tests.archive.sample import NOW, Town
from tests.peers.chromium import Page
from tests.web.conftest import household, sample

PROSE = (
    "<p>On Monday Bruno wrote:</p>"
    '<blockquote class="quote"><p>' + "They come back to the same scar after each tide. " * 8 + "</p></blockquote>"
    "<p>Nine of eleven did: see <em>below</em>, and https://example.org/" + "long" * 40 + "</p>"
    "<pre><code>" + "distance_cm,returned," * 12 + "\n12,yes</code></pre>"
    "<table><tr><th>Shore</th><th>Back</th></tr><tr><td>" + "North-mole" * 9 + "</td><td>9</td></tr></table>"
)


@dataclass
class Site:
    """The running pages, the ids of their people, and ways in."""

    url: str
    home: Household
    rows: dict[str, int]

    async def sign_in(self, page: Page, person: str) -> None:
        """As if the person had pressed the button of a mailed link."""
        token = await self.home.store.write(sessions.open, self.rows[person], NOW)
        await page.context.add_cookies([{"name": "junto", "value": token, "url": self.url}])

    async def link(self, person: str) -> str:
        """The page that a mailed link leads to."""
        token = await self.home.store.write(handles.grant, "sign-in", self.rows[person], {}, NOW, 3_600_000)
        return f"{self.url}/sign-in/{token}"


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    home = household(tmp_path, Household)
    rows = sample(home)

    def more(tx: object) -> None:
        town = Town(tx)  # type: ignore[arg-type]
        town.at += 3 * 24 * 3_600_000
        thread = town.thread_of(rows["first"])
        long = town.post(rows["tides"], rows["ana"], PROSE, thread=thread, parent=rows["second"])
        town.file(long, "ab" * 32, "a-file-with-a-rather-long-name-" * 4 + ".pdf", "application/pdf")
        town.react(long, rows["bruno"], "👍")
        town.post(rows["tides"], rows["chidi"], thread=thread, parent=long, state="retracted")

    await home.store.write(more)
    server = TestServer(make_app(home))
    await server.start_server()
    yield Site(str(server.make_url("")).rstrip("/"), home, rows)
    await server.close()
    home.store.close()
