"""What an address of ours means, and how a foreign one is written. Pure.

A local part is SLUG, SLUG-FUNCTION or SLUG-FUNCTION+TOKEN, case ignored; no slug ends in the name of a function, so that there
is one way to read each. Nothing here is a regular expression: every check is one walk over at most 320 characters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from ipaddress import ip_address

import idna

from server.tokens import is_token

POST, OPERATOR = "post", "operator"
PLAIN = ("join", "leave", "owner", "request")
WITH_TOKEN = ("leave", "confirm", "bounces", "item", "mod", "via")
FUNCTIONS = frozenset(PLAIN + WITH_TOKEN)
OPERATORS = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1, RFC 2142 section 2

SLUG_CHARS = 29
LOCAL_CHARS = 128  # RFC 5321 section 4.5.3.1.1 says 64; some senders' own addresses are longer
DOMAIN_CHARS = 255
_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_SLUG = _ALNUM | {"-"}
_HOST = _SLUG | {"_"}  # an underscore is no host name, but is seen in mail
_ATEXT = _ALNUM | frozenset("!#$%&'*+-/=?^_`{|}~")  # RFC 5322 section 3.2.3


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What a local part of ours says: a forum's own address, one of its functions, or the operator's (`slug` is "" then)."""

    slug: str
    function: str = POST
    token: str | None = None


def is_slug(text: str) -> bool:
    return 0 < len(text) <= SLUG_CHARS and set(text) <= _SLUG and text[0] != "-" and text[-1] != "-"


def read_local(local: str) -> Mailbox | None:
    """What the local part means, or None if it cannot be one of ours. Whether there is such a forum is not asked here."""
    text = local.strip().lower()
    if text in OPERATORS:
        return Mailbox("", OPERATOR)
    base, plus, token = text.partition("+")
    slug, dash, function = base.rpartition("-")
    if dash and function in FUNCTIONS:
        wanted = WITH_TOKEN if plus else PLAIN
        if function not in wanted or not is_slug(slug) or (plus and not is_token(token)):
            return None
        return Mailbox(slug, function, token or None)
    return Mailbox(base) if not plus and is_slug(base) else None


def split(address: str) -> tuple[str, str]:
    """Local part and domain at the last @; the domain is "" where there is none (`postmaster`, RFC 5321 section 4.5.1)."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (domain, "")


def ascii_domain(domain: str) -> str | None:
    """The domain as it goes on the wire: lower case, A-labels (RFC 5891), or None if it cannot be one."""
    text = domain.strip().rstrip(".")
    if not text or len(text) > DOMAIN_CHARS:
        return None
    if text.startswith("["):
        return _literal(text)
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    text = text.lower()
    labels = text.split(".")
    return text if len(text) <= DOMAIN_CHARS and all(_is_label(label) for label in labels) else None


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and set(label) <= _HOST and label[0] != "-" and label[-1] != "-"


def _literal(text: str) -> str | None:
    """An address literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3)."""
    inner = text[1:-1].lower().removeprefix("ipv6:")
    try:
        return text.lower() if text.endswith("]") and ip_address(inner) else None
    except ValueError:
        return None


def normal(address: str) -> str | None:
    """The address as it is stored and compared, or None if it is none: lower case, NFC, A-labels, no needless quotes.

    RFC 5321 section 2.4 lets a host tell "Ana" from "ana"; none in use does, and members write their own address either way.
    """
    if len(address) > LOCAL_CHARS + 1 + DOMAIN_CHARS:
        return None
    local, domain = split(address.strip())
    wire = ascii_domain(domain)
    name = _local(unicodedata.normalize("NFC", local).lower())
    return f"{name}@{wire}" if name and wire else None


def _local(local: str) -> str | None:
    """A dot-atom as it is, a quoted string without its quotes where it does not need them (RFC 5322 section 3.4.1)."""
    if len(local) >= 2 and local[0] == local[-1] == '"':
        inner = local[1:-1].replace("\\", "")
        if _is_dot_atom(inner):
            return inner
        printable = inner.isprintable() and '"' not in inner and 0 < len(inner) < LOCAL_CHARS
        return f'"{inner}"' if printable else None
    return local if _is_dot_atom(local) else None


def _is_dot_atom(local: str) -> bool:
    if not 0 < len(local) <= LOCAL_CHARS or local[0] == "." or local[-1] == "." or ".." in local:
        return False
    # RFC 6532 section 3.2: letters beyond ASCII are atext
    return all(c in _ATEXT or c == "." or (not c.isascii() and c.isprintable() and not c.isspace()) for c in local)
