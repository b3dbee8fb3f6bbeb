"""What somebody may know of a post, by a word in answer to it: who wrote it and by which way, and where it went. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import limits
from server.bridge import WEB
from server.delivery import receipts
from server.desk import Desk, change, forums, place
from server.desk.wishes import Member
from server.errors import CommandError
from server.i18n import _
from server.people import identity
from server.store.schema import posts

VERBS = ("who", "trace")


def answer(tx: Connection, desk: Desk, by: Member, words: Sequence[str]) -> str:
    """The answer to a member. Raises CommandError where they do not say of which post, or may not know."""
    verb, value = words[0], " ".join(words[1:])
    post = _post(tx, by, value)
    if post is None:
        raise CommandError(_("{verb}: which post? Answer it, or write its number: {verb} 12.").format(verb=verb))
    return _who(tx, desk, post) if verb == "who" else _trace(tx, desk, by, post)


def _post(tx: Connection, by: Member, value: str) -> Row[Any] | None:
    number = limits.whole_number(value)
    if not value:
        found = place.find(tx, by.forum.id, by.about)
        number = found.seq if found is not None else None
    if number is None:
        return None
    mine = (posts.c.forum_id == by.forum.id, posts.c.seq == number, posts.c.state == "published")
    return tx.execute(sa.select(posts).where(*mine)).first()


def _who(tx: Connection, desk: Desk, post: Row[Any]) -> str:
    """A name and a channel, and never an address."""
    name = post.author_name
    if post.person_id is not None:
        name = identity.person(tx, post.person_id).name or name
    if post.channel == WEB:
        way = _("on the web page")
    else:
        way = _("in the room") if post.channel in desk.channels(takes_back=True) else _("by mail")
    return _("Post {number} is {name}'s, written {way}.").format(number=post.seq, name=name or _("a member"), way=way)


def _trace(tx: Connection, desk: Desk, by: Member, post: Row[Any]) -> str:
    if not change.may_change(tx, by.forum, post.person_id, by.person_id):
        raise CommandError(_("trace: only its author and moderators are told where a post went."))
    forum = forums.view(by.forum, desk.base_url)
    went = receipts.places(tx, desk, post, forum)
    return _("Post {number}, {url}, went to:\n\n{places}").format(
        number=post.seq, url=f"{forum.url}/{post.seq}", places=went
    )
