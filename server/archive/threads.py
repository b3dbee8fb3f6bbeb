"""Threads as pages show them: a forum's newest first, and one thread in reading order. Read-only; a handful of statements a page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, case, func, or_, select

from server import limits
from server.archive import places
from server.archive.access import Viewer
from server.archive.posts import PostView, number_of, views
from server.store.schema import bodies, people, posts, threads

SKELETON_POSTS = 20_000
"""Posts of one thread that are put in order at most; what comes after them is reached by its number."""

FIRST_WORDS_CHARS = 400

_root, _last = posts.alias("root"), posts.alias("last")
_LISTING: Select[Any] = (
    select(
        threads.c.id,
        threads.c.subject,
        threads.c.posts,
        threads.c.last_at,
        threads.c.last_seq,
        _root.c.seq.label("number"),
        _root.c.author_name.label("name"),
        people.c.key,
        _last.c.seq.label("last_number"),
        _last.c.author_name.label("last_name"),
        _last.c.channel.label("last_channel"),
        case((_root.c.state == "published", func.substr(bodies.c.fresh_text, 1, FIRST_WORDS_CHARS)), else_="").label(
            "words"
        ),
    )
    .join_from(threads, _root, threads.c.root_post_id == _root.c.id)
    .outerjoin(people, people.c.id == _root.c.person_id)
    .outerjoin(bodies, bodies.c.post_id == _root.c.id)
    .outerjoin(_last, (_last.c.forum_id == threads.c.forum_id) & (_last.c.seq == threads.c.last_seq))
    .where(
        threads.c.forum_id == bindparam("forum"),
        threads.c.merged_into.is_(None),
        threads.c.last_seq < bindparam("before"),
        _root.c.seq.is_not(None),
        or_(_root.c.state == "published", threads.c.posts > 1),
    )
    .order_by(threads.c.last_seq.desc())
    .limit(limits.PAGE_THREADS + 1)
)
_CHANNELS: Select[Any] = (
    select(posts.c.thread_id, posts.c.channel)
    .where(posts.c.thread_id.in_(bindparam("threads", expanding=True)), posts.c.state == "published")
    .group_by(posts.c.thread_id, posts.c.channel)
    .order_by(func.min(posts.c.seq))
)
_THREAD: Select[Any] = select(threads.c.id, threads.c.subject, threads.c.root_post_id, threads.c.last_at).where(
    threads.c.id == bindparam("thread")
)
_SKELETON: Select[Any] = (
    select(
        posts.c.id,
        posts.c.seq,
        posts.c.parent_id,
        posts.c.author_name,
        posts.c.channel,
        posts.c.person_id,
        posts.c.state,
    )
    .where(
        posts.c.thread_id == bindparam("thread"),
        posts.c.seq.is_not(None),
        posts.c.state.in_(("published", "retracted")),
    )
    .order_by(posts.c.seq)
    .limit(SKELETON_POSTS)
)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a forum. `channels[thread id]`: where its posts were born, in order of first use. `older`: the next cursor."""

    forum: Row[Any]
    threads: Sequence[Row[Any]]
    channels: Mapping[int, Sequence[str]]
    older: int | None


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """A stretch of a thread in reading order.

    `chosen` is the number asked for, `root` that of the thread's first post; `pages` are the first numbers of each stretch and
    `page` the place of this one among them. `channels` counts published posts by channel, `people` their authors.
    """

    forum: Row[Any]
    subject: str
    root: int
    chosen: PostView
    posts: Sequence[PostView]
    total: int
    people: int
    channels: Mapping[str, int]
    last_at: int
    pages: Sequence[int]
    page: int


def listing(tx: Connection, viewer: Viewer, slug: str, before: int | None = None) -> Listing:
    """A forum's threads, newest activity first, from the cursor `before` on. Raises NotFound."""
    forum = places.forum(tx, viewer, slug)
    upper = before if before is not None else forum.last_seq + 1
    rows = tx.execute(_LISTING, {"forum": forum.id, "before": upper}).all()
    shown = rows[: limits.PAGE_THREADS]
    channels: dict[int, list[str]] = defaultdict(list)
    for row in tx.execute(_CHANNELS, {"threads": [thread.id for thread in shown]}) if shown else ():
        channels[row.thread_id].append(row.channel)
    return Listing(forum, shown, channels, shown[-1].last_seq if len(rows) > len(shown) else None)


def page(tx: Connection, viewer: Viewer, slug: str, number: int) -> ThreadPage:
    """The stretch of its thread in which post `number` stands. Raises NotFound."""
    forum = places.forum(tx, viewer, slug)
    chosen = number_of(tx, forum, number)
    thread = tx.execute(_THREAD, {"thread": chosen.thread_id}).one()
    bones = tx.execute(_SKELETON, {"thread": thread.id}).all()
    order = in_reading_order(bones)
    at = next((index for index, (bone, _) in enumerate(order) if bone.id == chosen.id), 0)
    first = at - at % limits.PAGE_POSTS
    stretch = order[first : first + limits.PAGE_POSTS]
    by_id = {bone.id: bone for bone in bones}
    shown = views(tx, [bone.id for bone, _ in stretch], {bone.id: depth for bone, depth in stretch}, by_id)
    alive = [bone for bone in bones if bone.state == "published"]
    root = by_id.get(thread.root_post_id, order[0][0])
    return ThreadPage(
        forum=forum,
        subject=thread.subject,
        root=root.seq,
        chosen=next((post for post in shown if post.id == chosen.id), shown[0]),
        posts=shown,
        total=len(alive),
        people=len({bone.person_id for bone in alive}),
        channels=Counter(bone.channel for bone in alive),
        last_at=thread.last_at,
        pages=[bone.seq for bone, _ in order[:: limits.PAGE_POSTS]],
        page=first // limits.PAGE_POSTS,
    )


def in_reading_order(bones: Iterable[Row[Any]]) -> list[tuple[Row[Any], int]]:
    """Each post after the one it answers, with its depth; neighbours by number. No recursion, and a cycle cannot hang it.

    The only answer to an answer goes on at the same depth: a talk between two people is a column, not a staircase.
    """
    known = {bone.id: bone for bone in bones}
    answers: dict[int, list[Row[Any]]] = defaultdict(list)
    starts: list[Row[Any]] = []
    for bone in sorted(known.values(), key=lambda b: b.seq):
        (answers[bone.parent_id] if bone.parent_id in known else starts).append(bone)
    order: list[tuple[Row[Any], int]] = []
    seen: set[int] = set()
    for start in [*starts, *known.values()]:  # what no start leads to is a cycle, and stands on its own
        stack = [(start, 0)]
        while stack:
            bone, depth = stack.pop()
            if bone.id in seen:
                continue
            seen.add(bone.id)
            order.append((bone, min(depth, limits.THREAD_DEPTH_SHOWN)))
            below = answers[bone.id]
            deeper = depth if depth and len(below) == 1 else depth + 1
            stack.extend((answer, deeper) for answer in reversed(below))
    return order
