"""What is sent where: targets of posts, a person's mailbox or a room each. The only writer of `subscriptions` and `bounces`.

Who may read and write is `people.membership`. Who changes these for somebody also calls `desk.forums.changed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update

from server.errors import NotFound, Rejected
from server.i18n import _
from server.people import schedule
from server.store.schema import addresses, bounces, forums, people, subscriptions
from server.store.upsert import insert_new

DIAGNOSTIC_CHARS = 2_000
_WELL = {"bounce_score": 0, "bounced_at": None, "probed_at": None, "stopped_at": None, "stop_reason": ""}

gets_digests = (subscriptions.c.mode != "none") & (
    subscriptions.c.mode.in_(schedule.DIGESTS) | (subscriptions.c.conversations == "digest")
)
"""Whether a subscription gets digests: of everything, or of the talk in rooms alone."""

_WITH_ADDRESS = select(subscriptions, addresses.c.channel, addresses.c.address).join_from(subscriptions, addresses)
_HOURS_OF: Select[Any] = (
    select(
        *(subscriptions.c.id, subscriptions.c.state, subscriptions.c.mode),
        *(subscriptions.c.digest_hour, subscriptions.c.digest_day, subscriptions.c.digest_seq),
        *(people.c.timezone, forums.c.last_seq),
    )
    .join_from(subscriptions, forums)
    .outerjoin(people, people.c.id == subscriptions.c.person_id)
)
_HOURS = _HOURS_OF.where(subscriptions.c.id == bindparam("subscription"))
_ROOM = (
    select(subscriptions.c.forum_id)
    .join_from(subscriptions, addresses)
    .where(
        addresses.c.channel == bindparam("by"),
        addresses.c.address == bindparam("at"),
        addresses.c.person_id.is_(None),
        subscriptions.c.state == "active",
    )
)


def subscribe(
    tx: Connection, forum_id: int, address_id: int, person_id: int | None, now: int, mode: str = "each"
) -> int:
    """The address gets the forum's posts from now on; the subscription's id. One that is active, or was stopped, keeps its mode."""
    mine = (subscriptions.c.forum_id == forum_id) & (subscriptions.c.address_id == address_id)
    row = {"forum_id": forum_id, "address_id": address_id, "person_id": person_id, "mode": mode, "created_at": now}
    begun = insert_new(tx, subscriptions, row, ["forum_id", "address_id"])
    if not begun:
        again = {"state": "active", "person_id": person_id} | _WELL
        tx.execute(update(subscriptions).where(mine, subscriptions.c.state == "stopped").values(**again))
        ended = update(subscriptions).where(mine, subscriptions.c.state == "ended")
        begun = tx.execute(ended.values(mode=mode, **again)).rowcount == 1
    subscription_id = int(tx.execute(select(subscriptions.c.id).where(mine)).scalar_one())
    if begun and mode in schedule.DIGESTS:
        digests_begin(tx, subscription_id, now)
    return subscription_id


def end(tx: Connection, subscription_id: int) -> None:
    """Nothing more is sent to that address. A person's may be their last: `membership.end_subscription` looks."""
    tx.execute(update(subscriptions).where(subscriptions.c.id == subscription_id).values(state="ended"))


def end_all(tx: Connection, forum_id: int, person_id: int) -> None:
    """Nothing more of the forum is sent to any of the person's addresses."""
    theirs = (subscriptions.c.person_id == person_id) & (subscriptions.c.forum_id == forum_id)
    tx.execute(update(subscriptions).where(theirs).values(state="ended"))


def has_any(tx: Connection, forum_id: int, person_id: int) -> bool:
    """Whether the person has a subscription to the forum that is not ended."""
    theirs = (subscriptions.c.person_id == person_id) & (subscriptions.c.forum_id == forum_id)
    query = select(subscriptions.c.id).where(theirs, subscriptions.c.state != "ended")
    return tx.execute(query.limit(1)).first() is not None


def by_id(tx: Connection, subscription_id: int) -> Row[Any]:
    """The subscription with its channel and address. Raises NotFound."""
    row = tx.execute(_WITH_ADDRESS.where(subscriptions.c.id == subscription_id)).first()
    if row is None:
        raise NotFound(_("There is no such subscription."))
    return row


def at(tx: Connection, forum_id: int, address_id: int) -> Row[Any] | None:
    """The subscription of that address in the forum, whatever its state."""
    mine = (subscriptions.c.forum_id == forum_id) & (subscriptions.c.address_id == address_id)
    return tx.execute(_WITH_ADDRESS.where(mine)).first()


def of_forum(tx: Connection, forum_id: int) -> list[Row[Any]]:
    """Every subscription of the forum with channel and address, rooms too. For operators only: addresses are private."""
    return list(tx.execute(_WITH_ADDRESS.where(subscriptions.c.forum_id == forum_id).order_by(subscriptions.c.id)))


def change(tx: Connection, subscription_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a subscription. What its member or an operator chooses goes through `people.sending`, which knows digests."""
    tx.execute(update(subscriptions).where(subscriptions.c.id == subscription_id).values(**values))


def attach_room(tx: Connection, forum_id: int, address_id: int, now: int) -> int:
    """The room gets the forum's posts from now on; the subscription's id. Raises Rejected if it is another forum's room."""
    row = tx.execute(select(addresses.c.channel, addresses.c.address).where(addresses.c.id == address_id)).one()
    if room_forum(tx, row.channel, row.address) not in (None, forum_id):
        raise Rejected("5.7.1", _("This room belongs to another forum already."))
    return subscribe(tx, forum_id, address_id, None, now)


def end_room(tx: Connection, forum_id: int, channel: str, address: str) -> None:
    """The room gets nothing of the forum any more."""
    there = select(addresses.c.id).where(addresses.c.channel == channel, addresses.c.address == address)
    mine = (subscriptions.c.forum_id == forum_id) & subscriptions.c.address_id.in_(there)
    tx.execute(update(subscriptions).where(mine, subscriptions.c.person_id.is_(None)).values(state="ended"))


def room_forum(tx: Connection, channel: str, address: str) -> int | None:
    """The id of the forum whose posts go to the room."""
    return tx.execute(_ROOM, {"by": channel, "at": address}).scalar()


def rooms(tx: Connection, forum_id: int, channel: str) -> list[int]:
    """The ids of the addresses of the forum's rooms on a channel, whatever they get now."""
    mine = (subscriptions.c.forum_id == forum_id, subscriptions.c.person_id.is_(None), addresses.c.channel == channel)
    query = select(addresses.c.id).join(subscriptions, subscriptions.c.address_id == addresses.c.id)
    return list(tx.scalars(query.where(*mine).order_by(addresses.c.id)))


def stop(tx: Connection, subscription_id: int, reason: str, now: int) -> None:
    """Nothing is sent to that address until it is resumed; its person stays what they are."""
    values = {"state": "stopped", "stop_reason": reason, "stopped_at": now, "probed_at": None}
    tx.execute(update(subscriptions).where(subscriptions.c.id == subscription_id).values(**values))


def resume(tx: Connection, subscription_id: int) -> None:
    """What was stopped is active again, with a clean record."""
    stopped = (subscriptions.c.id == subscription_id) & (subscriptions.c.state == "stopped")
    tx.execute(update(subscriptions).where(stopped).values(state="active", **_WELL))


def stopped_of(tx: Connection, person_id: int) -> list[Row[Any]]:
    """The person's subscriptions that were stopped, with the forum's `slug` and `title`."""
    query = select(subscriptions, forums.c.slug, forums.c.title).join_from(subscriptions, forums)
    mine = (subscriptions.c.person_id == person_id, subscriptions.c.state == "stopped")
    return list(tx.execute(query.where(*mine).order_by(subscriptions.c.id)))


def stopped_since(tx: Connection, since: int, reason: str) -> int:
    """How many were stopped for that reason since then, and still are."""
    query = select(func.count()).select_from(subscriptions)
    return tx.scalar(query.where(subscriptions.c.stopped_at > since, subscriptions.c.stop_reason == reason)) or 0


def active(tx: Connection) -> int:
    """How many are active, rooms too."""
    return tx.scalar(select(func.count()).select_from(subscriptions).where(subscriptions.c.state == "active")) or 0


def reach(tx: Connection) -> dict[str, dict[str, int]]:
    """To how many targets a new thread goes at once, by channel and the forum's slug."""
    counted = select(addresses.c.channel, forums.c.slug, func.count()).join_from(subscriptions, addresses).join(forums)
    at_once = (subscriptions.c.state == "active", subscriptions.c.mode.in_(("each", "topics")))
    found: dict[str, dict[str, int]] = {}
    for channel, slug, count in tx.execute(counted.where(*at_once).group_by(addresses.c.channel, forums.c.slug)):
        found.setdefault(channel, {})[slug] = count
    return found


def bounces_since(tx: Connection, subscription_id: int, since: int) -> list[Row[Any]]:
    """What was recorded of the subscription since then."""
    mine = (bounces.c.subscription_id == subscription_id, bounces.c.at >= since)
    return list(tx.execute(select(bounces).where(*mine)))


def forget_bounces(tx: Connection, probed_before: int, bounced_before: int) -> None:
    """Clear the record of active subscriptions that were probed or bounced last before then, and what is as old of all."""
    well = (subscriptions.c.probed_at < probed_before) | (subscriptions.c.bounced_at < bounced_before)
    tx.execute(update(subscriptions).where(subscriptions.c.state == "active", well).values(**_WELL))
    tx.execute(delete(bounces).where(bounces.c.at < bounced_before))


def bounced(tx: Connection, subscription_id: int, permanent: bool, status: str, diagnostic: str, now: int) -> None:
    """Record that something sent to the subscription did not arrive."""
    row = {"subscription_id": subscription_id, "at": now, "permanent": permanent, "status": status}
    tx.execute(insert(bounces), row | {"diagnostic": diagnostic[:DIAGNOSTIC_CHARS]})


def merge(tx: Connection, gone: int, into: int) -> None:
    """What is sent to the one person's addresses is sent to the other's from now on."""
    tx.execute(update(subscriptions).where(subscriptions.c.person_id == gone).values(person_id=into))


def of_person(tx: Connection, forum_id: int, person_id: int) -> Row[Any] | None:
    """The person's subscription in the forum, the one that is active before others."""
    theirs = _WITH_ADDRESS.where(subscriptions.c.forum_id == forum_id, subscriptions.c.person_id == person_id)
    return tx.execute(theirs.order_by(subscriptions.c.state != "active", subscriptions.c.id)).first()


# Digests --------------------------------------------------------------------------------------------------------------
def digests_begin(tx: Connection, subscription_id: int, now: int) -> None:
    """Digests of this subscription hold what is posted from now on; the next one is due at the member's hour."""
    row = digest_row(tx, subscription_id)
    digested(tx, subscription_id, row.last_seq, next_digest(row, now))


def digest_row(tx: Connection, subscription_id: int) -> Row[Any]:
    """The subscription as `next_digest` takes it, with its forum's last_seq."""
    return tx.execute(_HOURS, {"subscription": subscription_id}).one()


def next_digest(row: Row[Any], after: int) -> int:
    """When the digest of a subscription is due next. `row` has its mode, hour, day, and its person's timezone."""
    return schedule.next_digest(row.mode, row.digest_hour, row.digest_day, row.timezone or "UTC", after)


def digested(tx: Connection, subscription_id: int, seq: int, next_at: int | None) -> None:
    """Posts up to number `seq` were digested; the next digest is due then (None: there is none)."""
    mine = subscriptions.c.id == subscription_id
    tx.execute(update(subscriptions).where(mine).values(digest_seq=seq, digest_at=next_at))


def digests_of(tx: Connection, person_id: int) -> list[Row[Any]]:
    """A person's subscriptions that get digests, as `next_digest` takes them."""
    theirs = (subscriptions.c.person_id == person_id, gets_digests)
    return list(tx.execute(_HOURS_OF.where(*theirs)))
