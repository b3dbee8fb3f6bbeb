"""What an ordinary account is told by a homeserver, put together by a test: syncs and pages of a room."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bridges.matrix.account import Account
from bridges.matrix.tests.homeserver import Asked, Homeserver

USER, ROOM = "@junto:hs.test", "!room:hs.test"
US = Account(USER, "HERE", "t0k3n")


class Told:
    """A homeserver's syncs and pages: `syncs` by the token that asks, `pages` by where they begin."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.syncs: dict[str, dict[str, Any]] = {}
        self.pages: dict[str, dict[str, Any]] = {}
        self.homeserver = homeserver
        homeserver.before = self.answer

    def answer(self, asked: Asked) -> web.StreamResponse | None:
        if asked.path.endswith("/sync"):
            return web.json_response(self.syncs[asked.query.get("since", "")])
        if asked.path.endswith("/messages"):
            found = self.pages[asked.query["from"]]
            return web.json_response(found, status=found.get("status", 200))
        if asked.path.endswith("/whoami"):
            return web.json_response({"user_id": USER, "device_id": "HERE"})
        return None


def event(name: str, **more: Any) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": name}
    return {"event_id": f"${name}", "type": "m.room.message", "sender": "@ana:x.org", "content": content} | more


def joining() -> dict[str, Any]:
    return event("came", type="m.room.member", sender=USER, state_key=USER, content={"membership": "join"})


def synced(token: str, *events: dict[str, Any], limited: bool = False, room: str = ROOM) -> dict[str, Any]:
    timeline = {"events": list(events), "limited": limited, "prev_batch": f"before-{token}"}
    return {"next_batch": token, "rooms": {"join": {room: {"timeline": timeline}}}}
