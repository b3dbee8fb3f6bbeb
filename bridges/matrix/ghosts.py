"""The users we speak as: the bot and one ghost an author, made when first needed and remembered in the bridge's rows.

A ghost's id is opaque: it holds the author's key, never an address. Its name is the author's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiohttp import ClientSession

from bridges.matrix.names import BOT, escaped, is_ours, local_user
from bridges.matrix.registration import Registration
from bridges.matrix.settings import Settings
from bridges.matrix.wire import Ghost, Trouble, session, told
from server.bridge import House, Rows, Writer
from server.i18n import _

DEVICE = "JUNTO"
NAME_CHARS = 255  # one less than Synapse takes


@dataclass(frozen=True, slots=True)
class _Known:
    """What we know the homeserver knows of a ghost."""

    name: str = ""
    device: str | None = None  # "" where the homeserver makes none for us


class Ghosts:
    """Makes ghosts and remembers them. One user is made at a time; a made one costs no request."""

    def __init__(self, house: House, settings: Settings, registration: Callable[[], Registration]) -> None:
        self._house, self._settings, self._registration = house, settings, registration
        self._session: ClientSession | None = None
        self._known: dict[str, _Known] = {}
        self._joined: set[tuple[str, str]] = set()
        self._making = asyncio.Lock()

    one_for_all = False
    """Whether one account speaks for everybody."""
    reads_encrypted = False
    """Whether what is said in an encrypted room can be read."""

    @property
    def ours(self) -> str:
        """What tells our users from others, for `names.is_ours`."""
        return self._settings.server_name

    @property
    def bot_id(self) -> str:
        return f"@{BOT}:{self._settings.server_name}"

    def service(self) -> Ghost:
        """The application service itself, as nobody."""
        return self._client("", "")

    async def bot(self) -> Ghost:
        return await self._ready(self.bot_id, "Junto")

    async def of(self, writer: Writer, channel: str = "") -> Ghost:
        """The ghost of an author, registered and named, who wrote by that channel. Raises Trouble."""
        return await self._ready(local_user(writer.key, self._settings.server_name), _shown_name(writer))

    async def known(self, user_id: str) -> Ghost:
        """A user of ours that was made before, under the name that they have. Raises Trouble."""
        return await self._ready(user_id, (await self._recall(user_id)).name)

    async def into(self, ghost: Ghost, room: str, again: bool = False) -> None:
        """See that the ghost is in the room; `again` when the homeserver says that it is not, whatever we remember."""
        key = f"{room} {ghost.user_id}"
        if not again:
            if (room, ghost.user_id) in self._joined:
                return
            if await self._house.write(lambda rows: rows.get("joined", key)) is not None:
                self._joined.add((room, ghost.user_id))
                return
        try:
            await told(ghost.join(room))
        except Trouble as trouble:
            if trouble.code != "M_FORBIDDEN" or ghost.user_id == self.bot_id:
                raise
            # A room that is not open to everybody: the bot, who made it, asks the ghost in.
            bot = await self.bot()
            await bot.call("POST", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/invite", {"user_id": ghost.user_id})
            await told(ghost.join(room))
        await self._house.write(lambda rows: rows.put("joined", key, ""))
        self._joined.add((room, ghost.user_id))

    async def changed(self, writer: Writer, room: str, here: bool) -> str:
        """The ghost of an author, if there is one, gets the name, and leaves the room of a forum whose member they are no more.

        A homeserver tells a new name to the rooms of a user when it has time, by joining them once more: so who leaves is renamed in
        the room first, then leaves it, and only then anywhere else.
        """
        user = local_user(writer.key, self._settings.server_name)
        if not await self.is_known(user):
            return "they have no ghost"
        key = f"{room} {user}"
        leaves = not here and await self._house.write(lambda rows: rows.get("joined", key)) is not None
        if leaves:
            await self._leave(await self.known(user), room, _shown_name(writer))
            await self._house.write(lambda rows: rows.drop("joined", key))
            self._joined.discard((room, user))
        await self.of(writer)
        return "gone from the room" if leaves else "renamed"

    async def _leave(self, ghost: Ghost, room: str, name: str) -> None:
        last = {"membership": "join", "displayname": name}
        try:
            if (await self._recall(ghost.user_id)).name != name:
                room_part, user_part = escaped(room, ghost.user_id)
                await ghost.call("PUT", f"/_matrix/client/v3/rooms/{room_part}/state/m.room.member/{user_part}", last)
            await told(ghost.room_leave(room))
        except Trouble as trouble:
            if trouble.code not in ("M_FORBIDDEN", "M_NOT_FOUND", "M_UNKNOWN"):
                raise

    async def renew(self, ghost: Ghost) -> Ghost:
        """The homeserver has forgotten the ghost or its device: make again what is missing."""
        known = await self._recall(ghost.user_id)
        await self._remember(ghost.user_id, _Known())
        return await self._ready(ghost.user_id, known.name)

    async def is_known(self, user_id: str) -> bool:
        """Whether we have made this user."""
        ours = is_ours(user_id, self._settings.server_name)
        return ours and await self._recall(user_id) != _Known()

    async def name(self, user_id: str) -> str:
        """The name of a user of ours, "" if we have not made them."""
        return (await self._recall(user_id)).name

    def opened(self, event: dict[str, Any], attempts: int) -> dict[str, Any]:
        """The event in plain, where it is encrypted and can be read. Raises Deferred."""
        return event

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self, user_id: str, device: str) -> Ghost:
        if self._session is None or self._session.closed:
            self._session = session()
        return Ghost(self._settings.homeserver, self._registration().as_token, self._session, user_id, device)

    async def _ready(self, user_id: str, name: str) -> Ghost:
        known = await self._recall(user_id)
        if known.device is None or known.name != name:
            async with self._making:
                known = await self._make(user_id, name, await self._recall(user_id))
        return self._client(user_id, known.device or "")

    async def _make(self, user_id: str, name: str, known: _Known) -> _Known:
        if known.device is None:
            await self._register(user_id)
            known = replace(known, device=await self._device(user_id))
        if known.name != name:
            await told(self._client(user_id, "").set_displayname(name))
            known = replace(known, name=name)
        await self._remember(user_id, known)
        return known

    async def _register(self, user_id: str) -> None:
        localpart = user_id[1:].partition(":")[0]
        wish = {"type": "m.login.application_service", "username": localpart, "inhibit_login": True}
        try:
            await self.service().call("POST", "/_matrix/client/v3/register", wish)
        except Trouble as trouble:
            if trouble.code != "M_USER_IN_USE":
                raise

    async def _device(self, user_id: str) -> str:
        """Make the ghost's device (MSC4190). A homeserver that cannot, needs none: it ignores device ids as well."""
        try:
            path = f"/_matrix/client/v3/devices/{DEVICE}"
            await self._client(user_id, "").call("PUT", path, {"display_name": "Junto"})
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise
            return ""
        return DEVICE

    async def _recall(self, user_id: str) -> _Known:
        if user_id not in self._known:
            stored = await self._house.write(lambda rows: rows.get("ghost", user_id))
            if stored is None:
                return _Known()
            self._known[user_id] = _Known(**json.loads(stored))
        return self._known[user_id]

    async def _remember(self, user_id: str, known: _Known) -> None:
        def put(rows: Rows) -> None:
            rows.put("ghost", user_id, json.dumps(asdict(known)))

        await self._house.write(put)
        self._known[user_id] = known


def _shown_name(writer: Writer) -> str:
    return writer.name.strip()[:NAME_CHARS] or _("A member")
