"""Templates: the one maker of Jinja2 environments, with the filters that every template may use. Ground: imports only i18n and clock.

Escaping is on for HTML and XML and off for text. Templates hold no rules; what is not allowed never gets there.
"""

from __future__ import annotations

import datetime as dt
import zlib
from pathlib import Path

import jinja2
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup

from server import clock, i18n

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
"""The web's own templates, beside this package in a checkout and in the wheel alike."""

_RELATIVE_FOR = 6 * clock.DAY


def environment(folder: Path = TEMPLATES) -> jinja2.Environment:
    """An environment over `folder`. A name that a template uses and nobody gave is an error, not an empty string."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(["html", "xml"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(when=when, moment=moment, rfc3339=rfc3339, number=number, bytes=size, initial=initial, hue=hue)
    made.globals["language"] = i18n.language
    return made


def _locale() -> Locale:
    try:
        return Locale.parse(i18n.language(), sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def _utc(at: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC)


def rfc3339(at: int) -> str:
    """Milliseconds since the epoch as RFC 3339, to the second."""
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(at: int) -> str:
    """Day and minute in words of the reader's language, in UTC."""
    return format_datetime(_utc(at), "d MMM y, HH:mm", locale=_locale()) + " UTC"


def local(at: int, timezone: str, pattern: str) -> str:
    """A time on the clocks of that time zone (UTC if nobody knows it), in words of the reader's language; `pattern` is CLDR's."""
    there = clock.zone(timezone) or dt.UTC
    return format_datetime(dt.datetime.fromtimestamp(at / 1000, there), pattern, locale=_locale())


def when(at: int, now: int | None = None) -> Markup:
    """A `<time>` that says how long ago for some days, then the date; its title has the whole truth."""
    age = (clock.now_ms() if now is None else now) - at
    locale = _locale()
    if age < clock.MINUTE:
        shown = i18n.gettext("just now")
    elif age < _RELATIVE_FOR:
        shown = format_timedelta(dt.timedelta(milliseconds=-age), add_direction=True, threshold=1.0, locale=locale)
    else:
        shown = format_date(_utc(at), "d MMM y", locale=locale)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(rfc3339(at), moment(at), shown)


def number(value: int) -> str:
    """A count with the reader's separators."""
    return format_decimal(value, locale=_locale())


def size(count: int) -> str:
    """Bytes as a person says them: "14 kB"."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    digits = 0 if unit == "B" or value >= 10 else 1
    return f"{format_decimal(round(value, digits), locale=_locale())} {unit}"


def initial(name: str) -> str:
    """The first letter of a name, for its badge."""
    return next((letter.upper() for letter in name if letter.isalnum()), "?")


def hue(key: str) -> int:
    """One of twelve colours for a person, always the same one. `key` is opaque and tells nothing about them."""
    return zlib.crc32(key.encode()) % 12
