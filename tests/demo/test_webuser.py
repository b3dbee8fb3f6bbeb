"""The member on the web is a browser: a mailed link, cookies, forms; a site that is away for a moment gets the same form again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from deploy.demo import ports
from deploy.demo.webuser import WebRefused, WebUser

SIGN_IN = (
    '<form method="post" action="/sign-in"><input name="csrf" type="hidden" value=""><input name="address"></form>'
)
LINK = '<form method="post"><input type="hidden" name="csrf" value="l"></form>'
NEW = (
    '<form method="post" action="/f/pools/new"><input type="hidden" name="form" value="{}"><input name="subject">'
    '<textarea name="text"></textarea></form>'
)


class Site:
    """As little of a site as the browser needs; answers 503 as often as `away` says."""

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"
        self.port = port
        self.away = 0
        self.forms_made = 0
        self.got: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        known = request.cookies.get("junto") == "session"
        if request.method == "POST":
            assert request.headers["Origin"] == self.url
            self.got.append(fields)
        if request.path == "/sign-in":
            if known:
                raise web.HTTPFound("/")
            return web.Response(text=SIGN_IN, content_type="text/html")
        if request.path == "/sign-in/token" and request.method == "POST":
            response = web.Response(status=303, headers={"Location": "/"})
            response.set_cookie("junto", "session")
            return response
        if request.path == "/sign-in/token":
            return web.Response(text=LINK, content_type="text/html")
        if request.method == "POST" and self.away:
            self.away -= 1
            return web.Response(status=503)
        if request.method == "POST":
            raise web.HTTPSeeOther("/f/pools/12#12")
        self.forms_made += 1
        return web.Response(text=NEW.format(self.forms_made) if known else "", content_type="text/html")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site(ports.choose(["site"], {})["site"])
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    yield made
    await runner.cleanup()


@pytest.fixture
async def user(site: Site) -> AsyncIterator[WebUser]:
    made = WebUser("chidi@lagoon.example", site.url, {})
    yield made
    await made.close()


async def mailed() -> str:
    return "http://localhost/sign-in/token"


async def test_the_mailed_link_signs_in_and_the_session_is_kept(site: Site, user: WebUser) -> None:
    await user.sign_in(mailed)
    assert site.got == [{"csrf": "", "address": "chidi@lagoon.example"}, {"csrf": "l"}]
    again = WebUser(user.address, site.url, user.kept)
    await again.sign_in(mailed)
    assert len(site.got) == 2
    await again.close()


async def test_the_same_form_is_sent_again_when_the_site_was_away(site: Site, user: WebUser) -> None:
    user.kept["junto"] = "session"
    site.away = 2
    assert await user.write("/f/pools/new", "words", "Subject") == ("pools", 12)
    assert site.got == [{"form": "1", "subject": "Subject", "text": "words"}] * 3


async def test_a_page_without_the_form_is_said_and_not_tried_for_ever(site: Site, user: WebUser) -> None:
    with pytest.raises(WebRefused, match="no form"):
        await user.write("/f/pools/new", "words")
