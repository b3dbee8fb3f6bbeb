"""An ordinary Matrix user by matrix-nio: password login, joining, writing, looking at pictures. Never talks to Junto."""

from __future__ import annotations

import io
import logging
import struct
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import nh3
from markdown_it import MarkdownIt
from nio import AsyncClient, AsyncClientConfig
from nio.responses import DownloadError, ErrorResponse, JoinError, LoginError, RoomSendError, UploadError

from deploy.demo.patience import insist

logging.getLogger("nio").setLevel(logging.CRITICAL)

TEMPORARY = (OSError, aiohttp.ClientError, TimeoutError)
_MARKDOWN = MarkdownIt("commonmark")


class RoomRefused(RuntimeError):
    """The homeserver said no; the text is its answer."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a Matrix client asks for."""

    localpart: str
    name: str
    password: str


class RoomUser:
    """One signed-in user. `kept` holds device and token, so that one start after the other uses the same device."""

    def __init__(self, account: Account, homeserver: str, server_name: str, kept: dict[str, str]) -> None:
        self.account = account
        self.id = f"@{account.localpart}:{server_name}"
        self.kept = kept
        config = AsyncClientConfig(max_limit_exceeded=3, max_timeouts=1, request_timeout=20)
        self.client: Any = AsyncClient(homeserver, self.id, config=config)

    async def sign_in(self) -> None:
        """With the kept token, or by password. Raises RoomRefused."""
        if token := self.kept.get("token"):
            self.client.restore_login(self.id, self.kept["device"], token)
            if not isinstance(await self.client.whoami(), ErrorResponse):
                return
            self.client.access_token = ""
        answer = await self.client.login(self.account.password, device_name="the stage")
        if isinstance(answer, LoginError):
            raise RoomRefused(f"{self.id} could not sign in: {answer.message}")
        self.kept.update(token=answer.access_token, device=answer.device_id)

    async def join(self, alias: str, patience: float) -> str:
        """Joins the room behind the alias as soon as there is one; its id. Raises RoomRefused when the patience is over."""

        async def once() -> str:
            answer = await self.client.join(alias)
            if isinstance(answer, JoinError):
                raise ConnectionError(answer.message)
            return str(answer.room_id)

        try:
            return await insist(once, patience, TEMPORARY)
        except TEMPORARY as problem:
            raise RoomRefused(f"{self.id} could not join {alias}: {problem}") from None

    async def write(
        self,
        room: str,
        text: str,
        *,
        transaction: str,
        root: str | None = None,
        latest: str | None = None,
        answers: str | None = None,
        patience: float = 5.0,
    ) -> str:
        """A message, in the thread of `root` if given; its event id. The same transaction is never sent twice.

        `latest` is the newest event of the thread, named for clients without threads; `answers` makes it a reply to that event.
        """
        content: dict[str, Any] = {"msgtype": "m.text", "body": text, "m.mentions": {}}
        formatted = _MARKDOWN.render(text).strip()
        if formatted.replace("<p>", "").replace("</p>", "") != text:
            content |= {"format": "org.matrix.custom.html", "formatted_body": formatted}
        if root:
            content["m.relates_to"] = _relation(root, latest, answers)
        elif answers:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": answers}}
        return await self._send(room, content, transaction, patience)

    async def show(
        self, room: str, name: str, data: bytes, *, transaction: str, caption: str = "", root: str | None = None
    ) -> str:
        """Uploads a PNG picture and posts it, with a caption if given (Matrix v1.10); its event id."""
        answer, _ = await self.client.upload(
            io.BytesIO(data), content_type="image/png", filename=name, filesize=len(data)
        )
        if isinstance(answer, UploadError):
            raise RoomRefused(f"{self.id} could not upload: {answer.message}")
        width, height = struct.unpack(">II", data[16:24])  # of the PNG's first chunk
        content: dict[str, Any] = {
            "msgtype": "m.image",
            "body": caption or name,
            "filename": name,
            "url": answer.content_uri,
            "info": {"mimetype": "image/png", "size": len(data), "w": width, "h": height},
            "m.mentions": {},
        }
        if root:
            content["m.relates_to"] = _relation(root, None, None)
        return await self._send(room, content, transaction, 5.0)

    async def edit(self, room: str, event: str, text: str, *, transaction: str) -> str:
        """Other words for a message of one's own; its event id."""
        words = {"msgtype": "m.text", "body": text, "m.mentions": {}}
        relation = {"rel_type": "m.replace", "event_id": event}
        content = words | {"body": f"* {text}", "m.new_content": words, "m.relates_to": relation}
        return await self._send(room, content, transaction, 5.0)

    async def react(self, room: str, event: str, key: str, *, transaction: str) -> str:
        """A sign on a message; its event id."""
        content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": key}}
        return await self._send(room, content, transaction, 5.0, "m.reaction")

    async def _send(
        self, room: str, content: dict[str, Any], transaction: str, patience: float, kind: str = "m.room.message"
    ) -> str:
        async def once() -> str:
            answer = await self.client.room_send(room, kind, content, tx_id=transaction)
            if isinstance(answer, RoomSendError):
                if answer.status_code in ("M_FORBIDDEN", "M_TOO_LARGE", "M_UNKNOWN_TOKEN", "M_BAD_JSON"):
                    raise RoomRefused(f"{self.id} could not write: {answer.message}")
                raise ConnectionError(answer.message)
            return str(answer.event_id)

        return await insist(once, patience, TEMPORARY)

    async def picture(self, mxc: str) -> tuple[str, bytes]:
        """(media type, bytes) of an uploaded file, by authenticated media. Raises RoomRefused."""
        answer = await self.client.download(mxc)
        if isinstance(answer, DownloadError):
            raise RoomRefused(answer.message)
        return str(answer.content_type), bytes(answer.body)

    async def close(self) -> None:
        """Closes the connections; the device stays."""
        await self.client.close()


def _relation(root: str, latest: str | None, answers: str | None) -> dict[str, Any]:
    """In the thread of `root`; clients without threads see an answer to the latest event (Matrix v1.4, m.thread)."""
    reply = {"m.in_reply_to": {"event_id": answers or latest or root}}
    return {"rel_type": "m.thread", "event_id": root, "is_falling_back": answers is None} | reply


def shown_html(formatted: str) -> str:
    """A message's HTML as a careful client shows it: the tags that Matrix names for messages, only the homeserver's pictures."""
    names = (
        "del h1 h2 h3 h4 h5 h6 blockquote p a ul ol sup sub li b i u strong em s code hr br div table thead tbody tr th td "
        "caption pre span details summary img"
    )
    return nh3.clean(
        formatted,
        tags=set(names.split()),
        attributes={"a": {"href"}, "ol": {"start"}, "code": {"class"}, "img": {"src", "alt", "width", "height"}},
        attribute_filter=_local,
        url_schemes={"http", "https", "mailto", "mxc"},
        link_rel="noopener noreferrer",
    )


def _local(tag: str, name: str, value: str) -> str | None:
    """A picture is asked of the stage, which asks the homeserver; no other is loaded, and no link leads to one."""
    if tag == "img" and name == "src":
        return f"/room/picture?of={quote(value, safe='')}" if value.startswith("mxc://") else None
    return None if value.startswith("mxc:") else value
