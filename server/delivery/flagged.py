"""What the mail about reported posts says: which, who reported them and why, what can be done. Read-only, said when it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from server.archive.masking import Mask
from server.bridge import Forum
from server.content.excerpts import first_words
from server.desk import pieces, posts
from server.i18n import _, ngettext
from server.moderation import flags
from server.people import identity

LINE_CHARS = 300


def meant(tx: Connection, post_id: int, part: int) -> tuple[str, str]:
    """(author, words) of what is meant: of a talk the one line."""
    body = posts.body(tx, post_id)
    parts = pieces.read(body.pieces)
    if parts is not None and pieces.said_by(parts, part) is not None:
        return parts[part]["name"], parts[part]["fresh_text"]
    return posts.get(tx, post_id).author_name, body.fresh_text


def about(tx: Connection, forum: Forum, ids: Sequence[int]) -> dict[str, str]:
    """The facts of the notice, in the reader's language; what was decided meanwhile is not asked about."""
    rows = [row for each in ids if (row := flags.find(tx, each)) is not None and row.state == flags.OPEN]
    return {
        "what": ngettext("{count} post", "{count} posts", len(rows)).format(count=len(rows)),
        "list": "\n\n".join(_entry(tx, forum, row) for row in rows) or _("All of it is decided by now."),
    }


def _entry(tx: Connection, forum: Forum, row: Row[Any]) -> str:
    post, mask = posts.get(tx, row.post_id), Mask(forum.slug, forum.mail_domain)
    author, said = meant(tx, row.post_id, row.part)
    reporter = identity.person(tx, row.person_id).name or _("somebody")
    lines = [
        _("{author} wrote: {words}").format(author=author, words=mask.text(first_words(said, LINE_CHARS))),
        f"{forum.url}/{post.seq}",
        _("Reported by {name}: {why}").format(
            name=reporter, why=mask.text(first_words(row.reason, LINE_CHARS)) or _("no reason was given")
        ),
    ]
    return "\n".join(f"  {line}" for line in lines)
