"""A post gets its number: its names are claimed, its thread counts it, everybody who gets it is booked. Decides nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server.bridge import Ref
from server.delivery import fuse, letters, receipts
from server.desk import Desk, book, conversation, forums, gather, place, posts
from server.desk.names import Names


def held(tx: Connection, desk: Desk, forum: Row[Any], post_id: int, names: list[Ref], parents: tuple[Ref, ...]) -> int:
    """Publish a post that is stored already because it was held; its number."""
    subject = posts.get(tx, post_id).subject
    stands = place.place(Names(tx, forum.id), names, parents, subject)
    seq, modseq = forums.next_number(tx, forum.id)
    posts.update(tx, post_id, **place.standing(stands, seq, desk.now()))
    words = subject or gather.opening_words(posts.body(tx, post_id).fresh_text)
    tell(tx, desk, forum, posts.get(tx, post_id), stands, names, words, modseq)
    return seq


def tell(
    tx: Connection,
    desk: Desk,
    forum: Row[Any],
    post: Row[Any],
    stands: place.Place,
    names: list[Ref],
    words: str,
    modseq: int,
) -> None:
    """The post has its number and its place; what its thread is called, if it is new, is `words`."""
    rows = Names(tx, forum.id)
    place.claim(rows, stands, post.id, names)
    in_thread = rows.count(stands.thread_id, post.id, post.seq, words, post.published_at)
    forums.noted(tx, forum.id, modseq, post.id, post.published_at)
    conversation.answered(tx, desk, forum, post.parent_id, desk.now())
    book.post(tx, desk, forum, post, desk.now())
    receipts.book(tx, desk, forum, post)
    if reason := fuse.check(tx, post, in_thread, desk.now()):
        letters.tell_operator(tx, desk, "fuse", forum.id, reason)
