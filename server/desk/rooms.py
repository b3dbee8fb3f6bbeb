"""Rooms that stand for forums on other channels: which one gets a forum's posts, and who has which place in it.

A room is a subscription without a person. What a bridge says of its rooms comes in here; it knows no channel by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import bridge
from server.bridge import Ref
from server.delivery import letters, outbox
from server.desk import Desk, forums, history, place
from server.desk.names import Names
from server.i18n import _
from server.moderation import bans
from server.people import identity, membership, subscriptions
from server.store.schema import addresses, memberships, posts

_HERE = (
    sa.select(addresses.c.address, memberships.c.role, memberships.c.state, memberships.c.may_post)
    .join_from(memberships, addresses, addresses.c.person_id == memberships.c.person_id)
    .where(memberships.c.forum_id == sa.bindparam("forum"), addresses.c.channel == sa.bindparam("of"))
    .order_by(memberships.c.id, addresses.c.id)
)


def state(tx: Connection, desk: Desk, forum_id: int, channel: str) -> bridge.StateItem:
    """The forum as a channel keeps it, with everybody's place in its room by their addresses there."""
    forum = forums.by_id(tx, forum_id)
    here: list[Row[Any]] = list(tx.execute(_HERE, {"forum": forum_id, "of": channel}))
    active = [row for row in here if row.state == "active"]
    by_themselves = forum.visibility == "public" and forum.join_policy == "open"
    return bridge.StateItem(
        forums.view(forum, desk.base_url),
        owners=tuple(row.address for row in active if row.role == "owner"),
        moderators=tuple(row.address for row in active if row.role == "moderator"),
        members=() if by_themselves else tuple(row.address for row in active),
        asking=tuple(row.address for row in here if row.state == "pending"),
        banned=_banned(tx, desk, forum_id, channel, here),
        muted=tuple(row.address for row in active if row.role == "member" and not row.may_post),
    )


def member(tx: Connection, desk: Desk, membership_id: int) -> bridge.MemberItem | None:
    """What became of a member, for the rooms where they wrote. Who is a member nowhere is not called by their name there any more."""
    row = membership.by_id(tx, membership_id)
    if row is None:
        return None
    person = identity.person(tx, row.person_id)
    name = person.name
    if person.erased_at is not None:
        name = _("Somebody")
    elif person.merged_into is not None:
        name = identity.person(tx, person.merged_into).name
    elif not any(map(membership.is_active, membership.of_person(tx, person.id))):
        name = _("A former member")
    forum = forums.view(forums.by_id(tx, row.forum_id), desk.base_url)
    return bridge.MemberItem(forum, bridge.Writer(person.key, name), membership.is_active(row))


def _banned(tx: Connection, desk: Desk, forum_id: int, channel: str, here: Sequence[Row[Any]]) -> tuple[str, ...]:
    """Who was put out, and the addresses of this channel that were banned before anybody came by them."""
    claims = desk.claims.get(channel)
    named = [row.value for row in bans.listing(tx, forum_id) if row.kind == bans.ADDRESS]
    named = [value for value in named if claims is not None and claims(value) == value]
    return tuple(dict.fromkeys([*(row.address for row in here if row.state == "banned"), *named]))


def attach(
    tx: Connection, desk: Desk, channel: str, slug: str, address: str, members_only: bool, empty: bool = False
) -> bool:
    """The room gets the forum's posts from now on; one that is `empty` is told first what was posted before.

    Whether it still is, and must be kept closed. Raises NotFound, Rejected.
    """
    forum, now = forums.get(tx, slug), desk.now()
    forums.lock(tx, forum.id)
    if subscriptions.room_forum(tx, channel, address) == forum.id:
        known = subscriptions.at(tx, forum.id, identity.ensure_room(tx, channel, address, now))
        return known is not None and known.filling and history.fill(tx, desk, forum.id, known.id, now)
    subscription = _subscribed(tx, forum.id, channel, address, members_only, now)
    return empty and history.fill(tx, desk, forum.id, subscription, now)


def detach(tx: Connection, channel: str, address: str) -> None:
    """The room gets nothing any more but what is taken back."""
    forum_id = subscriptions.room_forum(tx, channel, address)
    if forum_id is not None:
        forums.lock(tx, forum_id)
        subscriptions.end_room(tx, forum_id, channel, address)


def move(tx: Connection, desk: Desk, channel: str, slug: str, old: str, new: str, members_only: bool) -> None:
    """What waits for the old room goes to the new one; doing it again changes nothing. Raises NotFound, Rejected."""
    forum = forums.get(tx, slug)
    forums.lock(tx, forum.id)
    now = desk.now()
    subscription = _subscribed(tx, forum.id, channel, new, members_only, now)
    if subscriptions.room_forum(tx, channel, old) == forum.id:
        there = [identity.ensure_room(tx, channel, address, now) for address in (old, new)]
        outbox.redirect(tx, there[0], there[1], subscription, now)
        subscriptions.end_room(tx, forum.id, channel, old)
    outbox.kept_changed(tx, "state", forum.id, now)


def _subscribed(tx: Connection, forum_id: int, channel: str, address: str, members_only: bool, now: int) -> int:
    subscription = subscriptions.attach_room(tx, forum_id, identity.ensure_room(tx, channel, address, now), now)
    subscriptions.change(tx, subscription, {"members_only": members_only, "filling": False})
    return subscription


def note(
    tx: Connection, channel: str, slug: str, address: str, post_id: int, message_id: str, refs: Sequence[Ref], now: int
) -> bool:
    """Give a post the names that it has in the room, where it need not be said again. False: it is another post, or none.

    A database that was restored may have given the number to another post since; the Message-ID is given once.
    """
    forum = forums.get(tx, slug)
    mine = (posts.c.id == post_id, posts.c.forum_id == forum.id, posts.c.message_id == message_id)
    row = tx.execute(sa.select(posts).where(*mine, posts.c.state == "published")).first()
    if row is None:
        return False
    forums.lock(tx, forum.id)
    place.also_named(Names(tx, forum.id), row.thread_id, row.id, refs)
    outbox.found(tx, "post", row.id, identity.ensure_room(tx, channel, address, now), now)
    return True


def alarm(tx: Connection, desk: Desk, slug: str, reason: str) -> None:
    """The operator is told that the forum's room is closed to us. Raises NotFound."""
    letters.tell_operator(tx, desk, "room-closed", forums.get(tx, slug).id, reason)


def looked_after(tx: Connection, channel: str, address: str) -> list[Row[Any]]:
    """The forums that the person at the address is an owner or moderator of."""
    known = identity.find(tx, channel, address)
    if known is None:
        return []
    mine = (memberships.c.person_id == known.person_id, memberships.c.state == "active")
    roles = memberships.c.role.in_(membership.MODERATORS)
    ids = tx.scalars(sa.select(memberships.c.forum_id).where(*mine, roles).order_by(memberships.c.forum_id)).all()
    return [forums.by_id(tx, forum_id) for forum_id in ids]
