"""A real Matrix homeserver of our own: Synapse from its own environment, SQLite, loopback, no federation."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import os
import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.peers import run
from tests.peers.forward import Forwarder
from tests.peers.net import PeerError, free_port, wait_for

_ROOT = Path(__file__).parents[2]
SERVER_NAME = "hs.test"
_FAST = {"per_second": 10000, "burst_count": 10000}


@dataclass(frozen=True)
class Account:
    """An ordinary user of the homeserver, signed in."""

    user_id: str
    password: str
    token: str
    device_id: str


class MatrixError(RuntimeError):
    """The homeserver's answer was an error: `status` and the spec's `errcode`."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body.get('errcode')}: {body.get('error')}")
        self.status = status
        self.errcode = body.get("errcode")


class Synapse:
    """A homeserver with one application service, whose `registration` stays and whose listener is set by `route_to`.

    Between tests the route leads to a sink that answers 200, so that no test hears what belongs to another.
    """

    server_name = SERVER_NAME

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._secret = secrets.token_hex(16)
        self._forward = Forwarder(idle=self._sink)
        self._last, self._last_word = threading.Event(), b""
        self._room: str | None = None
        self.registration = place / "registration.yaml"
        place.mkdir(parents=True, exist_ok=True)
        self.registration.write_text(shared_registration(f"http://127.0.0.1:{self._forward.port}"))
        self._registrations: list[Path] = [self.registration]

    # -- the application service -------------------------------------------------------------------------------------
    def route_to(self, port: int) -> None:
        """The homeserver's transactions go to 127.0.0.1:port from now on."""
        self._forward.to(port)

    def drain(self) -> None:
        """The route leads nowhere again; returns when all that waited for the application service is swallowed."""
        self._forward.mend()
        self._forward.to(None)
        self._last = threading.Event()
        self._last_word = secrets.token_hex(8).encode()
        token = json.loads(self.registration.read_text())["as_token"]
        bot = Account("", "", token, "")
        for _ in range(20):
            try:  # a ping makes Synapse retry at once what it holds back after errors (spec: appservice ping)
                self.call("POST", f"/_matrix/client/v1/appservice/{_ID}/ping", {}, token)
                self._room = self._room or self.call("POST", "/_matrix/client/v3/createRoom", {}, token)["room_id"]
                self.send(bot, self._room, {"msgtype": "m.notice", "body": self._last_word.decode()})
            except (MatrixError, OSError):
                return  # stopped, or started with other registrations: nothing waits for us
            # Transactions come in order: with this one, all have come. Again, because Synapse leaves one lying that is made
            # in the moment between its last retry and its note that the service is up.
            if self._last.wait(1):
                return
        raise PeerError(f"Synapse does not empty its queue:\n{run.tail(self.place)}")

    @property
    def line(self) -> Forwarder:
        """The switch between the homeserver and the application service: `cut()` and `mend()`."""
        return self._forward

    # -- users -------------------------------------------------------------------------------------------------------
    def register(self, name: str | None = None, *, admin: bool = False) -> Account:
        """A new user, signed in; without a name one that no other test has."""
        localpart = name or f"u{os.urandom(5).hex()}"
        password = secrets.token_hex(8)
        nonce = self.call("GET", "/_synapse/admin/v1/register")["nonce"]
        parts = [nonce, localpart, password, "admin" if admin else "notadmin"]
        mac = hmac.new(self._secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        asked = {"nonce": nonce, "username": localpart, "password": password, "admin": admin, "mac": mac}
        made = self.call("POST", "/_synapse/admin/v1/register", asked)
        return Account(made["user_id"], password, made["access_token"], made["device_id"])

    def call(self, method: str, path: str, body: object = None, token: str | None = None) -> dict[str, Any]:
        """One request to the homeserver; raises MatrixError for an error answer."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
        finally:
            connection.close()
        if response.status >= 400:
            raise MatrixError(response.status, answer)
        return answer

    def send(self, account: Account, room: str, content: dict[str, Any]) -> str:
        """Sends an m.room.message as that user; returns the event id."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.message/{secrets.token_hex(8)}"
        return str(self.call("PUT", path, content, account.token)["event_id"])

    def join(self, account: Account, room: str) -> str:
        """Joins a room by id or alias; returns its id."""
        return str(self.call("POST", f"/_matrix/client/v3/join/{quote(room)}", {}, account.token)["room_id"])

    def messages(self, account: Account, room: str) -> list[dict[str, Any]]:
        """The room's last 500 events as that user sees them, oldest first."""
        path = f"/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b&limit=500"
        return list(reversed(self.call("GET", path, token=account.token)["chunk"]))

    # -- life --------------------------------------------------------------------------------------------------------
    def start(self, registrations: Sequence[Path] | None = None) -> None:
        """Starts it on what data it has, with the given registration files (without: those of the last start)."""
        if registrations is not None:
            self._registrations = list(registrations)
        config = _config(self.place, self.port, self._secret, self._registrations)
        (self.place / "homeserver.yaml").write_text(json.dumps(config, indent=1))  # JSON is YAML
        (self.place / "log.config").write_text(json.dumps(_LOGGING))
        argv = [str(python()), "-m", "synapse.app.homeserver", "-c", str(self.place / "homeserver.yaml")]
        if not (self.place / f"{SERVER_NAME}.signing.key").exists():
            key = f"ed25519 a_test {_unpadded(os.urandom(32))}\n"
            (self.place / f"{SERVER_NAME}.signing.key").write_text(key)
        run.start(self.place, argv)
        wait_for(self._up, "Synapse to answer", timeout=60)

    def stop(self) -> None:
        """Ends it; the data stays."""
        run.stop(self.place)

    def restart(self) -> None:
        """Ends it and starts it again on the same data and port."""
        self.stop()
        self.start()

    def reset(self) -> None:
        """Starts it again with no users and no rooms."""
        self.stop()
        self._room = None
        for path in self.place.glob("homeserver.db*"):
            path.unlink()
        shutil.rmtree(self.place / "media", ignore_errors=True)
        self.start()

    def close(self) -> None:
        """Ends the homeserver and its line."""
        self.stop()
        self._forward.close()

    def log(self) -> str:
        """What it logged so far."""
        return run.tail(self.place, 100_000)

    async def _sink(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers 200 {} to each request of a connection, as an application service that takes everything."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].partition(b":")[2]) if length else 0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            if self._last_word and self._last_word in body:
                self._last.set()

    def _up(self) -> bool:
        if not run.alive(self.place):
            raise PeerError(f"Synapse ended at once:\n{run.tail(self.place)}")
        try:
            return "versions" in self.call("GET", "/_matrix/client/versions")
        except (OSError, MatrixError, http.client.HTTPException):
            return False


_ID = "junto"


def shared_registration(url: str) -> str:
    """A registration as Junto writes it: its namespaces are `@_junto_…` and `#_junto_…` of this server."""
    name = SERVER_NAME.replace(".", "\\.")
    return json.dumps(
        {
            "id": _ID,
            "url": url,
            "as_token": secrets.token_hex(32),
            "hs_token": secrets.token_hex(32),
            "sender_localpart": "_junto_bot",
            "rate_limited": False,
            "namespaces": {
                "users": [{"exclusive": True, "regex": f"^@_junto_.*:{name}$"}],
                "aliases": [{"exclusive": True, "regex": f"^#_junto_.*:{name}$"}],
                "rooms": [],
            },
        },
        indent=1,
    )


def python() -> Path:
    """The interpreter of Synapse's own environment."""
    return Path(os.environ.get("JUNTO_SYNAPSE_PYTHON") or _ROOT / ".venv-synapse" / "bin" / "python")


def missing() -> str | None:
    """Why Synapse cannot be used here, None when it can."""
    return None if list(python().parents[1].glob("lib/python3*/site-packages/synapse")) else "not installed"


def shared(place: Path) -> Synapse:
    """A started homeserver with the shared registration; the second one in a run is a mistake of the scheduler's."""
    if place.exists():
        raise PeerError("another worker has started Synapse: tests that use it must lie in files that name it")
    server = Synapse(place)
    server.start()
    return server


def _config(place: Path, port: int, secret: str, registrations: Sequence[Path]) -> dict[str, Any]:
    listener = {
        "port": port,
        "type": "http",
        "tls": False,
        "bind_addresses": ["127.0.0.1"],
        "resources": [{"names": ["client", "media"]}],
    }
    return {
        "server_name": SERVER_NAME,
        "pid_file": str(place / "homeserver.pid"),
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": str(place / "homeserver.db")}},
        "log_config": str(place / "log.config"),
        "media_store_path": str(place / "media"),
        "signing_key_path": str(place / f"{SERVER_NAME}.signing.key"),
        "registration_shared_secret": secret,
        "macaroon_secret_key": secret,
        "form_secret": secret,
        "app_service_config_files": [str(path) for path in registrations],
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "report_stats": False,
        "enable_registration": False,
        "room_list_publication_rules": [{"action": "allow"}],
        "presence": {"enabled": False},
        "url_preview_enabled": False,
        "bcrypt_rounds": 4,
        "rc_message": _FAST,
        "rc_registration": _FAST,
        "rc_login": {"address": _FAST, "account": _FAST, "failed_attempts": _FAST},
        "rc_admin_redaction": _FAST,
        "rc_joins": {"local": _FAST, "remote": _FAST},
        "rc_joins_per_room": _FAST,
        "rc_invites": {"per_room": _FAST, "per_user": _FAST, "per_issuer": _FAST},
        "rc_media_create": _FAST,
        "rc_room_creation": _FAST,
    }


_LOGGING = {
    "version": 1,
    "formatters": {"plain": {"format": "%(asctime)s %(name)s %(levelname)s %(request)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
}


def _unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
