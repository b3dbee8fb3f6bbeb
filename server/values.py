"""What an operator or a member writes as the value of an option, read: one of some words, yes or no, a whole number."""

from __future__ import annotations

from collections.abc import Callable

from server import limits
from server.errors import CommandError
from server.i18n import _


def one_of(*words: str) -> Callable[[str, str], str]:
    """Reads one of the words; what it answers raises CommandError."""

    def read(key: str, text: str) -> str:
        if text not in words:
            raise CommandError(
                _("{key} cannot be “{text}”: it is one of {words}.").format(key=key, text=text, words=", ".join(words))
            )
        return text

    return read


def yes_or_no(key: str, text: str) -> bool:
    """Reads yes or no. Raises CommandError."""
    word = text.strip().lower()
    if word not in ("yes", "no", "true", "false", "on", "off"):
        raise CommandError(_("{key} cannot be “{text}”: say yes or no.").format(key=key, text=text))
    return word in ("yes", "true", "on")


def whole(least: int, most: int, factor: int = 1) -> Callable[[str, str], int]:
    """Reads a whole number in a range, times a factor; what it answers raises CommandError."""

    def read(key: str, text: str) -> int:
        number = limits.whole_number(text)
        if number is None or not least <= number <= most:
            raise CommandError(
                _("{key} cannot be “{text}”: it is a whole number from {least} to {most}.").format(
                    key=key, text=text, least=least, most=most
                )
            )
        return number * factor

    return read
