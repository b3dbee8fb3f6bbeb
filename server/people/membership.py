"""Who belongs to a forum, and with which role and rights. The only writer of `memberships`.

What is sent where is `people.subscriptions`. Who changes these for somebody also calls `desk.forums.changed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, select, update

from server.errors import NotFound, Rejected
from server.i18n import _
from server.people import handles, subscriptions
from server.store.schema import addresses, memberships, people
from server.store.schema import subscriptions as subscribed
from server.store.upsert import insert_new

ROLES = ("member", "moderator", "owner")  # each may what the ones before it may
MODERATORS = ("moderator", "owner")
_STATES = ("banned", "active", "pending", "left")  # of two memberships that become one, the first of these stays

_OF = select(memberships).where(
    memberships.c.person_id == bindparam("person"), memberships.c.forum_id == bindparam("forum")
)


def of(tx: Connection, person_id: int, forum_id: int) -> Row[Any] | None:
    """The person's membership, whatever its state: id, role, state, may_post, joined_at."""
    return tx.execute(_OF, {"person": person_id, "forum": forum_id}).first()


def by_id(tx: Connection, membership_id: int) -> Row[Any] | None:
    """The membership with that id."""
    return tx.execute(select(memberships).where(memberships.c.id == membership_id)).first()


def of_person(tx: Connection, person_id: int) -> list[Row[Any]]:
    """Every membership of the person, whatever its state, oldest first."""
    return list(tx.execute(select(memberships).where(memberships.c.person_id == person_id).order_by(memberships.c.id)))


def join(
    tx: Connection,
    forum_id: int,
    person_id: int,
    address_id: int | None,
    now: int,
    mode: str = "each",
    role: str = "member",
) -> int | None:
    """Make the person an active member who gets posts at the address (None: nowhere); the subscription's id.

    Doing it again changes nothing but what was over, which is revived: who is active keeps role and mode, but a higher role is taken.
    Raises Rejected for somebody who is banned.
    """
    row = {"person_id": person_id, "forum_id": forum_id, "role": role, "joined_at": now}
    if not insert_new(tx, memberships, row, ["person_id", "forum_id"]):
        _revive(tx, forum_id, person_id, role, now)
    return subscriptions.subscribe(tx, forum_id, address_id, person_id, now, mode) if address_id is not None else None


def _revive(tx: Connection, forum_id: int, person_id: int, role: str, now: int) -> None:
    member = of(tx, person_id, forum_id)
    assert member is not None
    if member.state == "banned":
        raise Rejected("5.7.1", _("This person is banned from the forum."))
    highest = role if member.state == "left" else max(role, member.role, key=ROLES.index)
    values: dict[str, Any] = {"role": highest, "state": "active"}
    if member.state != "active":
        values["joined_at"] = now
    tx.execute(update(memberships).where(memberships.c.id == member.id).values(**values))


def is_active(member: Row[Any] | None) -> bool:
    """Whether this is a membership, and one that holds now."""
    return role(member) is not None


def role(member: Row[Any] | None) -> str | None:
    """The role of a membership that holds now; None for any other, and for none."""
    return str(member.role) if member is not None and member.state == "active" else None


def moderates(member: Row[Any] | None) -> bool:
    """Whether it is the membership of somebody who looks after the forum."""
    return role(member) in MODERATORS


def addressed(tx: Connection, forum_id: int | None, part: str) -> list[Row[Any]]:
    """Memberships of the forum (None: of all), of whatever state, each with every `address` of its person that contains the text."""
    query = select(memberships, addresses.c.address).join_from(
        memberships, addresses, addresses.c.person_id == memberships.c.person_id
    )
    query = query.where(addresses.c.address.contains(part, autoescape=True))
    if forum_id is not None:
        query = query.where(memberships.c.forum_id == forum_id)
    return list(tx.execute(query.order_by(memberships.c.id, addresses.c.id)))


def invited(tx: Connection, forum_id: int, person_id: int, role: str, now: int) -> None:
    """Note that the person was asked to join, with the role that they will have; nothing is sent to them as a member yet."""
    row = {"person_id": person_id, "forum_id": forum_id, "role": role, "state": "pending", "joined_at": now}
    if not insert_new(tx, memberships, row, ["person_id", "forum_id"]):
        again = _who(person_id, forum_id) & (memberships.c.state == "left")
        tx.execute(update(memberships).where(again).values(role=role, state="pending"))


def asks(tx: Connection, forum_id: int, person_id: int, now: int) -> int:
    """Note that the person asked to be let in; the membership's id. Raises Rejected for somebody who is banned."""
    row = {"person_id": person_id, "forum_id": forum_id, "state": "pending", "joined_at": now}
    if not insert_new(tx, memberships, row, ["person_id", "forum_id"]):
        again = _who(person_id, forum_id) & (memberships.c.state == "left")
        tx.execute(update(memberships).where(again).values(role="member", state="pending"))
    member = of(tx, person_id, forum_id)
    assert member is not None
    if member.state == "banned":
        raise Rejected("5.7.1", _("This person is banned from the forum."))
    return int(member.id)


def leave(tx: Connection, forum_id: int, person_id: int) -> None:
    """The person is no member any more and nothing is sent to any of their addresses. Who is banned stays so."""
    mine = _who(person_id, forum_id)
    tx.execute(update(memberships).where(mine, memberships.c.state != "banned").values(state="left"))
    subscriptions.end_all(tx, forum_id, person_id)


def end_subscription(tx: Connection, subscription_id: int) -> None:
    """Nothing more is sent to that address; where it was the person's last one, they leave. Raises NotFound."""
    row = subscriptions.by_id(tx, subscription_id)
    subscriptions.end(tx, subscription_id)
    if row.person_id is not None and not subscriptions.has_any(tx, row.forum_id, row.person_id):
        leave(tx, row.forum_id, row.person_id)


def members(tx: Connection, forum_id: int) -> list[Row[Any]]:
    """Everybody who is or was a member, by name: the membership with the person's `key` and `name`, and no address."""
    query = select(memberships, people.c.key, people.c.name).join_from(memberships, people)
    mine = (memberships.c.forum_id == forum_id) & people.c.merged_into.is_(None)
    return list(tx.execute(query.where(mine).order_by(people.c.name, people.c.id)))


def owners(tx: Connection, forum_id: int) -> list[Row[Any]]:
    """Where the forum's owners and moderators are reached: person_id, role, address_id, channel, address.

    One address for each person and channel: where they get the forum's posts, else their oldest.
    """
    here = (subscribed.c.address_id == addresses.c.id) & (subscribed.c.forum_id == forum_id)
    query: Select[Any] = (
        select(
            memberships.c.person_id,
            memberships.c.role,
            addresses.c.id.label("address_id"),
            addresses.c.channel,
            addresses.c.address,
        )
        .join_from(memberships, addresses, addresses.c.person_id == memberships.c.person_id)
        .outerjoin(subscribed, here & (subscribed.c.state == "active"))
        .where(memberships.c.forum_id == forum_id, memberships.c.state == "active", memberships.c.role.in_(MODERATORS))
        .order_by(memberships.c.person_id, subscribed.c.id.is_(None), addresses.c.id)
    )
    first: dict[tuple[int, str], Row[Any]] = {}
    for row in tx.execute(query):
        first.setdefault((row.person_id, row.channel), row)
    return list(first.values())


def set_member(tx: Connection, forum_id: int, person_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a membership (`people.options` reads them from text). Raises NotFound for no member."""
    if not tx.execute(update(memberships).where(_who(person_id, forum_id)).values(**values)).rowcount:
        raise NotFound(_("This person is no member of the forum."))
    if values.get("state") == "banned":
        subscriptions.end_all(tx, forum_id, person_id)


def merge(tx: Connection, gone: int, into: int) -> None:
    """Memberships of `gone` become `into`'s. Where both have one, the higher role stays and every restriction of either.

    The rows of `gone` stay, as of who left: letters to their private addresses still find who it was.
    """
    for theirs in tx.execute(select(memberships).where(memberships.c.person_id == gone)).all():
        row = {"person_id": into, "forum_id": theirs.forum_id, "joined_at": theirs.joined_at, "state": theirs.state}
        insert_new(tx, memberships, row, ["person_id", "forum_id"])
        mine = of(tx, into, theirs.forum_id)
        assert mine is not None
        both = (mine, theirs)
        living = [row for row in both if row.state == "active"]
        values = {
            "state": min((row.state for row in both), key=_STATES.index),
            "role": max((row.role for row in living), key=ROLES.index, default=mine.role),
            "may_post": mine.may_post and theirs.may_post,
            "hide_address": mine.hide_address or theirs.hide_address,
            "joined_at": min((row.joined_at for row in living), default=mine.joined_at),
        }
        tx.execute(update(memberships).where(memberships.c.id == mine.id).values(**values))
        tx.execute(update(memberships).where(memberships.c.id == theirs.id).values(state="left"))


def renew_via(tx: Connection, secret: bytes, forum_id: int, person_id: int, now: int) -> None:
    """Their private address is another one from now on; the old ones reach nobody. Raises NotFound for no member."""
    member = of(tx, person_id, forum_id)
    if member is None:
        raise NotFound(_("This person is no member of the forum."))
    handles.replace(tx, secret, "via", member.id, now)


def _who(person_id: int, forum_id: int) -> ColumnElement[bool]:
    return (memberships.c.person_id == person_id) & (memberships.c.forum_id == forum_id)
