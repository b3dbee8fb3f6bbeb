"""What goes to one person alone, in the port's words: a notice with all that its text names, a letter. Reads only.

Said when it leaves and not when it was booked: so no token lies in the queue, and what is counted or listed is what is so now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import zstandard
from sqlalchemy import Connection, Row

from server import bridge, limits
from server.delivery import digests, flagged, notices, receipts, waiting
from server.desk import Desk, digest_replies, forums
from server.i18n import _, speaking
from server.moderation import entry
from server.people import identity


def notice(tx: Connection, desk: Desk, row: Row[Any], channel: str, secret: str | None) -> bridge.NoticeItem:
    """A notice in its reader's language. `secret`: the token that was made for this attempt, where it carries one."""
    template, data = notices.TEMPLATES[row.template], json.loads(row.data)
    forum = _forum(tx, desk, row)
    site = urlsplit(desk.base_url).hostname or "localhost"
    facts = {key: str(value) for key, value in data.items() if value is not None} | {"site": site}
    facts.setdefault("place", site)
    if template.link and secret:
        facts |= {"link": desk.base_url + template.link.format(token=secret), "code": secret}
    language = data.get("language") or "en"
    enclosed: tuple[bytes, ...] = ()
    with speaking(language):
        if "mode" in data:
            facts["delivery"] = _delivery(data["mode"])
        if forum is not None:
            facts |= _addresses(forum)
            if row.template == receipts.TEMPLATE:
                facts |= receipts.facts(tx, desk, row, forum)
            elif row.template == digest_replies.QUESTION:
                facts |= _which_post(tx, desk, forum, data)
            elif "flags" in data:
                facts |= flagged.about(tx, forum, data["flags"])
            elif "entrant" in data:
                facts |= _entrant(tx, forum, data)
            elif "posts" in data:
                held = waiting.about(tx, desk, channel, data, forum, facts.get("link", ""))
                facts, enclosed = facts | held.facts, held.enclosed
        subject, text = notices.compose(row.template, facts, channel in desk.channels(takes_back=True))
    return bridge.NoticeItem(
        id=row.id,
        forum=forum,
        subject=subject,
        text=text,
        message_id=f"<{data['uuid']}@{forum.mail_domain if forum is not None else site}>",
        language=language,
        reply=(template.answer, secret or "") if template.answer else None,
        in_reply_to=(data["in_reply_to"],) if data.get("in_reply_to") else (),
        enclosed=enclosed,
    )


def _forum(tx: Connection, desk: Desk, row: Row[Any]) -> bridge.Forum | None:
    return forums.view(forums.by_id(tx, row.forum_id), desk.base_url) if row.forum_id is not None else None


def _addresses(forum: bridge.Forum) -> dict[str, str]:
    """What a text may say of its forum: the name, the page, and where to write what."""
    at = f"@{forum.mail_domain}"
    words = {word: f"{forum.slug}-{word}{at}" for word in ("owner", "join", "leave", "request")}
    return {"forum": forum.title, "url": forum.url, "address": forum.slug + at} | words


def _delivery(mode: str) -> str:
    """What is sent to a mailbox, in words."""
    return {
        "each": _("every post"),
        "topics": _("first posts, and threads that you take part in"),
        "mentions": _("answers to you"),
        "daily": _("one mail a day with what was new"),
        "weekly": _("one mail a week with what was new"),
    }.get(mode) or _("nothing")


def _entrant(tx: Connection, forum: bridge.Forum, data: Mapping[str, Any]) -> dict[str, str]:
    """Who asks to be let in, with their address: moderators alone are told it."""
    row = entry.of(tx, forum.id, int(data["entrant"]))
    if row is None:
        return {"who": _("somebody"), "about": _("This was decided before the mail left: there is nothing to do.")}
    about = f"{row.name} <{row.address}>" if row.name and row.address else row.name or row.address or _("somebody")
    if row.words:
        said = "\n".join(f"    | {line}".rstrip() for line in row.words.splitlines())
        about += "\n\n" + _("They wrote:\n\n{words}").format(words=said)
    return {"who": row.name or row.address or _("somebody"), "about": about}


def _which_post(tx: Connection, desk: Desk, forum: bridge.Forum, data: Mapping[str, Any]) -> dict[str, str]:
    """The reply addresses of a digest's posts, which are never stored, and the words that came back."""
    listed = [
        f"  {topic}\n  {who}:\n    {forum.slug}-item+{token}@{forum.mail_domain}"
        for topic, who, token in digests.choices(tx, desk, int(data["digest"]))
    ]
    words = "\n".join(f"> {line}" for line in data["words"].split("\n"))
    if data["files"]:
        words += "\n\n" + _("Your files: {names}").format(names=", ".join(data["files"]))
    return {"choices": "\n\n".join(listed), "words": words}


def letter(tx: Connection, desk: Desk, row: Row[Any], channel: str, via: str | None) -> bridge.LetterItem:
    """A letter. `via`: the token of the address at which its writer is answered."""
    data = json.loads(row.data)
    key = identity.person(tx, row.person_id).key if row.person_id is not None else ""
    original = None
    if row.original is not None and data["channel"] == channel:
        original = zstandard.decompress(row.original, max_output_size=2 * limits.MESSAGE_BYTES)
    return bridge.LetterItem(
        id=row.id,
        forum=_forum(tx, desk, row),
        writer=bridge.Writer(key, data["name"] or _("a member"), via),
        subject=data["subject"],
        text=data["text"],
        message_id=data["message_id"],
        to=row.template,
        reply_via=via,
        reply_address=data.get("reply_address"),
        original=original,
    )
