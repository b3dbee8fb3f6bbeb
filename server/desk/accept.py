"""The desk: how a post is born. One transaction: seen before? who? may they? where? number it, store it, book it.

Called by the house with what came in, whatever channel it came by.
"""

from __future__ import annotations

import hmac
from typing import Any

from sqlalchemy import Connection, Row

from server import bridge, metrics, tokens
from server.bridge import MESSAGE_ID, Accepted, Duplicate, Held, NewPost, Proof, Ref, Result, message_id
from server.delivery import letters
from server.desk import (
    Desk,
    asking,
    author,
    book,
    conversation,
    decide,
    digest_replies,
    forums,
    gather,
    mentions,
    pieces,
    place,
    policy,
    posts,
    publish,
    reports,
    screen,
)
from server.desk.names import Names
from server.desk.prepare import Prepared
from server.desk.sameness import other_words
from server.errors import Rejected
from server.i18n import _
from server.moderation import queue
from server.people import identity, membership

ANSWERS = 100  # of a forum that wait for what they answer; what is more waits for a moderator


def new_post(tx: Connection, desk: Desk, prepared: Prepared[NewPost]) -> Result:
    """Accept, hold or refuse a post. Raises Rejected with the reason for its sender."""
    now = desk.now()
    forum = forums.addressed(tx, prepared.inbound.forum)
    forums.lock(tx, forum.id)
    prepared = digest_replies.of_item(tx, desk, forum, prepared)
    inbound = prepared.inbound
    if prepared.size > forum.max_size:
        mib = forum.max_size / 1_048_576
        raise Rejected("5.3.4", _("{forum} takes posts of up to {mib:.1f} MiB.").format(forum=forum.title, mib=mib))
    known = author.find(tx, inbound.author)
    names, repeated = _names(tx, desk, forum, prepared, known)
    if repeated is not None:
        return repeated
    member = membership.of(tx, known.person_id, forum.id) if known else None
    by = inbound.author
    facts = author.facts(tx, forum, by, known, member, inbound.automatic)
    decision = screen.screen(policy.decide(facts), _seen(tx, forum, prepared, known, facts))
    if isinstance(decision, policy.Refuse):
        if inbound.answering:
            return Accepted(reply=_("An automatic answer: taken, and dropped."))
        raise Rejected(decision.code, decision.reason)
    digest = digest_replies.of_digest(tx, desk, forum, inbound, known)
    if digest is not None:
        if known is None or not membership.is_active(member) or by.channel not in desk.traits:
            digest_replies.refuse(forum)
        return digest_replies.ask(tx, desk, forum, prepared, known, digest)
    believed = not isinstance(decision, policy.Hold)  # a name that nobody confirmed is not yet anybody's
    proved = believed and by.proof >= Proof.AUTHENTICATED
    if known is not None and (known.name or not proved):
        who = known
    else:  # who joined by a bare word has no name yet: theirs is on the first post that is surely theirs
        who = author.ensure(tx, inbound.author, now, named=believed)
    if isinstance(decision, policy.Publish):
        decision = _with_what_it_answers(tx, desk, forum, inbound, facts, decision)
    if isinstance(decision, policy.Hold):
        if decision.join:
            _joins(tx, desk, forum, inbound.author, who)
        return _hold(tx, desk, forum, prepared, who, names, decision)
    if decision.join:
        _joins(tx, desk, forum, inbound.author, who)
    said = conversation.take(tx, desk, forum, prepared, who)
    if said is None and inbound.gather:
        said = gather.append(tx, desk, forum, prepared, who)
    if said is not None:
        return said
    seq = _publish(tx, desk, forum, prepared, names, _row(forum, prepared, who, names, now))
    return Accepted(f"{forum.slug}/{seq}", f"{desk.base_url}/f/{forum.slug}/{seq}")


def _seen(
    tx: Connection,
    forum: Row[Any],
    prepared: Prepared[NewPost],
    known: identity.Known | None,
    facts: policy.Facts,
) -> screen.Seen:
    inbound = prepared.inbound
    declared = [file.media_type for file in inbound.attachments]
    hold_first = forum.first_post == "hold"
    return screen.Seen(
        title=facts.title,
        recipients=len(inbound.addressed),
        max_recipients=forum.max_recipients,
        refused_file=screen.refused_file(forum.refused_types, list(zip(declared, prepared.files, strict=True))),
        spam=inbound.spam,
        hold_all=forum.hold_all,
        hold_first=hold_first,
        first=hold_first
        and not facts.machine
        and (known is None or not posts.has_posted(tx, forum.id, known.person_id)),
        moderator=screen.passes(facts.role in membership.MODERATORS, facts.proof),
        handed_on=inbound.handed_on and not facts.machine and facts.proof_policy != "lax",
    )


def _names(
    tx: Connection, desk: Desk, forum: Row[Any], prepared: Prepared[NewPost], known: identity.Known | None
) -> tuple[list[Ref], Result | None]:
    """The names that the post will have, or the answer that it is here already.

    The same Message-ID by the same author is a Duplicate, though the bytes differ: lists change bodies in transit. By another author it is
    published under a name of its content, so that nobody can keep a mail out by being faster with its id; and so are other words
    altogether, for there are programs that give all their mails one id.
    """
    inbound = prepared.inbound
    names = list(inbound.refs)
    seen = place.find(tx, forum.id, names)
    if seen is not None and _same_author(seen, known):
        if inbound.author.channel == bridge.WEB and posts.get(tx, seen.post_id).content_hash != prepared.content_hash:
            raise Rejected(
                "5.5.0", _("This form was sent before, with other words. Please look, and send it once more.")
            )
        if not _other_words(tx, prepared, seen.post_id):
            return names, Duplicate(f"{forum.slug}/{seen.seq}")
    if seen is not None or not names:
        names = [name_of_content(desk, forum, prepared, inbound.author)]
        again = place.find(tx, forum.id, names)
        if again is not None:  # nobody else can have this name: it is made of who wrote it and what
            return names, Duplicate(f"{forum.slug}/{again.seq}")
    elif message_id(*names) is None:
        names.append(Ref(MESSAGE_ID, tokens.message_id(forum.mail_domain)))
    return names, None


def _other_words(tx: Connection, prepared: Prepared[NewPost], seen_id: int) -> bool:
    """Whether it is another message by its subject and by every line: no list does that in transit."""
    seen = posts.get(tx, seen_id)
    same_hash = seen.content_hash == prepared.content_hash
    if same_hash or seen.state != "published" or seen.revision or message_id(*prepared.inbound.refs) is None:
        return False
    return other_words(prepared.subject, prepared.derived.text, seen.subject, posts.body(tx, seen_id).text)


def name_of_content(desk: Desk, forum: Row[Any], prepared: Prepared[NewPost], by: bridge.Author) -> Ref:
    """A name for what came without one, or under somebody else's. It cannot be guessed, so that nobody takes it beforehand."""
    what = f"{by.channel}:{by.address}:{forum.id}:{prepared.content_hash}"
    mark = hmac.digest(desk.secret, what.encode(), "sha256").hex()
    return Ref(MESSAGE_ID, f"<{mark[:40]}.{forum.slug}@{forum.mail_domain}>")


def _same_author(seen: Row[Any], known: identity.Known | None) -> bool:
    return known is not None and (seen.person_id == known.person_id)


def _with_what_it_answers(
    tx: Connection, desk: Desk, forum: Row[Any], inbound: NewPost, facts: policy.Facts, decision: policy.Publish
) -> policy.Publish | policy.Hold:
    """What answers a held post that its readers see waits with it; a moderator who answers has read it, and lets it go on."""
    answered = decide.answered(tx, desk, forum, inbound.parents)
    if answered is None:
        return decision
    if screen.passes(facts.role in membership.MODERATORS, facts.proof):
        who = author.find(tx, inbound.author)
        assert who is not None
        decide.release(tx, desk, answered, f"person:{who.person_id}", desk.now())
        return decision
    reason = _("it answers {name}, which waits for a moderator").format(name=answered.name)
    return policy.Hold(reason, kind="answer", join=decision.join)


def _row(
    forum: Row[Any], prepared: Prepared[NewPost], who: identity.Known, names: list[Ref], now: int
) -> dict[str, Any]:
    """The columns of a post that are known before it has a place."""
    inbound = prepared.inbound
    return {
        "forum_id": forum.id,
        "person_id": who.person_id,
        "address_id": who.address_id or None,
        "author_name": who.name or author.shown_name(inbound.author),
        "channel": inbound.author.channel,
        "proof": int(inbound.author.proof),
        "message_id": message_id(*names),
        "subject": prepared.subject,
        "content_hash": prepared.content_hash,
        "written_at": inbound.written_at,
        "arrived_at": now,
    }


def _store(tx: Connection, prepared: Prepared[NewPost], row: dict[str, Any]) -> int:
    """Write the post with all that belongs to it; its id."""
    inbound = prepared.inbound
    row["origin"] = posts.same_in_other_forum(tx, row["message_id"], row["person_id"], row["content_hash"])
    post_id = posts.add(tx, **row)
    book.addressed(tx, post_id, inbound, row["arrived_at"])
    mentions.note(tx, post_id, inbound.author.channel, inbound.mentions)
    posts.add_body(tx, post_id, prepared.derived, [pieces.of(prepared)] if inbound.gather else None)
    posts.add_files(tx, post_id, prepared.files, row["arrived_at"])
    if prepared.original is not None:
        posts.add_original(tx, post_id, row["channel"], prepared.original)
    return post_id


def _publish(
    tx: Connection, desk: Desk, forum: Row[Any], prepared: Prepared[NewPost], names: list[Ref], row: dict[str, Any]
) -> int:
    """Place a new post, number it, store it, tell everybody; its number."""
    inbound = prepared.inbound
    stands = place.place(Names(tx, forum.id), names, inbound.parents, prepared.subject)
    seq, modseq = forums.next_number(tx, forum.id)
    post_id = _store(tx, prepared, row | place.standing(stands, seq, row["arrived_at"]))
    words = prepared.subject or gather.opening_words(prepared.derived.fresh_text)
    publish.tell(tx, desk, forum, posts.get(tx, post_id), stands, names, words, modseq)
    if conversation.opens(forum, inbound):
        conversation.opened(tx, forum.id, inbound.author.channel, post_id, row["arrived_at"])
    return seq


def _joins(tx: Connection, desk: Desk, forum: Row[Any], by: bridge.Author, who: identity.Known) -> None:
    """Posting made the author a member. Who writes on our pages hears answers by mail; a room shows them by itself."""
    mailbox = author.mailbox(tx, desk, who.person_id) if by.channel == bridge.WEB else None
    known = membership.is_active(membership.of(tx, who.person_id, forum.id))
    membership.join(tx, forum.id, who.person_id, mailbox, desk.now(), mode="mentions")
    if mailbox is not None and not known:
        letters.notice(tx, mailbox, "welcome", forum.id, {"mode": "mentions"}, desk.now())


def _hold(
    tx: Connection,
    desk: Desk,
    forum: Row[Any],
    prepared: Prepared[NewPost],
    who: identity.Known,
    names: list[Ref],
    decision: policy.Hold,
) -> Held:
    inbound, now = prepared.inbound, desk.now()
    by = f"{inbound.author.channel}:{inbound.author.address}"
    repeated = queue.same(tx, forum.id, by, prepared.content_hash)
    if repeated is not None:
        if inbound.author.channel in desk.channels(
            takes_back=True
        ):  # it is seen there twice, and shares what is decided
            queue.also_named(tx, repeated, inbound.refs)
        return Held(repeated, decision.reason)
    asks = decision.confirm and asking.may_ask(tx, forum, asking.POST, who, now)
    awaits = queue.AUTHOR if decision.confirm else queue.MODERATORS
    if decision.kind == "answer" and queue.count_answers(tx, forum.id) < ANSWERS:
        awaits = queue.PARENT
    post_id = _store(tx, prepared, _row(forum, prepared, who, names, now) | {"state": "held"})
    name = queue.hold(
        tx,
        post_id,
        forum.id,
        by,
        prepared.content_hash,
        decision.reason,
        names,
        inbound.parents,
        awaits,
        line=conversation.is_line(tx, desk, forum, inbound),
    )
    metrics.HELD.labels(decision.kind).inc()
    if awaits == queue.MODERATORS:
        reports.waits(tx, desk, forum, post_id, now)
    if decision.kind == "first":
        reports.tell_first(tx, desk, forum, post_id, now)
    elif decision.kind == "stranger" and not decision.confirm:
        reports.tell_waits(tx, desk, forum, post_id, now)
    facts = {"held": name, "subject": prepared.subject, "in_reply_to": message_id(*names)}
    if asks:
        letters.notice(tx, who.address_id, asking.POST, forum.id, facts, now)
    elif decision.doubtful:
        asking.was_it_you(tx, forum, inbound, who, facts, now)
    return Held(name, decision.reason)
