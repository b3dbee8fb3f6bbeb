"""Places and polls as words and HTML: what a room knows and mail does not. Pure.

Everything here may be missing or of another type; what cannot be said raises Malformed.
"""

from __future__ import annotations

from html import escape
from typing import Any

from bridges.matrix.markup import clean
from server.i18n import _

ANSWERS = 50
LINE_CHARS = 500
POLLS = ("m.poll.start", "org.matrix.msc3381.poll.start")
POLL_VOTES = frozenset(
    f"{space}.{what}" for space in ("m.poll", "org.matrix.msc3381.poll") for what in ("response", "end")
)
_TEXTS = ("m.text", "org.matrix.msc1767.text")
Event = dict[str, Any]


class Malformed(ValueError):
    """Not an event at all, or one whose parts contradict its kind."""


def fallback(content: Event) -> str | None:
    """The plain text of an extensible event (MSC1767): a list of representations, or in its first form a text."""
    for key in _TEXTS:
        value = content.get(key)
        if isinstance(value, str):
            return value
        for each in value[:5] if isinstance(value, list) else ():
            if isinstance(each, dict) and each.get("mimetype", "text/plain") == "text/plain":
                body = each.get("body")
                if isinstance(body, str):
                    return body
    return None


def location(content: Event, words: str) -> tuple[str, str]:
    """An m.location (C-S API 11.3.1.8) as text and HTML, with a link to a map where its `geo_uri` has coordinates."""
    uri = content.get("geo_uri")
    if not isinstance(uri, str):
        raise Malformed("a place without an address")
    url = _map(uri)
    said = f"<p>{escape(words, quote=False)}</p>" if words else ""
    if url is None:
        return words or _("A place"), said or f"<p>{_('A place')}</p>"
    label = _("Place: {url}")
    link = f'<p><a href="{escape(url)}">{_("The place on a map")}</a></p>'
    return f"{words}\n\n{label.format(url=url)}".strip(), said + link


def _map(uri: str) -> str | None:
    """OpenStreetMap's page of a `geo:` URI (RFC 5870) in its usual coordinates; None if it is not one."""
    scheme, _colon, rest = uri[:200].partition(":")
    place, *parameters = rest.split(";")
    if scheme.lower() != "geo" or any(p.lower().startswith("crs=") and p.lower() != "crs=wgs84" for p in parameters):
        return None
    numbers = [_degrees(each) for each in place.split(",")[:3]]
    if len(numbers) < 2 or numbers[0] is None or numbers[1] is None:
        return None
    latitude, longitude = numbers[0], numbers[1]
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None
    at = f"{latitude:.6f}", f"{longitude:.6f}"
    return f"https://www.openstreetmap.org/?mlat={at[0]}&mlon={at[1]}#map=16/{at[0]}/{at[1]}"


def _degrees(text: str) -> float | None:
    sign, digits = text[:1] == "-", text.removeprefix("-")
    whole, _point, part = digits.partition(".")
    if (
        not 0 < len(digits) <= 30
        or not (whole + part).isascii()
        or not whole.isdecimal()
        or not (part or "0").isdecimal()
    ):
        return None
    return -float(digits) if sign else float(digits)


def poll(kind: str, content: Event) -> tuple[str, str]:
    """A poll (MSC3381) as its question and its numbered answers. Nobody votes by mail: an answer is words."""
    start = content.get(kind if kind == POLLS[1] else "m.poll", content.get(POLLS[1]))
    question = _line(start.get("question")) if isinstance(start, dict) else None
    answers = start.get("answers") if isinstance(start, dict) else None
    if question is None or not isinstance(answers, list):
        text = fallback(content)
        if text is None:
            raise Malformed("a poll without a question")
        return clean(text), f"<p>{escape(clean(text), quote=False)}</p>"
    lines = [line for line in (_line(each) for each in answers[:ANSWERS]) if line]
    head = _("Poll: {question}").format(question=question)
    text = "\n".join([head, "", *(f"{number}. {line}" for number, line in enumerate(lines, 1))])
    items = "".join(f"<li>{escape(line, quote=False)}</li>" for line in lines)
    return text.strip(), f"<p><strong>{escape(head, quote=False)}</strong></p><ol>{items}</ol>"


def _line(of: object) -> str | None:
    text = fallback(of) if isinstance(of, dict) else None
    if text is None and isinstance(of, dict) and isinstance(of.get("body"), str):
        text = of["body"]
    return " ".join(clean(text[:LINE_CHARS]).split()) or None if text is not None else None
