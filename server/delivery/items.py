"""From claimed rows to lots: checked once more, and with their tokens and the item ready to be said. Writes nothing but a notice's grant.

Two steps, because a grant is written and loading a post only reads: `check` runs in the claim's own transaction, `load` after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import bridge
from server.archive.masking import masked_post
from server.archive.portable import port_post
from server.bridge import Lot, Outbound, Target
from server.delivery import announced, digests, letters, notices, private, receipts, wanted
from server.desk import Desk, announce, forums, history, rooms
from server.desk import posts as desk_posts
from server.moderation import queue
from server.people import handles, identity, subscriptions
from server.store.schema import forums as forums_table
from server.store.schema import memberships, posts, reactions, revisions

POSTS = ("post", "edit", "retraction", "reaction")
TO_MEMBERS = ("post", "digest", "correction")  # what a subscription is sent, with its ways out
PRINTED = (  # by kind of item: what a copy's tokens are called, and their kind
    (TO_MEMBERS, {"leave": "leave", "bounces": "bounces", "mute": "mute"}),
    (("notice",), {"bounces": "probe"}),  # what comes back of a probe comes back to a token of its own
)
_TARGET = attrgetter("id", "attempts", "address", "subscription_id", "item_kind")


@dataclass(frozen=True, slots=True)
class Ready:
    """Claimed rows of one item that may leave. `secret` is a token made for this attempt of a notice; `via` of a post's author."""

    kind: str
    item_id: int
    channel: str
    rows: tuple[Row[Any], ...]
    secret: str | None = None
    via: str | None = None


def check(tx: Connection, desk: Desk, rows: Sequence[Row[Any]], now: int) -> tuple[list[Ready], dict[int, str]]:
    """The claimed rows that may still leave, by item; and those that must not, each with the reason."""
    dropped = wanted.unwanted(tx, rows)
    kept = [row for row in rows if row.id not in dropped]
    groups: dict[tuple[str, int], list[Row[Any]]] = {}
    channel = rows[0].channel if rows else ""
    for row in kept:
        groups.setdefault((row.item_kind, row.item_id), []).append(row)
    via = _via(tx, desk, [item for kind, item in groups if kind == "post"])
    ready = [
        Ready(kind, item, channel, tuple(group), *_tokens(tx, desk, kind, item, via, now))
        for (kind, item), group in groups.items()
    ]
    return ready, dropped


def _tokens(
    tx: Connection, desk: Desk, kind: str, item_id: int, via: Mapping[int, str], now: int
) -> tuple[str | None, str | None]:
    """(secret, via) of an item, see Ready."""
    if kind == "post":
        return None, via.get(item_id)
    if kind == "notice":
        return _notice_secret(tx, letters.get(tx, item_id), now), None
    if kind == "letter":
        mine = json.loads(letters.get(tx, item_id).data).get("membership_id")
        return None, handles.printed(tx, desk.secret, "via", mine) if mine else None
    return None, None


def _notice_secret(tx: Connection, row: Row[Any], now: int) -> str | None:
    template = notices.TEMPLATES[row.template]
    if template.grants is None:
        return None
    data = json.loads(row.data) | {"template": row.template}
    thing = row.forum_id if row.forum_id is not None else identity.person_at(tx, data["address_id"])
    return handles.grant(tx, template.grants, thing, data, now, template.valid_ms)


def _via(tx: Connection, desk: Desk, post_ids: Sequence[int]) -> dict[int, str]:
    """By post, the token of its author's -via address; of an author who is a member, or was."""
    if not post_ids:
        return {}
    of_author = sa.and_(memberships.c.person_id == posts.c.person_id, memberships.c.forum_id == posts.c.forum_id)
    authors = sa.select(posts.c.id, memberships.c.id.label("member")).join(memberships, of_author)
    rows = tx.execute(authors.where(posts.c.id.in_(post_ids))).all()
    printed = handles.printed_many(tx, desk.secret, "via", {row.member for row in rows})
    return {row.id: printed[row.member] for row in rows}


def _hides(tx: Connection, post_id: int) -> bool:
    """Whether its author, or the forum for all, wants no address of theirs on its copies."""
    of_author = sa.and_(memberships.c.person_id == posts.c.person_id, memberships.c.forum_id == posts.c.forum_id)
    hides = sa.or_(forums_table.c.hide_addresses, memberships.c.hide_address)
    query = sa.select(posts.c.id).join(forums_table, forums_table.c.id == posts.c.forum_id)
    return tx.scalar(query.outerjoin(memberships, of_author).where(posts.c.id == post_id, hides)) is not None


def load(tx: Connection, desk: Desk, ready: Sequence[Ready]) -> tuple[list[Lot], dict[int, str]]:
    """The items, in the port's words; and the claimed rows of posts that were taken back since the claim, each with the reason."""
    lots: list[Lot] = []
    gone: dict[int, str] = {}
    shelf, tokens = Shelf(tx, desk), _printed(tx, desk, ready)
    for each in ready:
        item = None if _is_gone(tx, each) else _item(tx, desk, each, shelf)
        if item is None:
            gone |= {row.id: "taken back" for row in each.rows}
        else:
            lots.append(Lot(item, [_target(row, tokens) for row in each.rows], f"{each.kind}:{each.item_id}"))
    return lots, gone


Printed = Mapping[str, Mapping[str, Mapping[int, str]]]


def _printed(tx: Connection, desk: Desk, ready: Sequence[Ready]) -> Printed:
    """By item kind, name and subscription: the tokens that copies carry."""
    found: dict[str, dict[str, dict[int, str]]] = {}
    for item_kinds, names in PRINTED:
        rows = [row for each in ready if each.kind in item_kinds for row in each.rows]
        ids = {row.subscription_id for row in rows if row.subscription_id is not None}
        printed = {name: handles.printed_many(tx, desk.secret, kind, ids) for name, kind in names.items()}
        found |= dict.fromkeys(item_kinds, printed)
    return found


def _target(row: Row[Any], printed: Printed) -> Target:
    delivery, attempt, address, subscription, kind = _TARGET(row)
    tokens = {}
    if subscription is not None and kind in printed:
        tokens = {name: of[subscription] for name, of in printed[kind].items()}
    return Target(delivery, attempt, address or "", tokens)


class Shelf:
    """Posts as digests show them, each loaded once for all the digests of a claim."""

    def __init__(self, tx: Connection, desk: Desk) -> None:
        self._tx, self._desk = tx, desk
        self._posts: dict[int, bridge.Post] = {}

    def post(self, post_id: int) -> bridge.Post:
        """The post with its thread's subject and without received bytes."""
        if post_id not in self._posts:
            found = port_post(self._tx, post_id, "", self._desk.base_url)
            via = _via(self._tx, self._desk, [post_id]).get(post_id)
            self._posts[post_id] = replace(found, writer=replace(found.writer, via=via))
        return self._posts[post_id]


def _is_gone(tx: Connection, ready: Ready) -> bool:
    """Whether it would say words that their author took back."""
    if ready.kind not in ("post", "edit", "correction"):
        return False
    state = sa.select(posts.c.state).where(posts.c.id == wanted.post_id(tx, ready.kind, ready.item_id))
    return tx.scalar(state) != "published"


def _item(tx: Connection, desk: Desk, ready: Ready, shelf: Shelf) -> Outbound | None:
    """The item in the port's words; None if nothing is left of it."""
    if ready.kind in POSTS:
        post = _post(tx, desk, wanted.post_id(tx, ready.kind, ready.item_id), ready.channel, ready.via)
        if ready.kind == "post":
            return bridge.PostItem(post)
        if ready.kind == "edit":
            return bridge.EditItem(post)
        if ready.kind == "retraction":
            return bridge.RetractionItem(post)
        row = tx.execute(sa.select(reactions).where(reactions.c.id == ready.item_id)).one()
        person = identity.person(tx, row.person_id)
        return bridge.ReactionItem(post, bridge.Writer(person.key, person.name), row.key, row.removed_at is not None)
    if ready.kind == "correction":
        return _correction(tx, ready.item_id, shelf)
    if ready.kind == "digest":
        return digests.item(tx, desk, ready.item_id, shelf.post)
    if ready.kind == "member":
        return rooms.member(tx, desk, ready.item_id)
    if ready.kind == "state":
        return rooms.state(tx, desk, ready.item_id, ready.channel)
    if ready.kind in announce.KINDS:
        return announced.item(tx, desk, ready.kind, ready.item_id, ready.channel)
    if ready.kind == "decision":
        return _decision(tx, desk, ready)
    if ready.kind == "history":
        return _history(tx, desk, ready)
    row = letters.get(tx, ready.item_id)
    if row.template == receipts.TEMPLATE and receipts.is_gone(tx, row):
        return None
    if ready.kind == "notice":
        return private.notice(tx, desk, row, ready.channel, ready.secret)
    return private.letter(tx, desk, row, ready.channel, ready.via)


def _post(tx: Connection, desk: Desk, post_id: int, channel: str, via: str | None) -> bridge.Post:
    post = port_post(tx, post_id, channel, desk.base_url)
    post = replace(post, writer=replace(post.writer, via=via, hidden=_hides(tx, post.id)))
    # A room is as open as a page: no address is shown there.
    return masked_post(post) if channel in desk.channels(takes_back=True) else post


def _history(tx: Connection, desk: Desk, ready: Ready) -> bridge.HistoryItem:
    room = subscriptions.by_id(tx, ready.item_id)
    ids = history.untold(tx, room.forum_id, room.channel, room.address_id)
    via = _via(tx, desk, ids)
    forum = forums.view(forums.by_id(tx, room.forum_id), desk.base_url)
    told = tuple(_post(tx, desk, each, ready.channel, via.get(each)) for each in ids)
    return bridge.HistoryItem(ready.item_id, forum, told)


def _decision(tx: Connection, desk: Desk, ready: Ready) -> bridge.DecisionItem | None:
    row = queue.decision(tx, ready.item_id)
    if row is None:
        return None
    forum = forums.view(forums.by_id(tx, desk_posts.get(tx, ready.item_id).forum_id), desk.base_url)
    refs = tuple(ref for ref in queue.names(row) if ref.space == ready.channel)
    return bridge.DecisionItem(forum, row.name, refs, row.approved)


def _correction(tx: Connection, revision_id: int, shelf: Shelf) -> bridge.CorrectionItem:
    row = tx.execute(sa.select(revisions).where(revisions.c.id == revision_id)).one()
    as_mailed = sa.select(revisions.c.text).where(
        revisions.c.post_id == row.post_id, revisions.c.number == row.corrects
    )
    return bridge.CorrectionItem(shelf.post(row.post_id), row.message_id, tx.execute(as_mailed).scalar_one())
