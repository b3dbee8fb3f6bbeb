"""Pure: what a room of moderators shows of one thing that waits for them, and which of their signs and words decide."""

from __future__ import annotations

import html
from typing import Any

from bridges.matrix.commands import spoken
from bridges.matrix.markup import clean
from server.bridge import QueueItem
from server.i18n import _

APPROVE, REJECT, BAN = "approve", "reject", "ban"
SIGNS = {"✅": APPROVE, "✔": APPROVE, "☑": APPROVE, "👍": APPROVE, "❌": REJECT, "✖": REJECT, "👎": REJECT}
BUTTONS = ("✅", "❌")  # the bot sets them first, so that a touch is enough
_VERBS = {APPROVE: APPROVE, "accept": APPROVE, "publish": APPROVE, "reject": REJECT, "refuse": REJECT, BAN: BAN}
_VARIATION = "\ufe0e\ufe0f"  # of how a sign is drawn
_NAMED = ("h-", "j-", "f-")
TEXT_CHARS = 3_000
Content = dict[str, Any]


def heading(item: QueueItem) -> str:
    """One line on what it is."""
    title = f"“{item.subject}”" if item.subject else ""
    if item.kind == "entry":
        words = _("{name}: {who} asks to join {forum}")
    elif item.kind == "report":
        words = _("{name}: {title} by {who} in {forum} is reported")
    else:
        words = _("{name}: {title} by {who} waits in {forum}")
    said = words.format(name=item.name, title=title, who=item.writer_name, forum=item.forum.title)
    return " ".join(clean(said).split())


def waiting(item: QueueItem) -> Content:
    """The thing with its words, and how it is decided."""
    top, text = heading(item), clean(item.text)
    if len(text) > TEXT_CHARS:
        text = text[:TEXT_CHARS].rstrip() + " […]"
    quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    why, how = clean(item.reason), _how(item)
    plain = [top, why, quoted, item.url, how]
    parts = [
        f"<p><strong>{_safe(top)}</strong><br>{_safe(why)}</p>",
        f"<blockquote>{_safe(text)}</blockquote>" if text else "",
        f'<p><a href="{html.escape(item.url)}">{_safe(item.url)}</a></p>' if item.url else "",
        f"<p>{_safe(how)}</p>",
    ]
    return _content("\n\n".join(filter(None, plain)), "".join(parts))


def decided(top: str, item: QueueItem) -> Content:
    """What is left of it; `top` is its heading, as it was."""
    line = f"{top or item.name}\n\n{clean(item.decided)}"
    return _content(line, f"<p><del>{_safe(top or item.name)}</del><br>{_safe(clean(item.decided))}</p>")


def replacing(event: str, content: Content) -> Content:
    """The content as an edit of that event (Client-Server API 11.3.7)."""
    relation = {"rel_type": "m.replace", "event_id": event}
    return content | {"body": f"* {content['body']}", "m.new_content": content, "m.relates_to": relation}


def by_sign(key: str) -> str | None:
    """What a sign decides; None if it is no word of ours."""
    return SIGNS.get(key.strip(_VARIATION))


def by_words(text: str) -> tuple[str, str, str] | None:
    """(verb, name, reason) of `!junto VERB [NAME] [REASON]`; verb "" for one that decides nothing, None for other talk."""
    words = spoken(text)
    if words is None:
        return None
    verb = _VERBS.get(words[0].lower(), "") if words else ""
    named = len(words) > 1 and words[1][:2].lower() in _NAMED
    return verb, words[1] if named else "", " ".join(words[2 if named else 1 :])


def usage() -> str:
    return _(
        "Set ✅ or ❌ on what waits, or write: !junto approve H-xxxx, !junto reject H-xxxx and your reason (which its author is told), "
        "or !junto ban H-xxxx. In answer to a message of mine the name may be left out."
    )


def topic(title: str) -> str:
    words = _(
        "What waits in {forum} for those who look after it, and nobody else. ✅ publishes or lets in, ❌ does not."
    )
    return words.format(forum=title)


def _how(item: QueueItem) -> str:
    if item.kind == "entry":
        return _("✅ lets them in, ❌ does not; or !junto reject {name} and your reason.").format(name=item.name)
    if item.kind == "report":
        return _("✅ the post stays, ❌ it is taken back; or !junto ban {name}.").format(name=item.name)
    return _("✅ publishes it, ❌ does not; or !junto reject {name} and your reason, or !junto ban {name}.").format(
        name=item.name
    )


def _content(body: str, formatted: str) -> Content:
    rich = {"format": "org.matrix.custom.html", "formatted_body": formatted}
    return {"msgtype": "m.notice", "body": body, "m.mentions": {}} | rich


def _safe(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>")
