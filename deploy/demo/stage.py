"""The stage: one page, three panes, a reply box in each. Routes and templates; the members' clients are in `peers`."""

from __future__ import annotations

import asyncio
import html
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from deploy.demo import panes
from deploy.demo.community import ANA, BRUNO, CHIDI, FORUMS, MAIL, ROOM, TOPICS, WEB
from deploy.demo.guard import FORM_LIMIT, Guard
from deploy.demo.ledger import Handed, Page
from deploy.demo.mailwrite import MailRefused
from deploy.demo.peers import NotThere, Peers, alias
from deploy.demo.roomuser import RoomRefused, shown_html
from deploy.demo.webframe import WebFrame
from deploy.demo.webuser import WebRefused

PAGES = Path(__file__).with_name("pages")
TITLES = {MAIL: "Mail", ROOM: "Room", WEB: "Web"}
MEMBERS = {MAIL: ANA, ROOM: BRUNO, WEB: CHIDI}
TALK = {forum: "" if forum in TOPICS else "; talk, mailed once when it has ended" for forum in FORUMS}
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
TROUBLE = (NotThere, MailRefused, RoomRefused, WebRefused, OSError, aiohttp.ClientError, TimeoutError)
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Stage:
    """The application and its listeners; `look` tells every open page that something changed."""

    def __init__(self, peers: Peers, port: int, homeserver: str) -> None:
        self.peers = peers
        self.port = port
        self.homeserver = homeserver
        self.status = ""
        self.guard = Guard(port, peers.base_url)
        self.frame = WebFrame(peers, self.guard)
        self.trace = ""
        self._streams: set[asyncio.Queue[tuple[str, str]]] = set()
        self._told: set[int] = set()
        self._runner: web.AppRunner | None = None
        self.pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self.pages.globals.update(
            clock=panes.clock, hue=panes.hue, initials=panes.initials, size=panes.size, titles=TITLES, forums=FORUMS
        )
        own = re.escape(peers.base_url)
        self.pages.filters["link_own"] = lambda text: _links(text, own)
        self.pages.filters["room_html"] = lambda text: Markup(shown_html(text))

    def application(self) -> web.Application:
        """Every route."""
        app = web.Application(middlewares=[self.guard.middleware()], client_max_size=FORM_LIMIT)
        app.on_response_prepare.append(self.guard.dress)
        app.add_routes(
            [
                web.get("/", self.page),
                web.get("/pane/{channel:mail|room|web}", self.pane),
                web.get("/events", self.events),
                web.post("/say/{channel:mail|room|web}", self.say),
                web.post("/sign-in", self.sign_in),
                web.get("/mailboxes", self.mailboxes),
                web.get("/mail/{box}/{key}/html", self.mail_html),
                web.get(r"/mail/{box}/{key}/{part:\d+}", self.mail_part),
                web.get("/room/picture", self.picture),
                web.get("/web{path:/.*}", self.frame.show),
                web.get(r"/static/{name:[a-z]+\.(css|js|svg)}", self.static),
            ]
        )
        return app

    async def start(self) -> None:
        """Listens on 127.0.0.1."""
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Ends open streams and listens no more."""
        self.tell("end", "")
        if self._runner:
            await self._runner.cleanup()

    # What is new
    def tell(self, event: str, data: str) -> None:
        """Sends an event to every open page."""
        for stream in self._streams:
            stream.put_nowait((event, data))

    def look(self) -> None:
        """Something changed: pages fetch their panes; a new thread that was begun here opens."""
        self.tell("look", "")
        for entry in self.peers.ledger.handed:
            if entry.page and entry.number not in self._told:
                self._told.add(entry.number)
                self.tell("opened", json.dumps({"number": entry.number, "page": entry.page}))

    def say_status(self, words: str) -> None:
        """One line for people on what is still to come."""
        self.status = words
        self.tell("status", json.dumps(words))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events until the page goes."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._streams.add(stream)
        try:
            while True:
                try:
                    async with asyncio.timeout(20):
                        event, data = await stream.get()
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if event == "end":
                    return response
                await response.write(f"event: {event}\ndata: {data}\n\n".encode())
        except ConnectionError:
            return response
        finally:
            self._streams.discard(stream)

    # What is shown
    def _chosen(self, request: web.Request) -> tuple[str, Page | None]:
        forum, thread = request.query.get("forum", ""), request.query.get("thread", "")
        forum = forum if forum in FORUMS else next(iter(FORUMS))
        return forum, self.peers.ledger.root_of((forum, int(thread[:12]))) if thread.isdecimal() else None

    def _view(self, channel: str, forum: str, root: Page | None) -> Markup:
        ledger = self.peers.ledger
        values: dict[str, Any] = {"root": root, "who": MEMBERS[channel], "status": self.status}
        if channel == MAIL:
            mails = panes.once(self.peers.office.box(ANA.address))
            values["box"] = ANA.address
            if root:
                values["lines"] = panes.mail_thread(mails, root, ledger)
            else:
                values["threads"] = panes.mail_list(mails, forum, ledger)
        elif channel == ROOM:
            room = self.peers.room.room(alias(forum)) if self.peers.room else None
            values["room"] = room
            me = f"@{BRUNO.key}:"
            if room and root:
                values["lines"] = panes.room_thread(room, root, ledger, me)
            elif room:
                values["timeline"] = panes.room_timeline(room, ledger, me)
        else:
            values |= self.frame.where(forum, root)
        return Markup(self.pages.get_template(f"{channel}.html").render(values))

    async def page(self, request: web.Request) -> web.Response:
        """The whole stage; readable and usable without its script."""
        forum, root = self._chosen(request)
        subject = self.peers.watch.subjects.get(root, "") if root else ""
        reply = "Write an answer" if root else "Say something new"
        text = self.pages.get_template("stage.html").render(
            title=subject or FORUMS[forum],
            forum=forum,
            root=root,
            subject=subject or "A thread",
            status=self.status,
            members=MEMBERS,
            views={channel: self._view(channel, forum, root) for channel in TITLES},
            csrf=self.guard.token,
            homeserver=self.homeserver,
            real_page=f"{self.peers.base_url}/f/{'/'.join(map(str, root)) if root else forum}",
            trace=self.trace,
            placeholders={channel: f"{reply} as {member.name.split()[0]}" for channel, member in MEMBERS.items()},
            notes={
                MAIL: "goes out by SMTP, as from any mail program",
                ROOM: "sent by an ordinary Matrix client" + (", in this thread" if root else TALK.get(forum, "")),
                WEB: "through the form of the page above; Markdown works",
            },
            verbs={MAIL: "Send", ROOM: "Send", WEB: "Post"},
        )
        return web.Response(text=text, content_type="text/html")

    async def pane(self, request: web.Request) -> web.Response:
        """One pane's view, for the script."""
        view = self._view(request.match_info["channel"], *self._chosen(request))
        return web.Response(text=str(view), content_type="text/html")

    # What is done
    async def say(self, request: web.Request) -> web.Response:
        """A member writes, through their own client. Answers the script with JSON, a browser without it with the page."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        forum = form.get("forum", "")
        thread, text = form.get("thread", ""), form.get("text", "").replace("\r\n", "\n").strip()
        if forum not in FORUMS or not text:
            raise web.HTTPBadRequest(text="There is nothing to send.\n")
        root = self.peers.ledger.root_of((forum, int(thread[:12]))) if thread.isdecimal() else None
        subject = " ".join(form.get("subject", "").split()) or text[:60]
        try:
            handed = await self._hand(request.match_info["channel"], forum, root, text, subject, form.get("to", ""))
            said: dict[str, Any] = {"number": handed.number}
        except TROUBLE as problem:
            said = {"problem": f"Not sent: {problem or type(problem).__name__}"}
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response(said)
        if "problem" in said:
            return web.Response(status=502, text=said["problem"])
        raise web.HTTPSeeOther(f"/?forum={forum}" + (f"&thread={thread}" if root else ""))

    async def _hand(self, channel: str, forum: str, root: Page | None, text: str, subject: str, key: str) -> Handed:
        if channel == MAIL:
            return await self.peers.say_mail(forum, root, text, subject, key)
        if channel == ROOM:
            return await self.peers.say_room(forum, root, text)
        return await self.peers.say_web(forum, root, text, subject)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Off to the real site with a link that was mailed just now."""
        try:
            raise web.HTTPSeeOther(await self.peers.fresh_link(CHIDI))
        except TROUBLE as problem:
            raise web.HTTPBadGateway(text=f"{problem}\n") from None

    async def mailboxes(self, request: web.Request) -> web.Response:
        """Every mail that was caught, by mailbox."""
        box = request.query.get("of", "")
        mails = reversed(self.peers.office.box(box)) if box else []
        text = self.pages.get_template("mailboxes.html").render(
            title="Mailboxes", addresses=self.peers.office.addresses(), box=box, mails=list(mails)
        )
        return web.Response(text=text, content_type="text/html")

    def _mail(self, request: web.Request) -> Any:
        box, key = request.match_info["box"], request.match_info["key"]
        found = next((mail for mail in self.peers.office.box(box) if mail.key == key), None)
        if found is None:
            raise web.HTTPNotFound
        return found

    async def mail_html(self, request: web.Request) -> web.Response:
        """The HTML part of a mail, for its sandboxed frame: no script, no remote content."""
        mail = self._mail(request)
        text = mail.html
        for part in mail.parts:
            if part.content_id:
                where = f"/mail/{request.match_info['box']}/{mail.key}/{part.number}"
                text = text.replace(f"cid:{part.content_id}", where)
        policy = {"Content-Security-Policy": self.guard.frame_policy}
        return web.Response(text=text, content_type="text/html", headers=policy)

    async def mail_part(self, request: web.Request) -> web.Response:
        """A picture in a mail; anything else is for saving."""
        number = int(request.match_info["part"])
        part = next((part for part in self._mail(request).parts if part.number == number), None)
        if part is None:
            raise web.HTTPNotFound
        return _file(part.data, part.media_type)

    async def picture(self, request: web.Request) -> web.Response:
        """A picture or a file that stands in one of the rooms, fetched with Bruno's client."""
        media = request.query.get("of", "")
        view = self.peers.room
        if view is None or not any(message.holds(media) for message in view.all()):
            raise web.HTTPNotFound
        try:
            kind, data = await view.user.picture(media)
        except TROUBLE as problem:
            raise web.HTTPBadGateway(text=f"{problem}\n") from None
        return _file(data, kind)

    async def static(self, request: web.Request) -> web.Response:
        """Style, script and icon."""
        file = PAGES / request.match_info["name"]
        if not file.is_file():
            raise web.HTTPNotFound
        return web.Response(body=file.read_bytes(), content_type=_TYPES[file.suffix])


def _file(data: bytes, media_type: str) -> web.Response:
    shown = media_type in PICTURES
    headers = {
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "inline" if shown else "attachment",
        "Cache-Control": "private, max-age=3600",
    }
    kind = media_type if shown else "application/octet-stream"
    return web.Response(body=data, content_type=kind, headers=headers)


def _links(text: str, own: str) -> Markup:
    """Plain text with the links to our own site made to be clicked."""
    pattern = re.compile(f"({own}/[^\\s<>\"']*[^\\s<>\"'.,;)])")
    pieces = [
        f'<a href="{html.escape(piece)}" target="_blank" rel="noopener noreferrer">{html.escape(piece)}</a>'
        if index % 2
        else html.escape(piece)
        for index, piece in enumerate(pattern.split(text))
    ]
    return Markup("".join(pieces))
