"""Writing: a new thread, a reply, with a preview; joining and leaving. Thin: the desk decides, this door only asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from markupsafe import Markup
from sqlalchemy import Connection, Row

from server import bridge, limits, tokens
from server.archive import places, threads
from server.archive.access import Viewer, may
from server.archive.masking import Mask
from server.content.derive import derive
from server.errors import Deferred, Rejected
from server.i18n import gettext as _
from server.web import body
from server.web.context import form, house, page, visit

PER_PERSON: web.AppKey[limits.Limiter] = web.AppKey("posts_per_person")


def limiters(app: web.Application) -> None:
    """Thirty posts of one person in ten minutes is more than anybody types."""
    app[PER_PERSON] = limits.Limiter(30, 600)


def signed_in(request: web.Request) -> Viewer:
    """The viewer, or off to the sign-in page and back here."""
    if not visit(request).signed_in:
        back = request.path if request.method == "GET" else request.path.removesuffix("/reply")
        raise web.HTTPSeeOther(str(request.url.with_path("/sign-in").with_query(next=back).relative()))
    return visit(request).viewer


def _author(viewer: Viewer) -> bridge.Author:
    return bridge.Author(bridge.WEB, str(viewer.person_id), viewer.name, bridge.Proof.SESSION)


async def _allowed(request: web.Request, viewer: Viewer) -> Row[Any]:
    forum = await house(request).store.read(places.forum, viewer, request.match_info["forum"])
    why_not = may(viewer, "post", forum)
    if why_not is not None:
        raise Rejected("5.7.1", why_not)
    return forum


async def new(request: web.Request) -> web.Response:
    """`/f/FORUM/new`: the form, its preview, and the post."""
    viewer = signed_in(request)
    fields = await form(request) if request.method == "POST" else {}
    forum = await _allowed(request, viewer)
    return await _write(request, viewer, forum, fields, None)


def _thread(tx: Connection, viewer: Viewer, slug: str, number: int) -> threads.ThreadPage:
    return threads.page(tx, viewer, slug, number)


async def reply(request: web.Request) -> web.Response:
    """`/f/FORUM/N/reply`: as `new`, under post N."""
    viewer = signed_in(request)
    fields = await form(request) if request.method == "POST" else {}
    forum = await _allowed(request, viewer)
    number = int(request.match_info["number"])
    return await _write(
        request, viewer, forum, fields, await house(request).store.read(_thread, viewer, forum.slug, number)
    )


async def _write(
    request: web.Request,
    viewer: Viewer,
    forum: Row[Any],
    fields: Mapping[str, str],
    thread: threads.ThreadPage | None,
) -> web.Response:
    subject, text = fields.get("subject", "").strip(), fields.get("text", "")
    token = fields.get("form", "")
    token = token if tokens.is_token(token) else tokens.random_token()
    context = {"forum": forum, "thread": thread, "subject": subject, "text": text, "form_token": token}
    if request.method != "POST":
        return await _form(request, context)
    if len(subject) > limits.SUBJECT_CHARS or len(text) > limits.TEXT_CHARS:
        return await _form(request, context, 413, _("This is longer than we take: please shorten it."))
    if not text.strip():
        return await _form(request, context, 400, _("There is no text yet."))
    if thread is None and not subject:
        return await _form(request, context, 400, _("A new thread needs a subject."))
    if "preview" in fields:
        return await _form(
            request, context, preview=await asyncio.to_thread(_preview, text, Mask(forum.slug, forum.mail_domain))
        )
    if not request.app[PER_PERSON].allow(str(viewer.person_id)):
        return await _form(request, context, 429, _("These are many posts in a short time. Please wait some minutes."))
    return await _post(
        request,
        context,
        bridge.NewPost(
            forum=forum.slug,
            author=_author(viewer),
            refs=(bridge.Ref("form", token),),
            parents=(bridge.Ref("post", str(thread.chosen.id)),) if thread is not None else (),
            subject=subject if thread is None else None,
            text=text.replace("\r\n", "\n"),
            text_format="markdown",
        ),
    )


async def _post(request: web.Request, context: Mapping[str, Any], inbound: bridge.NewPost) -> web.Response:
    """Hand it to the desk. What was written is never lost: a refused or deferred form comes back with its text."""
    try:
        result = await house(request).accept(inbound)
    except Rejected as problem:
        fresh = {**context, "form_token": tokens.random_token()}  # the desk may refuse the old one for these words
        return await _form(request, fresh, 403, problem.reason)
    except Deferred as problem:
        return await _form(request, context, 503, problem.reason)
    if isinstance(result, bridge.Held) or result.post is None:
        return page(request, "held.html", forum=context["forum"], result=result, noindex=True)
    slug, _slash, number = result.post.rpartition("/")
    raise web.HTTPSeeOther(f"/f/{slug}/{number}#{number}")


async def _form(
    request: web.Request,
    context: Mapping[str, Any],
    status: int = 200,
    problem: str = "",
    preview: Markup | None = None,
) -> web.Response:
    return await asyncio.to_thread(_form_page, request, context, status, problem, preview)


def _form_page(
    request: web.Request, context: Mapping[str, Any], status: int, problem: str, preview: Markup | None
) -> web.Response:
    """Run on a thread: the post that is answered may be long."""
    forum, thread = context["forum"], context["thread"]
    mask = Mask(forum.slug, forum.mail_domain)
    chosen = thread.chosen if thread is not None else None
    return page(
        request,
        "write.html",
        status=status,
        problem=problem,
        preview=preview,
        answered=body.shown(chosen.html, chosen.files, mask) if chosen is not None else None,
        thread_subject=mask.text(thread.subject) if thread is not None else "",
        is_member=visit(request).viewer.role(forum.id) is not None,
        noindex=True,
        **context,
    )


def _preview(text: str, mask: Mask) -> Markup:
    return body.shown(derive(text, None, "markdown", (), ()).html, (), mask)


async def join(request: web.Request) -> web.Response:
    """`/f/FORUM/join`: what joining means, and the button; where moderators let people in, a word to them."""
    viewer = signed_in(request)
    forum = await house(request).store.read(places.forum, viewer, request.match_info["forum"])
    if request.method != "POST":
        return _join_page(request, forum, may(viewer, "join", forum))
    fields = await form(request)
    mode = fields.get("mode")
    wish = bridge.Join(
        forum.slug,
        _author(viewer),
        mode if mode in bridge.MODES else None,
        words=fields.get("words", "")[: limits.TEXT_CHARS],
    )
    result = await house(request).accept(wish)
    if isinstance(result, bridge.Held):
        return _join_page(request, forum, None, waits=result.reply)
    raise web.HTTPSeeOther(f"/f/{forum.slug}")


def _join_page(request: web.Request, forum: Row[Any], why_not: str | None, waits: str = "") -> web.Response:
    asks = forum.join_policy == "approval"
    return page(request, "join.html", forum=forum, why_not=why_not, waits=waits, asks=asks, noindex=True)


async def leave(request: web.Request) -> web.Response:
    """`POST /f/FORUM/leave`: a signed-in member goes."""
    viewer = signed_in(request)
    await form(request)
    forum = await house(request).store.read(places.forum, viewer, request.match_info["forum"])
    await house(request).accept(bridge.Leave(forum.slug, author=_author(viewer)))
    raise web.HTTPSeeOther(f"/f/{forum.slug}" if forum.visibility == "public" else "/")
