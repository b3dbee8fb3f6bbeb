"""Bot mode's users: one account that speaks for everybody. Each message says itself whose words it is.

Whoever asks for an author's ghost gets the account, wearing the author's name; nothing else differs for them.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientSession

from bridges.matrix.account import Account
from bridges.matrix.cipher import AVAILABLE, Cipher, Keyring
from bridges.matrix.compose import HTML, MESSAGE, Content
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.settings import Settings
from bridges.matrix.wire import Ghost, Trouble, session
from server.bridge import House, Writer
from server.errors import ConfigError
from server.i18n import _

PROFILE = "com.beeper.per_message_profile"  # MSC4144, as it is called until it is part of the specification
NAME_BYTES = 200  # of the 255 that a name may have there
_OPENING = ("<p>", "<h1>", "<h2>", "<h3>")


class Voice(Ghost):
    """The account; with an author, what it sends as messages begins with their name."""

    def __init__(
        self,
        homeserver: str,
        token: str,
        shared: ClientSession,
        user_id: str,
        cipher: Cipher,
        author: tuple[str, str] | None,
    ) -> None:
        super().__init__(homeserver, token, shared, user_id)
        self._cipher, self._author = cipher, author

    def _said_as(self) -> dict[str, str]:
        return {}  # the token says who asks

    async def room_send(
        self,
        room_id: str,
        message_type: str,
        content: dict[Any, Any],
        tx_id: str | None = None,
        ignore_unverified_devices: bool = False,
    ) -> Any:
        if self._author is not None and message_type == MESSAGE:
            content = spoken(content, *self._author)
        if await self._cipher.is_encrypted(room_id):
            return await self._cipher.send(room_id, message_type, content, tx_id)
        return await super().room_send(room_id, message_type, content, tx_id, ignore_unverified_devices)

    async def fetch(self, path: str, limit: int) -> bytes:
        data = await super().fetch(path, limit)
        return self._cipher.file("mxc://" + "/".join(unquote(part) for part in path.split("/")[-2:]), data)


class OneVoice(Ghosts):
    """Ghosts where there is one account only."""

    one_for_all = True
    reads_encrypted = AVAILABLE

    def __init__(self, house: House, settings: Settings, account: Callable[[], Account]) -> None:
        super().__init__(house, settings, _no_registration)
        self._account = account
        self.cipher = Cipher(house, self._keys)

    @property
    def ours(self) -> str:
        return self._settings.user

    @property
    def bot_id(self) -> str:
        return self._settings.user

    def service(self) -> Ghost:
        return self._voice(None)

    async def bot(self) -> Ghost:
        return self._voice(None)

    async def of(self, writer: Writer, channel: str = "") -> Ghost:
        return self._voice((writer.key, _shown(writer.name, channel)))

    async def known(self, user_id: str) -> Ghost:
        return self._voice(None)

    async def renew(self, ghost: Ghost) -> Ghost:
        return ghost

    async def is_known(self, user_id: str) -> bool:
        return user_id == self.bot_id

    async def name(self, user_id: str) -> str:
        return "Junto" if user_id == self.bot_id else ""

    def opened(self, event: dict[str, Any], attempts: int) -> dict[str, Any]:
        return self.cipher.opened(event, attempts)

    def _keys(self, place: Path) -> Keyring:
        self._voice(None)
        assert self._session is not None
        return Keyring(self._settings.homeserver, self._account(), self._session, place)

    def _voice(self, author: tuple[str, str] | None) -> Voice:
        if self._session is None or self._session.closed:
            self._session = session()
        try:
            token = self._account().access_token
        except ConfigError as problem:
            raise Trouble(0, "", str(problem)) from None
        return Voice(self._settings.homeserver, token, self._session, self._settings.user, self.cipher, author)


def spoken(content: Content, key: str, name: str) -> Content:
    """A message's content, and what it replaces another one's with, as that author's."""
    said = _named(content, name) | {PROFILE: {"id": key[:255], "displayname": name, "has_fallback": True}}
    fresh = content.get("m.new_content")
    if isinstance(fresh, dict):
        said["m.new_content"] = spoken(fresh, key, name)
    return said


def _named(content: Content, name: str) -> Content:
    """Said in the text too, for the clients that show no other name than the account's."""
    before = f"<strong data-mx-profile-fallback>{html.escape(name, quote=False)}: </strong>"
    text = str(content.get("body", ""))
    star = "* " if "m.new_content" in content else ""  # how an edit begins for clients that know none
    said: Content = {"body": f"{star}{name}: {text.removeprefix(star)}"}
    rich = content.get("formatted_body")
    if "filename" in content and rich is None:  # a name before a file's name makes that a caption (C-S API v1.10)
        said |= {"format": HTML, "formatted_body": f"{before}{html.escape(text, quote=False)}"}
    elif isinstance(rich, str):
        rich = rich.removeprefix(star)
        opening = next((tag for tag in _OPENING if rich.startswith(tag)), "")
        said["formatted_body"] = f"{star}{opening}{before}{rich[len(opening) :]}"
    return content | said


def _shown(name: str, channel: str) -> str:
    """An author's name and how they wrote, short enough for a profile."""
    name = (name.strip() or _("A member")).encode()[:NAME_BYTES].decode("utf-8", "ignore")
    ways = {"email": _("mail"), "web": _("web"), "matrix": "Matrix"}
    return f"{name} ({ways.get(channel, channel)})" if channel else name


def _no_registration() -> Any:
    raise AssertionError("a bot has no registration")
