"""How a post is changed after it was born: edits, retractions, reactions. One transaction each.

Until it is due an edit just happens; afterwards it changes archive and rooms, and mail cannot be unsent.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import bridge
from server.bridge import Accepted, Correct, Duplicate, Edit, Proof, Reaction, Result, Retract
from server.delivery import outbox
from server.desk import Desk, announce, author, book, forums, pieces, place, posts, unpublished
from server.desk.names import withdrawn
from server.desk.prepare import Prepared
from server.errors import Rejected
from server.i18n import _
from server.moderation import audit, flags
from server.people import identity, membership, subscriptions


def edit(tx: Connection, desk: Desk, prepared: Prepared[Edit]) -> Result:
    """Replace the words of a post (or of one part of a burst). Raises Rejected unless its author or a moderator asks."""
    inbound, now = prepared.inbound, desk.now()
    mended = unpublished.edit(tx, desk, prepared)
    if mended is not None:
        return mended
    forum, target, who = target_of(tx, inbound)
    if place.find(tx, forum.id, [inbound.ref]) is not None:
        return Duplicate(f"{forum.slug}/{target.seq}")
    before = posts.body(tx, target.post_id)
    parts = pieces.read(before.pieces)
    refuse_others(tx, forum, pieces.said_by(parts, target.part) or target.person_id, inbound.author, who)
    if target.state != "published" or pieces.is_gone(parts, target.part):
        raise Rejected("5.5.1", _("This was taken back, so it cannot be edited."))
    if parts is not None and target.part < len(parts):
        parts = pieces.replaced(parts, target.part, pieces.of(prepared))
        posts.set_body(tx, target.post_id, pieces.joined(parts), parts)
    else:
        posts.set_body(tx, target.post_id, prepared.derived)
    if prepared.original is not None:
        posts.append_original(tx, target.post_id, inbound.author.channel, prepared.original)
    revision = posts.add_revision(tx, target.post_id, before.text, now)
    forums.changed(tx, forum.id, "edit", target.post_id, now)
    book.change(tx, desk, "edit", revision, target.post_id, inbound.author.channel, now)
    return Accepted(f"{forum.slug}/{target.seq}")


def retract(tx: Connection, desk: Desk, inbound: Retract) -> Result:
    """Take a post back, or one part of a burst. The answer says in how many mailboxes it already is."""
    now = desk.now()
    gone = unpublished.retract(tx, desk, inbound)
    if gone is not None:
        return gone
    forum, target, who = target_of(tx, inbound)
    if target.state == "retracted":
        return Duplicate(f"{forum.slug}/{target.seq}")
    by_author = said_by(tx, target.post_id, target.part)
    refuse_others(tx, forum, by_author, inbound.author, who)
    channel, where = inbound.author.channel, f"{forum.slug}/{target.seq}"
    if who is not None and who.person_id != by_author:
        audit.record(tx, f"person:{who.person_id}", "retract", where, now, forum.id, channel)
    already = withdraw(tx, desk, forum, target.post_id, target.part, channel, now)
    reply = _("It is gone here; {count} mailboxes have it already.").format(count=already) if already else ""
    return Accepted(where, reply)


def said_by(tx: Connection, post_id: int, part: int) -> int | None:
    """The person whose words the post, or that part of it, is."""
    parts = pieces.read(posts.body(tx, post_id).pieces)
    by: int | None = pieces.said_by(parts, part) or posts.get(tx, post_id).person_id
    return identity.survivor(tx, by) if by is not None else None


def withdraw(
    tx: Connection, desk: Desk, forum: Row[Any], post_id: int, part: int, but_not: str | None, now: int
) -> int | None:
    """Take back one part of a post of several messages (None), or what is all of it: then the number of mailboxes that have it."""
    parts = pieces.read(posts.body(tx, post_id).pieces)
    if parts is not None and part < len(parts):
        parts = pieces.replaced(parts, part, None)
        posts.drop_files(tx, post_id, part)
        if posts.has_files(tx, post_id) or not pieces.is_empty(parts):
            posts.set_body(tx, post_id, pieces.joined(parts), parts)
            forums.changed(tx, forum.id, "edit", post_id, now)
            return None
    return take_back(tx, desk, forum, post_id, but_not, now)


def take_back(tx: Connection, desk: Desk, forum: Row[Any], post_id: int, but_not: str | None, now: int) -> int:
    """Empty a post everywhere that we hold it, and book its removal where it can be taken back; in how many mailboxes it stays."""
    row = posts.get(tx, post_id)
    for kind, item_id in [("post", post_id), *(("correction", row.id) for row in posts.revisions(tx, post_id))]:
        outbox.drop_item(tx, kind, item_id, "taken back by its author", now)
    book.change(tx, desk, "retraction", post_id, post_id, but_not, now)
    if row.channel != but_not and row.channel in desk.channels(takes_back=True):  # it was said there, not sent there
        for address_id in subscriptions.rooms(tx, forum.id, row.channel):
            outbox.book_one(tx, "retraction", post_id, row.channel, address_id, now, forum.id)
    posts.empty(tx, post_id, "retracted", now)
    for each in flags.end(tx, post_id, "server", now):
        announce.show(tx, desk, announce.REPORT, each, forum.id)
    withdrawn(tx, row.thread_id)
    forums.changed(tx, forum.id, "retraction", post_id, now)
    return outbox.sent_count(tx, post_id, desk.channels(takes_back=False))


def react(tx: Connection, desk: Desk, inbound: Reaction) -> Result:
    """Set or take away a sign on a post. Strangers' signs are taken where they may post."""
    now = desk.now()
    forum, target, who = target_of(tx, inbound)
    member = membership.of(tx, who.person_id, forum.id) if who else None
    if who is None or not membership.is_active(member):
        raise Rejected("5.7.1", _("Only members of {forum} can react.").format(forum=forum.title))
    key = inbound.key[:64]
    changed = posts.react(tx, target.post_id, who.person_id, key, inbound.author.channel, inbound.removed, now)
    if changed is None:
        return Duplicate(f"{forum.slug}/{target.seq}")
    forums.changed(tx, forum.id, "reaction", target.post_id, now)
    book.change(tx, desk, "reaction", changed, target.post_id, inbound.author.channel, now)
    return Accepted(f"{forum.slug}/{target.seq}")


def target_of(
    tx: Connection, inbound: Edit | Correct | Retract | Reaction
) -> tuple[Row[Any], Row[Any], identity.Known | None]:
    """The forum (locked), the post that is meant, and who asks. Raises Rejected; who is shut out may only take their words back."""
    forum = forums.addressed(tx, inbound.forum)
    forums.lock(tx, forum.id)
    target = place.find(tx, forum.id, [inbound.target])
    if target is None:
        raise Rejected("5.5.0", _("There is no such post here."))
    who = author.find(tx, inbound.author)
    if not isinstance(inbound, Retract):
        author.refuse_shut_out(tx, forum, inbound.author, who)
    return forum, target, who


def refuse_others(
    tx: Connection, forum: Row[Any], author_id: int | None, by: bridge.Author, who: identity.Known | None
) -> None:
    """Raise Rejected unless its author or a moderator asks, with proof."""
    if who is None or by.proof < Proof.SESSION or not may_change(tx, forum, author_id, who.person_id):
        raise Rejected("5.7.1", _("Only its author and moderators can change a post."))


def may_change(tx: Connection, forum: Row[Any], author_id: int | None, person_id: int) -> bool:
    """Whether that person may change a post of that author: their own, or as a moderator anybody's."""
    if author_id is not None:
        author_id = identity.survivor(tx, author_id)  # lines of talk remember who said them by whom they were then
    return person_id == author_id or membership.moderates(membership.of(tx, person_id, forum.id))
