"""The pages over a real database, with a bridge that only remembers. What is posted is recorded, not judged: that is the desk's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from server import bridge, config
from server.content.attachments import Blobs
from server.desk import Desk
from server.house import Household
from server.people import sessions
from server.store.db import Store
from server.web.app import make_app
from server.web.context import HOUSE
from tests.archive.sample import NOW, Town

SECRET = b"s" * 32


class PostBridge:
    """A bridge that speaks messages; its channel is called "post"."""

    traits = bridge.Traits("post", takes_back=False, ordered=False, tends=False, backoff_ms=(1000,), give_up_ms=10_000)

    async def prepare(self) -> None: ...

    async def run(self) -> None: ...

    async def deliver(self, lot: bridge.Lot, settle: bridge.Settle) -> None: ...

    def claims(self, address: str) -> str | None:
        return address.lower().replace("\\", "").replace('"', "") if "@" in address else None

    def source(self, post: bridge.Post, files: Mapping[str, bytes] = bridge.NO_FILES) -> bytes:
        return f"Message-ID: {post.message_id}\nSubject: {post.subject}\n\n{post.text}\n".encode()

    def ways(self, forum: bridge.Forum, post: bridge.Post | None) -> Sequence[bridge.Way]:
        about = f"?in-reply-to={post.message_id.strip('<>')}&about={post.subject}" if post else ""
        address = f"{forum.slug}@{forum.mail_domain}"
        return [bridge.Way("Reply by mail" if post else "Write a mail", f"mailto:{address}{about}", address)]


class RecordingHousehold(Household):
    """Takes everything, or answers what `answer` says."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.accepted: list[bridge.Inbound] = []
        self.answer: Callable[[bridge.Inbound], bridge.Result] = lambda _inbound: bridge.Accepted("tides/1")

    async def accept(self, inbound: bridge.Inbound) -> bridge.Result:
        result = self.answer(inbound)
        self.accepted.append(inbound)
        return result


Home = TypeVar("Home", bound=Household)


def household(root: Path, kind: type[Home], base_url: str = "http://talk.test") -> Home:
    """A house of that kind in an empty directory, its store open."""
    conf = config.parse({"server": {"base_url": base_url}}, root, {})
    conf.data_dir.mkdir(parents=True, exist_ok=True)
    made = PostBridge()
    desk = Desk(SECRET, base_url, {"post": made.traits}, claims={"post": made.claims}, now=lambda: NOW)
    home = kind(conf, Store(conf.database_url), desk, Blobs(conf.data_dir / "blobs"))
    home.bridges["post"] = made
    home.store.open()
    return home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecordingHousehold]:
    made = household(tmp_path, RecordingHousehold)
    yield made
    made.store.close()


class Reader(TestClient[Any, Any]):
    """A browser without script: follows no redirect by itself."""

    @property
    def home(self) -> RecordingHousehold:
        return self.app[HOUSE]  # type: ignore[return-value,index]

    async def text(self, path: str, status: int = 200, **how: Any) -> str:
        answer = await self.get(path, allow_redirects=False, **how)
        assert answer.status == status, f"{path}: {answer.status} {await answer.text()}"
        return await answer.text()

    async def submit(self, path: str, status: int, **fields: str) -> Any:
        answer = await self.post(path, data=fields, allow_redirects=False)
        assert answer.status == status, f"{path}: {answer.status} {await answer.text()}"
        return answer

    def sign_in(self, person: int) -> str:
        """Put a session's cookie into the jar; the token of its forms."""
        import hashlib
        import hmac

        token = self.home.store.write_now(sessions.open, person, NOW)
        self.session.cookie_jar.update_cookies({"junto": token}, self.make_url("/"))
        return hmac.new(SECRET, f"form:{token}".encode(), hashlib.sha256).hexdigest()


@pytest_asyncio.fixture
async def reader(home: RecordingHousehold) -> AsyncIterator[Reader]:
    async with Reader(TestServer(make_app(home))) as client:
        yield client


def sample(home: Household) -> dict[str, int]:
    """Two forums, one for members only; Ana and Bruno are members of both, Chidi of none. tides: #1 by Ana, #2 and #3 answer."""

    def fill(tx: Any) -> dict[str, int]:
        town = Town(tx)
        shore = town.community("shore", "Shore watchers", "What lives between the tides")
        tides = town.forum("tides", shore, "Tide pools")
        board = town.forum("board", shore, "Board", visibility="members")
        ana, bruno, chidi = town.person("Ana"), town.person("Bruno"), town.person("Chidi")
        for forum in (tides, board):
            town.member(ana, forum)
            town.member(bruno, forum, role="moderator")
        mail = b"From: Ana <ana@example.org>\r\nTo: tides@lists.test\r\nSubject: Limpets\r\n\r\nHow do they stick?\r\n"
        first = town.post(
            tides,
            ana,
            "<p>How do they stick?</p>",
            subject="Limpets",
            original=mail,
            message_id="<limpets@example.org>",
        )
        thread = town.thread_of(first)
        second = town.post(tides, bruno, "<p>With slime.</p>", thread=thread, parent=first, channel="room")
        third = town.post(tides, ana, "<p>Thank you!</p>", thread=thread, parent=second, channel="web")
        secret = town.post(board, ana, "<p>Plans.</p>", subject="Plans", message_id="<plans@example.org>")
        found = {"tides": tides, "board": board, "ana": ana, "bruno": bruno, "chidi": chidi}
        return found | {"first": first, "second": second, "third": third, "secret": secret}

    return home.store.write_now(fill)


@pytest.fixture
def rows(home: RecordingHousehold) -> dict[str, int]:
    return sample(home)
