"""A bridge to nowhere, for the contract suite: it is dropped into the server as one folder, and no other file knows of it.

People of it have addresses such as `mem:ana`. What they say is put into `heard`, what they are told is in `said`.
"""

from __future__ import annotations

import asyncio

from pydantic import Field

from server.bridge import (
    Bridge,
    DecisionItem,
    EditItem,
    Failed,
    HistoryItem,
    House,
    Inbound,
    Later,
    Lot,
    NoticeItem,
    PostItem,
    QueueItem,
    ReactionItem,
    Ref,
    Result,
    RetractionItem,
    Sent,
    Settle,
    StateItem,
    Traits,
)
from server.config import Section
from server.errors import JuntoError

NAME = "memory"


class Settings(Section):
    room: str = Field("", description="the room where everything is said; empty turns the bridge off")


class MemoryBridge:
    """Remembers; `away` makes the far side unreachable."""

    traits = Traits(NAME, takes_back=True, ordered=True, tends=True, backoff_ms=(20, 50), give_up_ms=60_000, queue=True)

    def __init__(self, house: House, settings: Settings) -> None:
        self.house, self.room = house, settings.room
        self.heard: asyncio.Queue[tuple[Inbound, asyncio.Future[Result]]] = asyncio.Queue()
        self.said: list[tuple[str, str, int]] = []  # kind, text, number
        self.away = False

    async def prepare(self) -> None:
        """Nothing to make."""

    async def run(self) -> None:
        while True:
            inbound, answer = await self.heard.get()
            try:
                answer.set_result(await self.house.accept(inbound))
            except JuntoError as error:
                answer.set_exception(error)

    async def say(self, inbound: Inbound) -> Result:
        """As somebody of this channel would."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self.heard.put((inbound, answer))
        return await answer

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        for target in lot.targets:
            if self.away:
                settle(target, Later("away", down=True))
            elif isinstance(lot.item, StateItem):
                name = f"{self.room}/{lot.item.forum.slug}"
                is_new = await self.house.forum_of(name) is None
                await self.house.attach(lot.item.forum.slug, name, empty=is_new)
                settle(target, Sent())
            elif isinstance(lot.item, HistoryItem):
                for each in lot.item.posts:
                    self.said.append(("post", each.fresh_text.strip(), each.number))
                    refs = (Ref(NAME, f"{self.room}-{each.id}"),)
                    await self.house.told_before(lot.item, each.id, each.revision, refs)
                settle(target, Sent())
            elif isinstance(lot.item, PostItem | EditItem | RetractionItem | ReactionItem):
                kind = type(lot.item).__name__.removesuffix("Item").lower()
                post = lot.item.post
                self.said.append((kind, post.fresh_text.strip(), post.number))
                refs = (Ref(NAME, f"{self.room}-{post.id}"),) if kind == "post" else ()
                settle(target, Sent(refs))
            elif isinstance(lot.item, DecisionItem):
                word = "approved" if lot.item.approved else "refused"
                self.said.append((word, " ".join(ref.name for ref in lot.item.refs), 0))
                settle(target, Sent())
            elif isinstance(lot.item, QueueItem):
                self.said.append((f"queue {lot.item.name}", lot.item.decided or lot.item.text, 0))
                settle(target, Sent())
            elif isinstance(lot.item, NoticeItem) and self.claims(target.address):
                self.said.append((f"notice to {target.address}", lot.item.text, 0))
                settle(target, Sent())
            else:
                settle(target, Failed("not by this channel"))

    def claims(self, address: str) -> str | None:
        return address.strip().lower() if address.startswith("mem:") and len(address) > 4 else None


def create(house: House, settings: Settings) -> Bridge | None:
    return MemoryBridge(house, settings) if settings.room else None
