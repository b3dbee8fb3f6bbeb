"""Held posts by the link in a notice: what waits, and a button. Looking does nothing; pressing decides, as `desk.answers` says.

No sign-in: the token proves the mailbox that it was sent to, as an answer by mail does.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from sqlalchemy import Connection

from server.archive import held
from server.archive.masking import Mask
from server.desk import Desk, answers
from server.errors import NotFound, Rejected
from server.i18n import gettext as _
from server.moderation import words
from server.web import body
from server.web.context import form, house, page

VERBS = {words.APPROVE, words.REJECT, words.BAN, words.CANCEL}


def _asked(tx: Connection, desk: Desk, token: str) -> tuple[answers.Asked, list[held.HeldView]]:
    by = answers.asked(tx, desk, token)
    if by is None:
        raise NotFound("no such token")
    return by, held.views(tx, [post_id for post_id, _name in by.posts])


async def show(request: web.Request) -> web.Response:
    """`GET /mod/TOKEN`: the posts of the notice, each with its own page; of one alone, that page."""
    by, waiting = await _read(request)
    if len(by.posts) == 1:
        return await _one(request, by, waiting, by.names[0])
    return _page(request, by, waiting, None)


async def show_one(request: web.Request) -> web.Response:
    """`GET /mod/TOKEN/H-xxxx`: the post as it would be read, and what can be done with it."""
    by, waiting = await _read(request)
    return await _one(request, by, waiting, request.match_info["name"])


async def act(request: web.Request) -> web.Response:
    """`POST /mod/TOKEN/H-xxxx`: decide, and say what is now."""
    fields = await form(request)
    verb, reason = fields.get("verb", ""), fields.get("reason", "")[: words.REASON_CHARS].strip()
    if verb not in VERBS:
        raise Rejected("5.5.0", _("There is no such decision."))
    done = await house(request).store.write(
        _act, house(request).desk, request.match_info["token"], request.match_info["name"], verb, reason
    )
    by, waiting = await _read(request)
    return _page(request, by, waiting, None, done=done)


def _act(tx: Connection, desk: Desk, token: str, name: str, verb: str, reason: str) -> str:
    by = answers.asked(tx, desk, token)
    if by is None or name not in by.names:
        raise NotFound("no such token")
    return answers.decided_on(tx, desk, by, verb, by.names.index(name), reason)


async def _read(request: web.Request) -> tuple[answers.Asked, list[held.HeldView]]:
    return await house(request).store.read(_asked, house(request).desk, request.match_info["token"])


async def _one(request: web.Request, by: answers.Asked, waiting: Sequence[held.HeldView], name: str) -> web.Response:
    post = next((each for each in waiting if each.name == name), None)
    if post is not None:
        return _page(request, by, waiting, post)
    if name not in by.names:
        raise NotFound("no such post")
    done = await house(request).store.read(answers.already, house(request).desk, by, name)
    return _page(request, by, waiting, None, done=done)


def _page(
    request: web.Request,
    by: answers.Asked,
    waiting: Sequence[held.HeldView],
    post: held.HeldView | None,
    done: str = "",
) -> web.Response:
    mask = Mask(by.forum.slug, by.forum.mail_domain)
    return page(
        request,
        "moderate.html",
        forum=by.forum,
        by_author=by.by_author,
        root=f"/mod/{request.match_info['token']}",
        waiting=[(each, mask.text(each.subject)) for each in waiting],
        post=post,
        subject=mask.text(post.subject) if post else "",
        shown=body.shown(post.html, (), mask, fold=True) if post else "",
        files=[mask.file(each) for each in post.files] if post else [],
        done=mask.text(done),
        noindex=True,
    )
