"""The registration file that tells a homeserver of us (Application Service API, "Registration"). Made once, never overwritten.

Whoever reads the file may speak as any ghost, so only its owner may.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bridges.matrix.names import BOT, OURS
from bridges.matrix.settings import Settings
from server.config import host_port
from server.errors import ConfigError
from server.i18n import _

TOKEN_BYTES = 32
ID = "junto"
_SPECIAL = frozenset(".+*?()[]{}|^$\\-")


@dataclass(frozen=True, slots=True)
class Registration:
    """What both sides know: our id, the token we show, the token the homeserver shows."""

    id: str
    as_token: str
    hs_token: str


def _pattern(sigil: str, server_name: str) -> str:
    """A regular expression of our names: anchored, and the server's name taken literally."""
    server = "".join("\\" + c if c in _SPECIAL else c for c in server_name)
    return f"^{sigil}{OURS}.*:{server}$"


def text(settings: Settings, as_token: str, hs_token: str) -> str:
    """The file as YAML. Strings are written as JSON, which is YAML too (YAML 1.2 section 1.3)."""
    host, port = host_port(settings.listen)
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    url = f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
    users, aliases = (json.dumps(_pattern(sigil, settings.server_name)) for sigil in "@#")
    return f"""\
# Made by Junto. Keep it secret. If the homeserver runs on another machine, change `url` to an address that it can reach.
id: {json.dumps(ID)}
url: {json.dumps(url)}
as_token: {json.dumps(as_token)}
hs_token: {json.dumps(hs_token)}
sender_localpart: {json.dumps(BOT)}
rate_limited: false
namespaces:
  users:
    - exclusive: true
      regex: {users}
  aliases:
    - exclusive: true
      regex: {aliases}
  rooms: []
"""


def ensure(path: Path, settings: Settings) -> Registration:
    """The registration in the file, which is made now if it is not there. Raises ConfigError if it cannot be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read(path)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text(settings, secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)))
        file.flush()
        os.fsync(file.fileno())
    return read(path)


def read(path: Path) -> Registration:
    """Read our three values; the rest of the file is the homeserver's. Raises ConfigError."""
    try:
        written = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        sentence = _("matrix.registration: {path} cannot be read: {problem}")
        raise ConfigError(sentence.format(path=path, problem=problem)) from None
    found = _values(written)
    missing = [key for key in ("id", "as_token", "hs_token") if not found.get(key)]
    if missing:
        sentence = _("matrix.registration: {path} has no {keys}; mend it, or move it away and a new one is made.")
        raise ConfigError(sentence.format(path=path, keys=", ".join(missing)))
    return Registration(found["id"], found["as_token"], found["hs_token"])


def _values(written: str) -> dict[str, str]:
    """The file's texts by key: it may be JSON, which is YAML too, or have a key on each line as ours has."""
    try:
        whole = json.loads(written)
    except ValueError:
        lines = (line.partition(":") for line in written.splitlines() if not line.startswith((" ", "#")))
        return {key: value.split(" #")[0].strip().strip("\"'") for key, _colon, value in lines}
    return {key: value for key, value in whole.items() if isinstance(value, str)} if isinstance(whole, dict) else {}


def advice(path: Path, settings: Settings) -> str:
    """What the admin of the homeserver does with the file."""
    return _("""\
The registration is in {path}
1. Put a copy where the homeserver can read it, readable by nobody else.
2. Add this to the homeserver's homeserver.yaml (Synapse):

app_service_config_files:
  - {path}

3. Restart the homeserver. It will push to http://{listen}; if it runs on another machine, change `url` in the file.
""").format(path=path, listen=settings.listen)
