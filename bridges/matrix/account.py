"""The one account of bot mode: its token and device, logged in once and kept in a file. Never its password.

A homeserver remembers transaction ids for a device, so the device is kept when the account logs in again.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import stat
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bridges.matrix.settings import Settings
from bridges.matrix.wire import Ghost, Trouble, session
from server.errors import CommandError, ConfigError
from server.i18n import _

DEVICE_NAME = "Junto"
_LOGIN = "/_matrix/client/v3/login"


@dataclass(frozen=True, slots=True)
class Account:
    """What the homeserver knows us by."""

    user_id: str
    device_id: str
    access_token: str


def read(path: Path, user: str) -> Account:
    """The account in the file. Raises ConfigError with what is wrong with it, in one sentence."""
    again = _("Run `junto matrix login`.")
    try:
        written = path.read_text("utf-8")
        open_to = stat.S_IMODE(path.stat().st_mode) & 0o077
        found = json.loads(written)
        account = Account(*(str(found[key]) for key in ("user_id", "device_id", "access_token")))
    except FileNotFoundError:
        raise ConfigError(
            _("[matrix] token_file = {path} is not there yet. {again}").format(path=path, again=again)
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        sentence = _("[matrix] token_file = {path} cannot be read: {problem}")
        raise ConfigError(sentence.format(path=path, problem=problem)) from None
    except (ValueError, LookupError, TypeError):
        sentence = _("[matrix] token_file = {path} is not as we wrote it: move it away. {again}")
        raise ConfigError(sentence.format(path=path, again=again)) from None
    if open_to:
        sentence = _("[matrix] token_file = {path} can be read by others: chmod 600 it.")
        raise ConfigError(sentence.format(path=path))
    if account.user_id != user:
        sentence = _("[matrix] token_file = {path} is of {found}, and user is {user}. {again}")
        raise ConfigError(sentence.format(path=path, found=account.user_id, user=user, again=again))
    return account


def write(path: Path, account: Account) -> None:
    """Keep the account, readable by its owner only; the file is whole or as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(account), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


async def verify(client: Ghost, account: Account, path: Path) -> None:
    """Ask the homeserver whom it knows by the token. Raises ConfigError where that is not us, Trouble where it does not say."""
    try:
        answer = await client.call("GET", "/_matrix/client/v3/account/whoami")
    except Trouble as trouble:
        if trouble.code not in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED", "M_FORBIDDEN"):
            raise
        sentence = _("The homeserver does not take the token in {path}: {problem}. Run `junto matrix login`.")
        raise ConfigError(sentence.format(path=path, problem=trouble)) from None
    user, device = answer.get("user_id"), answer.get("device_id", account.device_id)
    if user != account.user_id or device != account.device_id:
        sentence = _("The token in {path} is of {user} with the device {device}, and not of {ours} with {our_device}.")
        told = {"user": user, "device": device, "ours": account.user_id, "our_device": account.device_id}
        raise ConfigError(sentence.format(path=path, **told) + " " + _("Run `junto matrix login`."))


async def login(settings: Settings, path: Path) -> str:
    """Ask for the password, log in, keep token and device. Answers what to tell. Raises CommandError."""
    password = await asyncio.to_thread(_password, settings.user)
    wish: dict[str, Any] = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": settings.user},
        "password": password,
        "initial_device_display_name": DEVICE_NAME,
    }
    with suppress(ConfigError):  # without one a new device: nothing was said by another that could be said twice
        wish["device_id"] = read(path, settings.user).device_id
    async with session() as shared:
        try:
            answer = await Ghost(settings.homeserver, "", shared).call("POST", _LOGIN, wish)
        except Trouble as trouble:
            raise CommandError(_refused(trouble, settings)) from None
    account = Account(*(str(answer.get(key, "")) for key in ("user_id", "device_id", "access_token")))
    if account.user_id != settings.user or not account.device_id or not account.access_token:
        sentence = _("The homeserver logged {found} in, and [matrix] user is {user}: write it as the homeserver does.")
        raise CommandError(sentence.format(found=account.user_id or _("nobody"), user=settings.user))
    write(path, account)
    sentence = _("{user} is logged in with the device {device}. The token is in {path}; the password is kept nowhere.")
    return sentence.format(user=account.user_id, device=account.device_id, path=path)


def _password(user: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(_("Password of {user}: ").format(user=user))
    return sys.stdin.readline().rstrip("\n")


def _refused(trouble: Trouble, settings: Settings) -> str:
    if trouble.status == 0:
        sentence = _("{homeserver} does not answer: {problem}. Is [matrix] homeserver right?")
        return sentence.format(homeserver=settings.homeserver, problem=trouble)
    if trouble.code == "M_FORBIDDEN":
        return _("The homeserver does not know {user} by this password.").format(user=settings.user)
    if trouble.code == "M_UNKNOWN":
        sentence = _("The homeserver has no login by password ({problem}): put a token of its own into token_file.")
        return sentence.format(problem=trouble)
    return _("The homeserver does not log {user} in: {problem}").format(user=settings.user, problem=trouble)
