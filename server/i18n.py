"""Every text that a person reads passes through here. Imports nothing of ours.

`_("…")` marks and translates in the reader's language, which is a context variable set at each door (a request, a mail, a
command). Placeholders are named: `_("{name} wrote").format(name=…)`.
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

LOCALES = Path(__file__).parent / "locales"
DOMAIN = "junto"
_language: ContextVar[str] = ContextVar("language", default="en")


@lru_cache(maxsize=64)
def _catalog(language: str) -> _gettext.NullTranslations:
    return _gettext.translation(DOMAIN, LOCALES, languages=[language], fallback=True)


def is_spoken(tag: str) -> bool:
    """Whether there are texts in the language: English there always are."""
    return tag.partition("-")[0] == "en" or type(_catalog(tag.replace("-", "_"))) is not _gettext.NullTranslations


def language() -> str:
    """The language of the reader in this context, a BCP 47 tag."""
    return _language.get()


@contextmanager
def speaking(tag: str) -> Iterator[None]:
    """Everything inside is said in the language `tag`."""
    before = _language.set(tag or "en")
    try:
        yield
    finally:
        _language.reset(before)


def gettext(message: str) -> str:
    """The message in the reader's language."""
    return _catalog(_language.get()).gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """The message for `count` things in the reader's language."""
    return _catalog(_language.get()).ngettext(one, many, count)


_ = gettext
