"""The public web: every route in one list. Composes; no rules."""

from __future__ import annotations

import aiohttp_jinja2
from aiohttp import web

from server import render
from server.house import Household
from server.web import (
    blob,
    confirm,
    entry,
    feed,
    guard,
    home,
    leave,
    moderate,
    mute,
    ops,
    resume,
    sign_in,
    source,
    thread,
    write,
)
from server.web.context import FORM_BYTES, HOUSE, STYLE_URL

FORUM = "/f/{forum:[A-Za-z0-9-]{1,29}}"
POST = FORUM + r"/{number:[1-9][0-9]{0,17}}"
COMMUNITY = "/c/{community:[A-Za-z0-9-]{1,29}}"
HELD = "/{name:H-[a-z2-7]{4}}"
TOKEN = "{token:[A-Za-z2-7]{26}}"  # noqa: S105  a pattern


def make_app(house: Household) -> web.Application:
    """The application over a house; the caller runs it."""
    app = web.Application(middlewares=[guard.language, guard.failures, guard.visitor], client_max_size=FORM_BYTES)
    app.on_response_prepare.append(guard.headers)
    app[HOUSE] = house
    app[STYLE_URL] = ops.style_url()
    app[aiohttp_jinja2.APP_KEY] = render.environment()
    sign_in.limiters(app)
    write.limiters(app)
    app.add_routes(
        [
            web.get("/", home.home),
            web.get(COMMUNITY, home.community),
            web.get(COMMUNITY + "/feed.atom", feed.community),
            web.get(FORUM, home.forum),
            web.get(FORUM + "/feed.atom", feed.forum),
            web.get(FORUM + "/new", write.new),
            web.post(FORUM + "/new", write.new),
            web.get(FORUM + "/join", write.join),
            web.post(FORUM + "/join", write.join),
            web.post(FORUM + "/leave", write.leave),
            web.post(FORUM + "/resume", resume.act),
            web.get(POST, thread.thread),
            web.get(POST + "/raw", source.raw),
            web.get(POST + "/thread.mbox", source.thread_mbox),
            web.get(POST + "/reply", write.reply),
            web.post(POST + "/reply", write.reply),
            web.get("/m/{id:.{1,998}}", source.by_message_id),
            web.get("/blob/{hash:[0-9a-f]{64}}/{filename:[^/]{0,900}}", blob.blob),
            web.get("/confirm/" + TOKEN, confirm.show),
            web.post("/confirm/" + TOKEN, confirm.act),
            web.get("/leave/" + TOKEN, leave.show),
            web.post("/leave/" + TOKEN, leave.act),
            web.get("/mute/" + TOKEN + "/{number:[1-9][0-9]{0,17}}", mute.show),
            web.post("/mute/" + TOKEN + "/{number:[1-9][0-9]{0,17}}", mute.act),
            web.get("/entry/" + TOKEN, entry.show),
            web.post("/entry/" + TOKEN, entry.act),
            web.get("/mod/" + TOKEN, moderate.show),
            web.get("/mod/" + TOKEN + HELD, moderate.show_one),
            web.post("/mod/" + TOKEN + HELD, moderate.act),
            web.get("/sign-in", sign_in.ask),
            web.post("/sign-in", sign_in.send),
            web.get("/sign-in/" + TOKEN, sign_in.show),
            web.post("/sign-in/" + TOKEN, sign_in.enter),
            web.post("/sign-out", sign_in.leave),
            web.get("/static/{version:[0-9a-f]{12}}/{name:style.css|icon.svg}", ops.static),
            web.get("/robots.txt", ops.robots),
            web.get("/healthz", ops.healthz),
            web.get("/metrics", ops.metrics),
        ]
    )
    return app
