"""Communities and forums: their names, their options and their counters. The only writer of `slugs`, `communities`, `forums`.

`last_seq` and `modseq` are raised here alone, under the forum's row lock, so that they are given in the order of commits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from server import bridge, changes, clock, limits
from server.delivery import outbox, standing
from server.desk.options import OPTIONS
from server.errors import CommandError, NotFound, Rejected
from server.i18n import _
from server.store.schema import communities, forums, slugs
from server.store.upsert import insert_new

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,27}[a-z0-9])?")
ENDINGS = ("-join", "-leave", "-owner", "-request", "-bounces", "-confirm", "-item", "-mod", "-via")
ROLE_NAMES = frozenset(  # RFC 2142 sections 3 to 6: mailboxes that mean something on every domain
    [
        "info",
        "marketing",
        "sales",
        "support",
        "abuse",
        "noc",
        "security",
        "postmaster",
        "hostmaster",
        "usenet",
        "news",
        "webmaster",
        "www",
        "uucp",
        "ftp",
    ]
)

_VIEW = select(
    forums, communities.c.slug.label("community_slug"), communities.c.name.label("community_name")
).join_from(forums, communities)
_BY_SLUG = _VIEW.where(forums.c.slug == bindparam("name"))
_BY_ID = _VIEW.where(forums.c.id == bindparam("forum"))
_LOCK = select(forums.c.id).where(forums.c.id == bindparam("forum")).with_for_update()
_NEXT_NUMBER = (
    update(forums)
    .where(forums.c.id == bindparam("forum"))
    .values(last_seq=forums.c.last_seq + 1, modseq=forums.c.modseq + 1)
    .returning(forums.c.last_seq, forums.c.modseq)
)
_NEXT_MODSEQ = (
    update(forums)
    .where(forums.c.id == bindparam("forum"))
    .values(modseq=forums.c.modseq + 1)
    .returning(forums.c.modseq)
)


def check_slug(slug: str) -> None:
    """Whether this can be the name of a forum or community. Raises CommandError with what is wrong with it."""
    if not _SLUG.fullmatch(slug):
        raise CommandError(
            _(
                "“{slug}” cannot be a name: use 1 to 29 small letters, digits and hyphens, with a letter or digit first and last."
            ).format(slug=slug)
        )
    ending = next((ending for ending in ENDINGS if slug.endswith(ending)), None)
    if ending:
        raise CommandError(
            _("“{slug}” cannot be a name: addresses that end in {ending} have a meaning of their own.").format(
                slug=slug, ending=ending
            )
        )
    if slug in ROLE_NAMES:
        raise CommandError(
            _("“{slug}” cannot be a name: on every mail domain it belongs to the operator (RFC 2142).").format(
                slug=slug
            )
        )


def create_community(tx: Connection, slug: str, name: str, now: int) -> int:
    """A new community; its id. Raises CommandError if the slug is taken or no slug."""
    if not name.strip():
        raise CommandError(_("A community needs a name that people read, for example “Rocky shore watchers”."))
    _claim_slug(tx, slug, "community")
    values = {"slug": slug, "name": name.strip()[: limits.NAME_CHARS], "created_at": now}
    return int(tx.execute(insert(communities).returning(communities.c.id), values).scalar_one())


def create_forum(
    tx: Connection,
    slug: str,
    community: str,
    *,
    title: str,
    mail_domain: str,
    visibility: str = "public",
    join_policy: str = "open",
    post_policy: str = "members",
    federate: bool = True,
    settle_ms: int = 120_000,
    now: int,
) -> int:
    """A new forum of the community with that slug; its id. Raises CommandError with what is wrong."""
    home = tx.execute(select(communities.c.id).where(communities.c.slug == community)).scalar()
    if home is None:
        raise CommandError(
            _("There is no community “{slug}”: make it first with `junto community create`.").format(slug=community)
        )
    given = {"title": title, "visibility": visibility, "join": join_policy, "post": post_policy}
    values = {OPTIONS[key].column: OPTIONS[key].read(key, text) for key, text in given.items()}
    _claim_slug(tx, slug, "forum")
    values |= {"slug": slug, "community_id": home, "mail_domain": mail_domain.lower(), "federate": federate}
    values |= {"settle_ms": settle_ms, "created_at": now}
    forum_id = int(tx.execute(insert(forums).returning(forums.c.id), values).scalar_one())
    changed(tx, forum_id, "forum", forum_id, now)
    return forum_id


def find(tx: Connection, slug: str) -> Row[Any] | None:
    """The forum of that name with `community_slug` and `community_name`; case is ignored, as in mail addresses."""
    return tx.execute(_BY_SLUG, {"name": slug.lower()}).first()


def get(tx: Connection, slug: str) -> Row[Any]:
    """As `find`. Raises NotFound with a sentence."""
    row = find(tx, slug)
    if row is None:
        raise NotFound(_("There is no forum “{slug}”.").format(slug=slug))
    return row


def addressed(tx: Connection, slug: str) -> Row[Any]:
    """The forum that something which came in is for. Raises Rejected, so that its sender is told."""
    row = find(tx, slug)
    if row is None:
        raise Rejected("5.1.1", _("There is no forum “{slug}” here.").format(slug=slug))
    return row


def by_id(tx: Connection, forum_id: int) -> Row[Any]:
    """The forum with that id, as `find` answers it. Raises NotFound."""
    row = tx.execute(_BY_ID, {"forum": forum_id}).first()
    if row is None:
        raise NotFound(_("There is no such forum."))
    return row


def view(row: Row[Any], base_url: str) -> bridge.Forum:
    """What anybody may know of a forum, from a row of `find` or `by_id`."""
    home = bridge.Community(row.community_slug, row.community_name, f"{base_url}/c/{row.community_slug}")
    return bridge.Forum(
        id=row.id,
        slug=row.slug,
        title=row.title,
        mail_domain=row.mail_domain,
        community=home,
        visibility=row.visibility,
        join_policy=row.join_policy,
        post_policy=row.post_policy,
        reply_to=row.reply_to,
        room_messages=row.room_messages,
        federate=row.federate,
        settle_ms=row.settle_ms,
        max_size=row.max_size,
        state=row.state,
        subject_prefix=row.subject_prefix,
        footer=row.footer,
        plain_replies=row.plain_replies,
        link_over=row.link_over,
        url=f"{base_url}/f/{row.slug}",
    )


def all_forums(tx: Connection) -> list[Row[Any]]:
    """Every forum, by community and name."""
    return list(tx.execute(_VIEW.order_by(communities.c.slug, forums.c.slug)))


def lock(tx: Connection, forum_id: int) -> None:
    """Wait for everybody else who writes in this forum (PostgreSQL; on SQLite a writer is alone already)."""
    if tx.dialect.name != "sqlite":
        tx.execute(_LOCK, {"forum": forum_id})


def next_number(tx: Connection, forum_id: int) -> tuple[int, int]:
    """(seq, modseq) of the post that is published now: its archive number, and the change that it is. Record the change with `noted`."""
    row = tx.execute(_NEXT_NUMBER, {"forum": forum_id}).one()
    return row.last_seq, row.modseq


def advance(tx: Connection, forum_id: int, last_seq: int, changes_made: int) -> int:
    """Posts up to that number were published at one go, each a change; the modseq of the first of them."""
    values = {"last_seq": last_seq, "modseq": forums.c.modseq + changes_made}
    after = tx.execute(
        update(forums).where(forums.c.id == forum_id).values(**values).returning(forums.c.modseq)
    ).scalar_one()
    return int(after) - changes_made + 1


def noted(tx: Connection, forum_id: int, modseq: int, post_id: int, now: int) -> None:
    """The post with that modseq is there."""
    changes.record(tx, forum_id, modseq, "post", post_id, now)


def changed(tx: Connection, forum_id: int, kind: str, thing_id: int, now: int) -> int:
    """Raise the forum's modseq and record what it stands for (`changes.KINDS`); the new modseq."""
    modseq = int(tx.execute(_NEXT_MODSEQ, {"forum": forum_id}).scalar_one())
    changes.record(tx, forum_id, modseq, kind, thing_id, now)
    if kind in ("forum", "member"):
        outbox.kept_changed(tx, "state", forum_id, now)
    if kind == "member":
        standing.book(tx, forum_id, thing_id, now)
    return modseq


def set_options(tx: Connection, slug: str, options: Mapping[str, str], now: int | None = None) -> None:
    """Set options by the names that `junto forum set` takes. Raises CommandError naming each that is wrong, NotFound."""
    forum_id = get(tx, slug).id
    unknown = [key for key in options if key not in OPTIONS]
    if unknown:
        raise CommandError(
            _("There is no option {names}; there are: {known}.").format(
                names=", ".join(unknown), known=", ".join(sorted(OPTIONS))
            )
        )
    values = {OPTIONS[key].column: OPTIONS[key].read(key, text) for key, text in options.items()}
    if values:
        tx.execute(update(forums).where(forums.c.id == forum_id).values(**values))
        changed(tx, forum_id, "forum", forum_id, clock.now_ms() if now is None else now)


def close(tx: Connection, slug: str, now: int) -> None:
    """No more posts: the forum stays readable. Raises NotFound."""
    forum_id = get(tx, slug).id
    tx.execute(update(forums).where(forums.c.id == forum_id).values(state="closed"))
    changed(tx, forum_id, "forum", forum_id, now)


def set_fuse(tx: Connection, forum_id: int, reason: str | None) -> None:
    """Hold the forum's queue for that reason, or (None) let it go on. Asked by `delivery.fuse`."""
    tx.execute(update(forums).where(forums.c.id == forum_id).values(fuse_reason=reason))


def _claim_slug(tx: Connection, slug: str, kind: str) -> None:
    check_slug(slug)
    if not insert_new(tx, slugs, {"slug": slug, "kind": kind}, ["slug"]):
        raise CommandError(_("“{slug}” is taken already; forums and communities share their names.").format(slug=slug))
