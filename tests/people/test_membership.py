"""Joining, leaving, rooms and bounces."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server.desk import forums
from server.errors import NotFound, Rejected
from server.people import identity, membership, subscriptions
from server.store.schema import bounces
from tests.people.conftest import NOW, Place


def _join(place: Place, who: identity.Known, **how: str) -> int:
    return place.do(membership.join, place.forum, who.person_id, who.address_id, NOW, **how)


def test_joining_makes_a_member_who_gets_posts(place: Place) -> None:
    subscription = _join(place, place.ana, mode="daily")
    member = place.see(membership.of, place.ana.person_id, place.forum)
    assert (member.role, member.state, member.may_post) == ("member", "active", True)
    row = place.see(subscriptions.by_id, subscription)
    assert (row.mode, row.state, row.channel, row.address) == ("daily", "active", "post", "ana@shore.example")
    assert place.see(membership.by_id, member.id) == member


def test_joining_twice_changes_nothing(place: Place) -> None:
    first = _join(place, place.ana, mode="daily", role="owner")
    assert _join(place, place.ana) == first
    assert place.see(subscriptions.by_id, first).mode == "daily"
    assert place.see(membership.of, place.ana.person_id, place.forum).role == "owner"


def test_coming_back_starts_anew(place: Place) -> None:
    first = _join(place, place.ana, mode="daily", role="moderator")
    place.do(membership.leave, place.forum, place.ana.person_id)
    assert place.see(membership.of, place.ana.person_id, place.forum).state == "left"
    assert place.see(subscriptions.by_id, first).state == "ended"
    assert _join(place, place.ana) == first
    member = place.see(membership.of, place.ana.person_id, place.forum)
    assert (member.state, member.role) == ("active", "member")
    assert place.see(subscriptions.by_id, first).mode == "each"


def test_a_member_may_have_no_address_that_is_written_to(place: Place) -> None:
    assert place.do(membership.join, place.forum, place.bruno.person_id, None, NOW) is None
    assert place.see(membership.of, place.bruno.person_id, place.forum).state == "active"
    assert place.see(subscriptions.of_forum, place.forum) == []


def test_who_is_banned_stays_out(place: Place) -> None:
    subscription = _join(place, place.ana)
    place.do(membership.set_member, place.forum, place.ana.person_id, {"state": "banned"})
    assert place.see(subscriptions.by_id, subscription).state == "ended"
    with pytest.raises(Rejected):
        _join(place, place.ana)
    place.do(membership.leave, place.forum, place.ana.person_id)
    assert place.see(membership.of, place.ana.person_id, place.forum).state == "banned"


def test_an_invitation_keeps_the_role_until_it_is_taken(place: Place) -> None:
    place.do(membership.invited, place.forum, place.ana.person_id, "moderator", NOW)
    assert place.see(membership.of, place.ana.person_id, place.forum).state == "pending"
    _join(place, place.ana)
    member = place.see(membership.of, place.ana.person_id, place.forum)
    assert (member.state, member.role) == ("active", "moderator")


def test_ending_the_last_mailbox_is_leaving(place: Place) -> None:
    mailbox = _join(place, place.ana)

    def second(tx: Connection) -> int | None:
        other = identity.ensure_room(tx, "post", "ana@work.example", NOW)
        tx.execute(sa.text("UPDATE addresses SET person_id = :p WHERE id = :a"), {"p": place.ana.person_id, "a": other})
        return membership.join(tx, place.forum, place.ana.person_id, other, NOW)

    other = place.do(second)
    place.do(membership.end_subscription, mailbox)
    assert place.see(membership.of, place.ana.person_id, place.forum).state == "active"
    place.do(membership.end_subscription, other)
    assert place.see(membership.of, place.ana.person_id, place.forum).state == "left"
    with pytest.raises(NotFound):
        place.do(membership.end_subscription, 999)


def test_a_room_belongs_to_one_forum(place: Place) -> None:
    room = place.do(identity.ensure_room, "chat", "!pools:x.example", NOW)
    subscription = place.do(subscriptions.attach_room, place.forum, room, NOW)
    assert place.do(subscriptions.attach_room, place.forum, room, NOW) == subscription
    assert place.see(subscriptions.room_forum, "chat", "!pools:x.example") == place.forum
    assert place.see(subscriptions.room_forum, "chat", "!other:x.example") is None
    other = place.do(forums.create_forum, "kelp", "shore", title="Kelp", mail_domain="d", now=NOW)
    with pytest.raises(Rejected):
        place.do(subscriptions.attach_room, other, room, NOW)
    place.do(membership.end_subscription, subscription)
    assert place.see(subscriptions.room_forum, "chat", "!pools:x.example") is None
    place.do(subscriptions.attach_room, other, room, NOW)


def test_owners_are_reached_where_they_read(place: Place) -> None:
    _join(place, place.ana, role="owner")
    _join(place, place.bruno)
    rows = place.see(membership.owners, place.forum)
    assert [(row.person_id, row.address_id, row.channel, row.address) for row in rows] == [
        (place.ana.person_id, place.ana.address_id, "post", "ana@shore.example")
    ]


def test_the_list_of_members_shows_no_address(place: Place) -> None:
    _join(place, place.ana)
    _join(place, place.bruno)
    rows = place.see(membership.members, place.forum)
    assert [row.name for row in rows] == ["Ana", "Bruno"]
    assert all("@" not in str(value) for row in rows for value in row)


def test_a_bounce_is_kept_with_its_reason(place: Place) -> None:
    subscription = _join(place, place.ana)
    place.do(subscriptions.bounced, subscription, True, "5.1.1", "x" * 5_000, NOW)
    row = place.see(lambda tx: tx.execute(sa.select(bounces)).one())
    assert (row.subscription_id, row.permanent, row.status, len(row.diagnostic), row.at) == (
        subscription,
        True,
        "5.1.1",
        2_000,
        NOW,
    )


def test_what_was_stopped_is_resumed_with_a_clean_record(place: Place) -> None:
    mailbox = place.do(membership.join, place.forum, place.ana.person_id, place.ana.address_id, NOW, mode="topics")
    place.do(subscriptions.change, mailbox, {"bounce_score": 2_600, "bounced_at": NOW, "probed_at": NOW})
    place.do(subscriptions.stop, mailbox, "bounces", NOW + 1)
    (stopped,) = place.see(subscriptions.stopped_of, place.ana.person_id)
    assert (stopped.slug, stopped.stop_reason, stopped.stopped_at, stopped.probed_at) == (
        "tides",
        "bounces",
        NOW + 1,
        None,
    )
    place.do(subscriptions.resume, mailbox)
    row = place.see(subscriptions.by_id, mailbox)
    assert (row.state, row.mode, row.bounce_score, row.bounced_at) == ("active", "topics", 0, None)
    place.do(subscriptions.end, mailbox)
    place.do(subscriptions.resume, mailbox)
    assert place.see(subscriptions.by_id, mailbox).state == "ended"


def test_an_old_record_is_forgotten_a_fresh_one_stays(place: Place) -> None:
    first = place.do(membership.join, place.forum, place.ana.person_id, place.ana.address_id, NOW)
    second = place.do(membership.join, place.forum, place.bruno.person_id, place.bruno.address_id, NOW)
    for mailbox, at in ((first, NOW), (second, NOW + 10)):
        place.do(subscriptions.bounced, mailbox, True, "5.1.1", "gone", at)
        place.do(subscriptions.change, mailbox, {"bounce_score": 1_000, "bounced_at": at})
    place.do(subscriptions.forget_bounces, probed_before=NOW + 5, bounced_before=NOW + 5)
    assert [place.see(subscriptions.by_id, each).bounce_score for each in (first, second)] == [0, 1_000]
    assert [len(place.see(subscriptions.bounces_since, each, 0)) for each in (first, second)] == [0, 1]
