"""Encrypted rooms of a bot: its keys, in a directory of ours, and what they open and close. Needs the `e2e` extra.

Keys change with every message, so only the process that hears may use them; that a room is encrypted every process knows, by a row
`ciphered`, and none says anything there in the clear. Knows no forum and no post.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession
from nio import AsyncClientConfig, MatrixRoom, MegolmEvent, SyncResponse
from nio.crypto import ENCRYPTION_ENABLED
from nio.exceptions import EncryptionError, GroupEncryptionError, LocalProtocolError, OlmTrustError

from bridges.matrix.account import Account
from bridges.matrix.wire import TIMEOUT_SECONDS, Ghost, Trouble, told
from server import log
from server.bridge import House
from server.errors import ConfigError, Deferred
from server.i18n import _

AVAILABLE = bool(ENCRYPTION_ENABLED)
DIRECTORY = "matrix-keys"
KEYS_REMEMBERED = 1000  # of files, from when their message is opened until they have come
PATIENCE = 6  # tries before a message whose key has not come is given up
Event = dict[str, Any]
_log = log.get("matrix.cipher")


class Keyring(Ghost):
    """nio's client with its keys."""

    def __init__(self, homeserver: str, account: Account, shared: ClientSession, place: Path) -> None:
        from nio.store import DefaultStore  # it is not there without the extra

        super().__init__(homeserver, account.access_token, shared, account.user_id)
        self.config = AsyncClientConfig(
            max_limit_exceeded=0, max_timeouts=0, request_timeout=TIMEOUT_SECONDS, store=DefaultStore
        )
        self.device_id, self.store_path = account.device_id, str(place)
        self.load_store()

    def _said_as(self) -> dict[str, str]:
        return {}


class Cipher:
    """Opens what comes and closes what goes, while it is open itself."""

    def __init__(self, house: House, make: Callable[[Path], Keyring]) -> None:
        self._house, self._make = house, make
        self._client: Keyring | None = None
        self._encrypted: set[str] = set()
        self._files: dict[str, Event] = {}

    async def open(self) -> None:
        """Load the keys, or make them, and tell the homeserver. Raises ConfigError."""
        if not AVAILABLE:
            return
        place = Path(self._house.data_dir) / DIRECTORY
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as problem:
            sentence = _("{place}, where the keys of encrypted rooms are kept, cannot be made: {problem}")
            raise ConfigError(sentence.format(place=place, problem=problem)) from None
        self._client = self._client or self._make(place)
        await self._keep_up(self._client)

    def close(self) -> None:
        """Another process may use the keys from now on."""
        if self._client is not None and self._client.store is not None:
            self._client.store.database.close()
        self._client = None

    async def is_encrypted(self, room: str) -> bool:
        if room not in self._encrypted and await self._house.write(lambda rows: rows.get("ciphered", room)) is not None:
            self._encrypted.add(room)
        return room in self._encrypted

    # Hearing
    async def hear(self, answer: Event) -> None:
        """Take the keys of a sync, and note which of its rooms are encrypted."""
        for room, of in _object(_object(answer, "rooms"), "join").items():
            for event in (*_events(of, "state"), *_events(of, "timeline")):
                await self._note(room, event)
        if self._client is None:
            return
        keys = ("to_device", "device_lists", "device_one_time_keys_count", "next_batch")
        mine = {key: answer[key] for key in keys if key in answer}
        nothing: Event = {"join": {}, "invite": {}, "leave": {}}
        usual: Event = {"to_device": {"events": []}, "device_one_time_keys_count": {}, "rooms": nothing}
        response = SyncResponse.from_dict(usual | mine)
        if isinstance(response, SyncResponse):
            await self._client.receive_response(response)
        await self._keep_up(self._client)

    async def _note(self, room: str, event: Event) -> None:
        if event.get("type") == "m.room.encryption" and event.get("content"):
            await self._house.write(lambda rows: rows.put("ciphered", room, ""))
        if self._client is not None and event.get("type") == "m.room.member" and await self.is_encrypted(room):
            # Who came or went changes who may read on: all keys of this room are made anew for those who are there.
            self._room(self._client, room).members_synced = False
            self._client.invalidate_outbound_session(room)

    async def _keep_up(self, client: Keyring) -> None:
        """What devices tell each other. What fails is tried again at the next sync, and stops no room that is not encrypted."""
        try:
            if client.should_upload_keys:
                await told(client.keys_upload())
            if client.should_query_keys:
                await told(client.keys_query())
            if client.should_claim_keys:
                await told(client.keys_claim(client.get_users_for_key_claiming()))
            await client.send_to_device_messages()
        except (Trouble, ClientError, TimeoutError, OSError) as problem:
            _log.warning("keys not exchanged", problem=str(problem))

    def opened(self, event: Event, attempts: int) -> Event:
        """The event in plain, if it is encrypted and can be read. Raises Deferred while its key may yet come."""
        if event.get("type") != "m.room.encrypted" or not AVAILABLE:
            return event
        if self._client is None:
            raise Deferred("the keys are with another process")
        try:
            shut = MegolmEvent.from_dict(event)
            assert isinstance(shut, MegolmEvent), "no message of an encrypted room"
            plain = self._client.decrypt_event(shut)
        except (EncryptionError, AssertionError) as problem:
            if attempts < PATIENCE:
                raise Deferred(str(problem)) from None
            return event
        return self._plain(event, plain.source)

    def _plain(self, event: Event, found: Event) -> Event:
        content = dict(_object(found, "content"))
        relation = _object(event, "content").get("m.relates_to")  # it is outside, so that homeservers can read it
        if isinstance(relation, dict):
            content.setdefault("m.relates_to", relation)
        file = content.get("file")
        if isinstance(file, dict) and isinstance(file.get("url"), str):
            content["url"] = file["url"]
            self._files[file["url"]] = file
            while len(self._files) > KEYS_REMEMBERED:
                self._files.pop(next(iter(self._files)))
        return event | {"type": str(found.get("type")), "content": content}

    def file(self, mxc: str, data: bytes) -> bytes:
        """A file's bytes in plain, if it is one of an opened message's. Raises Trouble where they are not what was sent."""
        key = self._files.get(mxc)
        if key is None:
            return data
        from nio.crypto.attachments import decrypt_attachment

        try:
            plain: bytes = decrypt_attachment(data, key["key"]["k"], key["hashes"]["sha256"], key["iv"])
        except (EncryptionError, LookupError, TypeError, ValueError) as problem:
            raise Trouble(404, "", f"a file that cannot be opened: {problem}") from None
        return plain

    # Saying
    async def send(self, room: str, kind: str, content: Event, transaction: str | None) -> Any:
        """As nio's `room_send`, encrypted for everybody who is in the room. Raises Trouble."""
        client = self._client
        if client is None:
            raise Trouble(0, "", _("only the process that hears can speak in an encrypted room"))
        self._room(client, room)
        try:
            return await client.room_send(room, kind, content, transaction, ignore_unverified_devices=True)
        except (EncryptionError, GroupEncryptionError, LocalProtocolError, OlmTrustError) as problem:
            raise Trouble(0, "", str(problem)) from None

    def _room(self, client: Keyring, room: str) -> Any:
        return client.rooms.setdefault(room, MatrixRoom(room, client.user_id, True))


def _events(of: object, key: str) -> list[Event]:
    found = _object(_object(of), key).get("events")
    return [event for event in found if isinstance(event, dict)] if isinstance(found, list) else []


def _object(of: object, key: str | None = None) -> Event:
    value = of.get(key) if key is not None and isinstance(of, dict) else of
    return value if isinstance(value, dict) else {}
