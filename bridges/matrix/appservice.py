"""The homeserver's door to us: the Application Service API, v1.15. Stores what is pushed, then answers; understands nothing of it.

200 means that every event of the transaction is committed; anything else makes the homeserver come again with the same one. So
nothing may fail for what a transaction holds, only for what we lack: one that is not even JSON is kept whole for a person.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import is_id
from bridges.matrix.registration import Registration
from server import limits, log
from server.bridge import House, Rows
from server.errors import Deferred

TRANSACTIONS_REMEMBERED = 200  # a homeserver repeats only the one that it has no answer for
PREFIX = "/_matrix/app/v1"
THIRD_PARTY = ("/thirdparty/user", "/thirdparty/user/{p}", "/thirdparty/location", "/thirdparty/location/{p}")
_log = log.get("matrix.appservice")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """The routes. `arrived` is called after something new was stored."""

    def __init__(
        self, house: House, ghosts: Ghosts, registration: Callable[[], Registration], arrived: Callable[[], None]
    ) -> None:
        self._house, self._ghosts, self._registration, self._arrived = house, ghosts, registration, arrived

    def app(self) -> web.Application:
        """An application with the current paths, and the older ones that a homeserver may try after an error."""
        app = web.Application(middlewares=[_errors], client_max_size=limits.MESSAGE_BYTES)
        for prefix in (PREFIX, ""):
            app.router.add_put(prefix + "/transactions/{id}", self._authorized(self._transaction))
            app.router.add_get(prefix + "/users/{id}", self._authorized(self._user), allow_head=False)
            app.router.add_get(prefix + "/rooms/{alias}", self._authorized(self._room), allow_head=False)
        app.router.add_post(PREFIX + "/ping", self._authorized(self._ping))
        for prefix in (PREFIX, "/_matrix/app/unstable"):
            app.router.add_get(
                prefix + "/thirdparty/protocol/{p}", self._authorized(self._nothing_known), allow_head=False
            )
            for path in THIRD_PARTY:
                app.router.add_get(prefix + path, self._authorized(self._nobody_told), allow_head=False)
        return app

    def _authorized(self, handler: _Handler) -> _Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            scheme, _space, shown = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not shown:
                return _error(401, "M_UNAUTHORIZED", "the token is missing")
            shown_twice = request.query.get("access_token", shown)
            if not (self._is_token(shown) and self._is_token(shown_twice)):
                return _error(403, "M_FORBIDDEN", "the token is not the one of our registration")
            return await handler(request)

        return checked

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode("utf-8", "replace"), self._registration().hs_token.encode())

    async def _transaction(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        events = split(body)
        # The id alone does not name it: Synapse on SQLite counts transactions from 1 again after a restart.
        transaction = request.match_info["id"].encode("utf-8", "replace") + b"\0" + body
        if await self._house.write(lambda rows: _store(rows, transaction, events)):
            self._arrived()
        return web.json_response({})

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({})

    async def _user(self, request: web.Request) -> web.StreamResponse:
        if await self._ghosts.is_known(request.match_info["id"]):
            return web.json_response({})
        return _error(404, "M_NOT_FOUND", "there is no such user")

    async def _room(self, request: web.Request) -> web.StreamResponse:
        return _error(404, "M_NOT_FOUND", "rooms are made when their forums are")  # so a missing one has no forum

    async def _nothing_known(self, request: web.Request) -> web.StreamResponse:
        return _error(404, "M_NOT_FOUND", "there is no such protocol")

    async def _nobody_told(self, request: web.Request) -> web.StreamResponse:
        return web.json_response([])  # any user of the homeserver may ask, and addresses are nobody's business


def split(body: bytes) -> list[tuple[str, bytes]]:
    """The events of a transaction with their names, in order; a body that is no transaction is one nameless event."""
    try:
        transaction: Any = json.loads(body)
        events = transaction["events"]
        if not isinstance(events, list):
            raise TypeError("events is no list")
        return [kept(event) for event in events]
    except (ValueError, RecursionError, LookupError, TypeError) as problem:
        _log.error("malformed transaction", problem=type(problem).__name__, bytes=len(body))
        return [(_nameless(body), body)]


def kept(event: object) -> tuple[str, bytes]:
    """An event as the inbox keeps it. Its name is its id, if that can be a name in a database."""
    data = json.dumps(event, separators=(",", ":")).encode()
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return (event_id if is_id(event_id, "$") else _nameless(data)), data


def _nameless(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _store(rows: Rows, transaction: bytes, events: list[tuple[str, bytes]]) -> bool:
    """One transaction: its name and all its events, or nothing. False if it is known already."""
    name = hashlib.sha256(transaction).hexdigest()
    seen: list[str] = json.loads(rows.get("transactions", "seen") or "[]")
    if name in seen:
        return False
    rows.keep_all(events)  # an event may come again by another way: its id is its name
    rows.put("transactions", "seen", json.dumps([*seen, name][-TRANSACTIONS_REMEMBERED:]))
    return True


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every refusal is a Matrix error object."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _error(404, "M_UNRECOGNIZED", "there is no such path")
    except web.HTTPMethodNotAllowed:
        return _error(405, "M_UNRECOGNIZED", "not by this method")
    except web.HTTPRequestEntityTooLarge:
        return _error(413, "M_TOO_LARGE", "the body is too large")
    except Deferred as later:
        return _error(500, "M_UNKNOWN", later.reason)


def _error(status: int, code: str, words: str) -> web.Response:
    return web.json_response({"errcode": code, "error": words}, status=status)
