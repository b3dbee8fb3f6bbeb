"""A question that was mailed, answered by its link. Looking at the page does nothing; its button is the answer "yes"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlalchemy import Connection, Row

from server.bridge import WEB, Act, Author, Held
from server.desk import answered, forums, posts
from server.errors import NotFound, Rejected
from server.moderation import queue
from server.people import handles
from server.web.context import house, page


@dataclass(frozen=True, slots=True)
class Asked:
    """Which question it is (the name of its template); what it is about: the subject of a post, who asks, or `wishes`, a line each.

    `stands`: it was answered before, and this is how it is now.
    """

    forum: Row[Any]
    question: str
    subject: str
    wishes: tuple[str, ...]
    stands: str = ""


def _question(tx: Connection, token: str, now: int) -> Asked:
    grant = handles.redeem(tx, "confirm", token, now)
    if grant is None:
        spent = handles.spent(tx, "confirm", token)
        if spent is None:
            raise NotFound("no such token")
        forum = forums.by_id(tx, spent.thing_id)
        return Asked(forum, str(spent.data["template"]), "", (), answered.now(tx, forum, spent.data))
    held = queue.find(tx, str(grant.data["held"])) if grant.data.get("held") else None
    subject = posts.get(tx, held.post_id).subject if held is not None else str(grant.data.get("asker", ""))
    wishes = tuple(" ".join(words) for words in grant.data.get("commands", ()))
    return Asked(forums.by_id(tx, grant.thing_id), str(grant.data["template"]), subject, wishes)


async def show(request: web.Request) -> web.Response:
    """`GET /confirm/TOKEN`: what is asked, and a button; link scanners change nothing."""
    return _page(request, await _asked(request))


async def act(request: web.Request) -> web.Response:
    """`POST /confirm/TOKEN`: the same as an answer to the mail. No sign-in, no cookie: the token came to the mailbox that it acts for."""
    asked = await _asked(request)
    if asked.stands:
        return _page(request, asked)
    act_ = Act(asked.forum.slug, Author(WEB, ""), "confirm", request.match_info["token"])
    try:
        result = await house(request).accept(act_)
    except Rejected as problem:
        return _page(request, asked, problem=problem.reason, status=409)
    if isinstance(result, Held):
        return _page(request, asked, done=True, waits=result.reply)
    return _page(request, asked, done=True, post=result.post or "")


async def _asked(request: web.Request) -> Asked:
    return await house(request).store.read(_question, request.match_info["token"], house(request).now())


def _page(
    request: web.Request,
    asked: Asked,
    *,
    done: bool = False,
    post: str = "",
    waits: str = "",
    problem: str = "",
    status: int = 200,
) -> web.Response:
    return page(
        request,
        "confirm.html",
        status=status,
        forum=asked.forum,
        question=asked.question,
        stands=asked.stands,
        subject=asked.subject,
        wishes=asked.wishes,
        done=done,
        post=post,
        waits=waits,
        problem=problem,
        noindex=True,
    )
