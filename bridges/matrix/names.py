"""Names in Matrix: which are well formed, which are ours, which are another bridge's. Pure.

Grammar: Matrix specification v1.15, appendix "Identifier Grammar". Nothing here is a regular expression over foreign text.
"""

from __future__ import annotations

from typing import TypeGuard
from urllib.parse import quote

OURS = "_junto_"
"""Every user and alias of ours begins so; the underscore is the custom of exclusive name spaces (Application Service API)."""

BOT = OURS + "bot"
POST_MARK = "net.junto.post"
"""The key in an event's content that holds a post's id and Message-ID. It is a fact for others; our own voice is told by its sender."""
ANSWER_MARK = "net.junto.answer"
"""The key in a notice's content that holds what an answer to it does: a forum, a verb, a token."""
ROOM_MARK = "net.junto.forum"
"""The kind of the state event by which a room of ours that has no alias is found again."""
MAX_ID_BYTES = 255

_HOST_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_HEX_CHARS = frozenset("0123456789abcdefABCDEF:.")
_MEDIA_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_LOCALPART_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._=/+-")
_PUPPETS = (
    "bluesky_",
    "discord_",
    "facebook_",
    "gmessages_",
    "googlechat_",
    "imessage_",
    "instagram_",
    "irc_",
    "linkedin_",
    "meta_",
    "signal_",
    "slack_",
    "telegram_",
    "twitter_",
    "whatsapp_",
    "xmpp_",
)


def is_server_name(text: str) -> bool:
    """Whether this can be a server name: a host or an address, perhaps with a port (appendix "Server Name")."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        well = bool(bracket) and 2 <= len(host) <= 45 and _HEX_CHARS.issuperset(host)
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
        well = 0 < len(host) <= 230 and _HOST_CHARS.issuperset(host)
    return well and (port.isascii() and port.isdecimal() and len(port) <= 5 if colon == ":" else not colon)


def split_user(user_id: str) -> tuple[str, str] | None:
    """Local part and server of a user id, or None if it is not one. Historical local parts are any printable ASCII."""
    if not user_id.startswith("@") or len(user_id.encode("utf-8", "replace")) > MAX_ID_BYTES:
        return None
    local, colon, server = user_id[1:].partition(":")
    if not colon or not local or not is_server_name(server):
        return None
    return (local, server) if all("!" <= c <= "~" for c in local) else None


def is_id(value: object, sigil: str) -> TypeGuard[str]:
    """Whether this can be the id of an event ("$") or a room ("!"); ids are opaque but short, and of characters that print."""
    if not isinstance(value, str) or not value.startswith(sigil) or not 1 < len(value) <= MAX_ID_BYTES:
        return False
    return all("!" <= c <= "~" for c in value)


def local_user(key: str, server_name: str) -> str:
    """The user id of the ghost of an author key. The homeserver may not enforce the grammar, so it is done here."""
    safe = "".join(c if c in _LOCALPART_CHARS else "=%02x" % (ord(c) & 0xFF) for c in key.lower())
    return f"@{OURS}{safe}"[: MAX_ID_BYTES - len(server_name) - 1] + f":{server_name}"


def key_of(user_id: str, whose: str) -> str | None:
    """The author key in the id of a ghost of ours; None for the bot and for anybody else."""
    if not is_ours(user_id, whose) or user_id in (whose, f"@{BOT}:{whose}"):
        return None
    return user_id.removeprefix(f"@{OURS}").partition(":")[0]


def home(whose: str) -> str:
    """The server on which we are."""
    return whose.partition(":")[2] if whose.startswith("@") else whose


def is_ours(user_id: str, whose: str) -> bool:
    """Whether we speak as this user: what we said comes back from the homeserver under our names.

    `whose` is the server on which our bot and all our ghosts are, or the id of the one account that we have there.
    """
    if whose.startswith("@"):
        return user_id == whose
    parts = split_user(user_id)
    return parts is not None and parts[0].startswith(OURS) and parts[1] == whose


def is_foreign_ghost(user_id: str) -> bool:
    """A user that another bridge speaks through, as far as its name shows it.

    Exclusive name spaces begin with an underscore; the puppets of the mautrix family are a network's name and a number. A person
    who calls themselves `discord_fan` is a person.
    """
    parts = split_user(user_id)
    if parts is None:
        return False
    local = parts[0]
    if local.startswith("_"):
        return True
    for prefix in _PUPPETS:
        rest = local.removeprefix(prefix).replace("-", "")
        if local.startswith(prefix) and len(rest) >= 6 and all(c in "0123456789abcdef" for c in rest):
            return any(c.isdigit() for c in rest)
    return False


def forum_alias(slug: str, whose: str) -> str:
    return _alias(slug, whose)


def community_alias(slug: str, whose: str) -> str:
    return _alias(f"c_{slug}", whose)


def _alias(name: str, whose: str) -> str:
    """An alias in our name space, or named after the one account that we have (see `is_ours`): other names are for all."""
    if whose.startswith("@"):
        local, _colon, server = whose[1:].partition(":")
        return f"#{local}_{name}:{server}"
    return f"#{OURS}{name}:{whose}"


def media_parts(mxc: str) -> tuple[str, str] | None:
    """Server and media id of an `mxc://` address, or None if it is not a well formed one."""
    if not mxc.startswith("mxc://"):
        return None
    server, _, media = mxc.removeprefix("mxc://").partition("/")
    if not is_server_name(server) or not media or len(media) > MAX_ID_BYTES or not _MEDIA_CHARS.issuperset(media):
        return None
    return server, media


def link(*names: str) -> str:
    """A matrix.to address of a room, or of an event in it."""
    return "https://matrix.to/#/" + "/".join(quote(name, safe="") for name in names)


def escaped(*names: str) -> tuple[str, ...]:
    """Names as segments of a request's path."""
    return tuple(quote(name, safe="") for name in names)
