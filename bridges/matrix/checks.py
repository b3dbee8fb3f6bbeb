"""What `junto doctor` looks at: the homeserver, whether it knows us and reaches us, what it takes, and our place in each room."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from bridges.matrix import known, powers
from bridges.matrix.barred import Barred
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import escaped
from bridges.matrix.registration import Registration
from bridges.matrix.rooms import Rooms
from bridges.matrix.settings import Settings
from bridges.matrix.wire import Ghost, Trouble
from server.bridge import Check, Forum
from server.config import host_port
from server.errors import JuntoError
from server.i18n import _

CONNECT_SECONDS = 2.0


class Doctor:
    """Asks, and changes nothing but what any start would make: the bot's account."""

    def __init__(self, settings: Settings, ghosts: Ghosts, rooms: Rooms, barred: Barred) -> None:
        self._settings, self._ghosts, self._rooms, self._barred = settings, ghosts, rooms, barred

    async def look(self, registration: Registration | None, forums: Sequence[Forum]) -> list[Check]:
        try:
            service = self._ghosts.service()
        except Trouble as trouble:  # the account's file is not there, or not as it should be
            return [Check(_("account"), False, str(trouble), _("Run `junto matrix login`."))]
        found = [await self._answers(service)]
        if found[0].ok:
            found.append(await self._knows_us(service, registration is not None))
        if not all(check.ok for check in found):
            return found
        if registration is not None:
            found.append(await self._reaches_us(service, registration))
        found.append(await self._takes(service, forums))
        bot = await self._ghosts.bot()
        try:
            there = await known.joined(bot)
        except Trouble as trouble:
            return [*found, Check(_("rooms"), False, str(trouble))]
        return found + [await self._room(bot, forum, there) for forum in forums]

    async def _answers(self, service: Ghost) -> Check:
        name = _("homeserver")
        try:
            answer = await service.call("GET", "/_matrix/client/versions")
        except Trouble as trouble:
            fix = _("Look whether it runs, and at [matrix] homeserver in the configuration.")
            return Check(name, False, f"{self._settings.homeserver}: {trouble}", fix)
        versions = answer.get("versions")
        newest = str(versions[-1]) if isinstance(versions, list) and versions else "?"
        return Check(
            name, True, _("{url} answers, and speaks {version}").format(url=self._settings.homeserver, version=newest)
        )

    async def _knows_us(self, service: Ghost, registered: bool) -> Check:
        name = _("registration") if registered else _("account")
        fix = _("Run `junto matrix login`.")
        if registered:
            fix = _(
                "`junto matrix registration` says where the homeserver must be told of it; it reads it when it starts."
            )
        try:
            us = (await service.call("GET", "/_matrix/client/v3/account/whoami")).get("user_id")
        except Trouble as trouble:
            return Check(name, False, _("the homeserver does not know us: {problem}").format(problem=trouble), fix)
        if us != self._ghosts.bot_id:
            if registered:
                fix = _("Set [matrix] server_name to the homeserver's own, and write the registration anew.")
            return Check(
                name,
                False,
                _("the homeserver calls us {us}, we call us {bot}").format(us=us, bot=self._ghosts.bot_id),
                fix,
            )
        return Check(name, True, _("the homeserver knows us as {bot}").format(bot=us))

    async def _reaches_us(self, service: Ghost, registration: Registration) -> Check:
        name = _("homeserver to us")
        if not await self._is_open():
            words = _("nothing listens at {listen} now: look again while `junto serve` runs")
            return Check(name, None, words.format(listen=self._settings.listen))
        try:
            path = f"/_matrix/client/v1/appservice/{escaped(registration.id)[0]}/ping"
            answer = await service.call("POST", path, {"transaction_id": secrets.token_hex(8)})
        except Trouble as trouble:
            if trouble.code == "M_UNRECOGNIZED" or trouble.status == 404:
                return Check(name, None, _("the homeserver is older than pings (v1.7)"))
            fix = _("The url in the registration must lead from the homeserver to [matrix] listen.")
            return Check(name, False, str(trouble), fix)
        return Check(name, True, _("it reaches us in {ms} ms").format(ms=answer.get("duration_ms", "?")))

    async def _is_open(self) -> bool:
        host, port = host_port(self._settings.listen)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _reader, writer = await asyncio.open_connection(host or "localhost", port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def _takes(self, service: Ghost, forums: Sequence[Forum]) -> Check:
        name, largest = _("files"), max((forum.max_size for forum in forums), default=0)
        try:
            size = (await service.call("GET", "/_matrix/client/v1/media/config")).get("m.upload.size")
        except Trouble as trouble:
            return Check(name, None, str(trouble))
        if not isinstance(size, int):
            return Check(name, True, _("the homeserver names no limit"))
        words = _("the homeserver takes {size} MiB")
        if size < largest:
            words = _("the homeserver takes {size} MiB; larger files are links in the room")
        return Check(name, True, words.format(size=size // 2**20))

    async def _room(self, bot: Ghost, forum: Forum, there: Sequence[str]) -> Check:
        name = _("room of {forum}").format(forum=forum.slug)
        try:
            room = await self._rooms.of(forum)
            if room is None:
                return Check(
                    name,
                    None,
                    _("is not made yet"),
                    _("It is made while `junto serve` runs; `junto queue list` says why not."),
                )
            bar = await self._barred.of(room.id)
            if room.id not in there:
                why = bar.why if bar is not None else _("The bot is not in it.")
                return Check(
                    name,
                    False,
                    why,
                    _("Invite {bot} to {room}, or lift its ban there.").format(bot=bot.user_id, room=room.id),
                )
            if bar is not None:
                fix = _("Make another room the forum's: invite {bot} there and say “!junto link {forum}”.")
                return Check(name, False, bar.why, fix.format(bot=bot.user_id, forum=forum.slug))
            level = powers.level(await known.state(bot, room.id, "m.room.power_levels"), room.creators, bot.user_id)
        except (Trouble, JuntoError) as problem:
            return Check(name, None, str(problem))
        if level < powers.OWNER:
            fix = _("Give {bot} power level 100 there: name, members and levels cannot be kept in step without.")
            return Check(
                name, False, _("the bot has power level {level} there").format(level=level), fix.format(bot=bot.user_id)
            )
        return Check(name, True, _("the bot is in {room} and may look after it").format(room=room.id))
