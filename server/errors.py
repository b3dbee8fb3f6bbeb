"""The two axes of failure, and the few errors that carry them.

Permanent: the sender is told why and must change something. Temporary: the same thing may be tried again. What does not say
is temporary. Imports nothing of ours.
"""

from __future__ import annotations


class JuntoError(Exception):
    """Base of every error that we raise on purpose; its text is one sentence for a person."""


class Rejected(JuntoError):
    """Permanent: refused, and the sender is told why.

    `code` is an enhanced status code of class 5 (RFC 3463), for example "5.7.1"; channels without such codes ignore it.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Deferred(JuntoError):
    """Temporary: nothing was stored and nothing is lost; the peer should come again. `code` is of class 4 (RFC 3463)."""

    def __init__(self, reason: str, code: str = "4.3.0") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class StoreUnavailable(Deferred):
    """The database or the disk does not answer; a kind of Deferred so that every door already knows what to say."""

    def __init__(self, reason: str = "our database does not answer, please try again later") -> None:
        super().__init__(reason, "4.3.0")


class ConfigError(JuntoError):
    """The configuration has problems; the text lists all of them, a line each with its key."""


class CommandError(JuntoError):
    """A command cannot do what was asked; the text says what to do instead."""


class NotFound(JuntoError):
    """There is no such thing, or the one who asks may not know of it; the two look the same from outside."""
