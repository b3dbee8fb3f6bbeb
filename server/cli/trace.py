"""`junto trace`: where a post came from and where it went. Reads only. Shows addresses: it is for the operator."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer
from sqlalchemy import Connection, Row, func, or_, select

from server import subjects
from server.bridge import MESSAGE_ID, Proof
from server.cli import show
from server.cli.context import ConfigOption, JsonOption, opened
from server.errors import NotFound
from server.i18n import _
from server.store.schema import (
    addresses,
    attempts,
    deliveries,
    digest_entries,
    forums,
    held,
    originals,
    posts,
    reactions,
    refs,
    revisions,
    threads,
)

Facts = dict[str, Any]
CARRIERS = ("post", "digest")  # by which a post comes to somebody
_PLACE = re.compile(r"([a-z0-9-]{1,29})/([0-9]{1,15})")
_PATH = re.compile(r"/f/([a-z0-9-]{1,29})/([0-9]{1,15})(?:/.*)?")


def trace(
    post: Annotated[str, typer.Argument(metavar="POST", help="FORUM/N, H-xxxx, a Message-ID, an event id or a URL.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where a post came from and where it went, on every channel, with times and errors."""
    with opened(config) as home:
        facts = home.store.read_now(_trace, post)
    show.answer(as_json, facts, "" if as_json else _text(facts))


def _trace(tx: Connection, name: str) -> Facts:
    found = _find(tx, name.strip())
    if not found:
        raise NotFound(
            _("We know no post “{name}”: give FORUM/N, H-xxxx, a Message-ID, an event id or a URL.").format(name=name)
        )
    facts = _post(tx, found[0])
    facts["elsewhere"] = [_label(tx, other) for other in found[1:]]
    return facts


def _find(tx: Connection, name: str) -> list[int]:
    """The ids of the posts with that name; a message may be a post in several forums."""
    path = urlsplit(name).path if "://" in name else name
    if path.startswith("/m/"):
        name = unquote(path.removeprefix("/m/"))
    place = _PATH.fullmatch(path) or _PLACE.fullmatch(path.lower())
    if place is not None:
        at = (forums.c.slug == place[1]) & (posts.c.seq == int(place[2]))
        return list(tx.scalars(select(posts.c.id).join(forums, forums.c.id == posts.c.forum_id).where(at)))
    if name.lower().startswith("h-"):
        return list(tx.scalars(select(held.c.post_id).where(held.c.name == "H-" + name[2:].lower())))
    names = [name, f"<{name.strip('<>')}>"]
    claimed = select(refs.c.post_id).where(refs.c.name.in_(names), refs.c.post_id.is_not(None))
    born = select(posts.c.id).where(posts.c.message_id.in_(names))
    return sorted({*tx.scalars(claimed), *tx.scalars(born)})


def _label(tx: Connection, post_id: int | None) -> str | None:
    """What a post is called: FORUM/N, or H-xxxx while it waits."""
    row = tx.execute(
        select(forums.c.slug, posts.c.seq, held.c.name)
        .join_from(posts, forums, forums.c.id == posts.c.forum_id)
        .outerjoin(held, held.c.post_id == posts.c.id)
        .where(posts.c.id == post_id)
    ).first()
    if row is None:
        return None
    return f"{row.slug}/{row.seq}" if row.seq is not None else row.name


def _post(tx: Connection, post_id: int) -> Facts:
    row = tx.execute(
        select(
            posts,
            addresses.c.address,
            threads.c.root_post_id,
            threads.c.subject.label("topic"),
            held.c.name.label("held_name"),
            held.c.reason,
        )
        .outerjoin(addresses, addresses.c.id == posts.c.address_id)
        .outerjoin(threads, threads.c.id == posts.c.thread_id)
        .outerjoin(held, held.c.post_id == posts.c.id)
        .where(posts.c.id == post_id)
    ).one()
    moved = deliveries_of(tx, post_id)
    return {
        "post": _label(tx, post_id),
        "state": row.state,
        "held": {"name": row.held_name, "reason": row.reason} if row.held_name is not None else None,
        "thread": _label(tx, row.root_post_id),
        "parent": _label(tx, row.parent_id),
        "subject": row.subject or subjects.answering(row.topic or ""),
        "author": row.author_name,
        "address": row.address,
        "channel": row.channel,
        "proof": Proof(row.proof).name.lower(),
        "message_id": row.message_id,
        "written_at": show.when(row.written_at),
        "arrived_at": show.when(row.arrived_at),
        "published_at": show.when(row.published_at),
        "edited_at": show.when(row.edited_at),
        "retracted_at": show.when(row.retracted_at),
        "refs": [{"space": r.space, "name": r.name, "part": r.part} for r in _refs(tx, post_id)],
        "originals": [{"channel": o.channel, "part": o.part, "stored_bytes": o.size} for o in _originals(tx, post_id)],
        "deliveries": [each for each in moved if each["item"] in CARRIERS],
        "changes": [each for each in moved if each["item"] not in CARRIERS],
    }


def _refs(tx: Connection, post_id: int) -> list[Row[Any]]:
    query = select(refs.c.space, refs.c.name, refs.c.part).where(refs.c.post_id == post_id)
    return list(tx.execute(query.order_by(refs.c.space != MESSAGE_ID, refs.c.space, refs.c.part, refs.c.id)))


def _originals(tx: Connection, post_id: int) -> list[Row[Any]]:
    size = func.length(originals.c.bytes).label("size")
    query = select(originals.c.channel, originals.c.part, size).where(originals.c.post_id == post_id)
    return list(tx.execute(query.order_by(originals.c.part)))


def deliveries_of(tx: Connection, post_id: int) -> list[Facts]:
    """Every delivery of the post and of what became of it later, in the order of booking, each with its attempts."""
    d = deliveries.c
    mine = or_(
        d.item_kind.in_(("post", "retraction")) & (d.item_id == post_id),
        d.item_kind.in_(("edit", "correction"))
        & d.item_id.in_(select(revisions.c.id).where(revisions.c.post_id == post_id)),
        (d.item_kind == "digest")
        & d.item_id.in_(select(digest_entries.c.digest_id).where(digest_entries.c.post_id == post_id)),
        (d.item_kind == "reaction") & d.item_id.in_(select(reactions.c.id).where(reactions.c.post_id == post_id)),
    )
    query = select(deliveries, addresses.c.address).outerjoin(addresses, addresses.c.id == d.address_id)
    tried: dict[int, list[Facts]] = {}
    theirs = select(attempts).join(deliveries, d.id == attempts.c.delivery_id).where(mine)
    for row in tx.execute(theirs.order_by(attempts.c.id)):
        facts = {"number": row.number, "at": show.when(row.at), "outcome": row.outcome}
        tried.setdefault(row.delivery_id, []).append(facts | {"code": row.code, "detail": row.detail})
    return [
        {
            "id": row.id,
            "item": row.item_kind,
            "channel": row.channel,
            "address": row.address,
            "state": row.state,
            "not_before": show.when(row.not_before),
            "attempts_made": row.attempts,
            "settled_at": show.when(row.settled_at),
            "detail": row.detail,
            "attempts": tried.get(row.id, []),
        }
        for row in tx.execute(query.where(mine).order_by(d.id))
    ]


def _text(facts: Facts) -> str:
    who = f"{facts['author']} <{facts['address']}>" if facts["address"] else facts["author"] or "-"
    born = _("{who} by {channel} (proof: {proof})").format(who=who, channel=facts["channel"], proof=facts["proof"])
    lines = [
        f"{facts['post'] or facts['message_id']}  {facts['subject']}",
        _("  state      {state}").format(**facts),
        _("  from       {born}").format(born=born),
        _("  thread     {thread}, answers {parent}").format(
            thread=facts["thread"] or "-", parent=facts["parent"] or "-"
        ),
        _("  arrived    {arrived_at}, published {published_at}").format(**facts),
    ]
    if facts["held"]:
        lines.append(_("  held       {name}: {reason}").format(**facts["held"]))
    lines += [_("  name       {space} {name}").format(**ref) for ref in facts["refs"]]
    if facts["elsewhere"]:
        lines.append(_("  also in    {places}").format(places=", ".join(map(str, facts["elsewhere"]))))
    sent = facts["deliveries"] + facts["changes"]
    lines.append(_("  deliveries {count}").format(count=len(sent)))
    for each in sent:
        lines.append(
            f"    {each['state']:<8} {each['item']:<10} {each['channel']:<8} {each['address'] or '-'}"
            f"  {each['settled_at'] or each['not_before']}  {each['detail'] or ''}".rstrip()
        )
        lines += [
            f"      {t['number']}. {t['at']} {t['outcome']} {t['code']} {t['detail']}".rstrip()
            for t in each["attempts"]
        ]
    return "\n".join(lines)
