"""Silencing one thread by the link in a mail of it. Looking at the page does nothing; its button acts, and the same page takes it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlalchemy import Connection, Row

from server.desk import forums
from server.errors import NotFound
from server.people import handles, marks, subscriptions
from server.web.context import house, page


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose link it is, and which thread it is about."""

    person_id: int
    forum: Row[Any]
    thread: Row[Any]


def _asked(tx: Connection, secret: bytes, token: str, number: int) -> Asked:
    subscription_id = handles.printed_on(tx, secret, "mute", token)
    subscription = subscriptions.by_id(tx, subscription_id) if subscription_id is not None else None
    # who left is not told any more what is talked about
    if subscription is None or subscription.person_id is None or subscription.state == "ended":
        raise NotFound("no such token")
    thread = marks.thread(tx, subscription.forum_id, number)
    if thread is None:
        raise NotFound("no such post")
    return Asked(subscription.person_id, forums.by_id(tx, subscription.forum_id), thread)


async def show(request: web.Request) -> web.Response:
    """`GET /mute/TOKEN/N`: the thread's name, and a button; link scanners change nothing."""

    def work(tx: Connection) -> tuple[Asked, bool]:
        asked = _asked(tx, house(request).secret, *_names(request))
        return asked, marks.of(tx, asked.person_id, asked.thread.id) == marks.MUTED

    asked, muted = await house(request).store.read(work)
    return _page(request, asked, muted=muted, done=False)


async def act(request: web.Request) -> web.Response:
    """`POST /mute/TOKEN/N`: mutes, or with `undo` un-mutes; doing it twice is the same as once."""
    undo = bool((await request.post()).get("undo"))

    def work(tx: Connection) -> Asked:
        asked = _asked(tx, house(request).secret, *_names(request))
        if undo:
            marks.take_off(tx, asked.person_id, asked.thread.id, marks.MUTED)
        else:
            marks.put(tx, asked.person_id, asked.thread.id, marks.MUTED, house(request).now())
        return asked

    return _page(request, await house(request).store.write(work), muted=not undo, done=True)


def _names(request: web.Request) -> tuple[str, int]:
    return request.match_info["token"], int(request.match_info["number"])


def _page(request: web.Request, asked: Asked, *, muted: bool, done: bool) -> web.Response:
    return page(
        request,
        "mute.html",
        forum=asked.forum,
        subject=asked.thread.subject,
        post=f"/f/{asked.forum.slug}/{request.match_info['number']}",
        muted=muted,
        done=done,
        noindex=True,
    )
