"""The site's pages inside the stage: fetched with Chidi's session, shown in a sandboxed frame that can only be looked at."""

from __future__ import annotations

import html
import time
from typing import Any

from aiohttp import web

from deploy.demo.community import FORUMS
from deploy.demo.guard import Guard
from deploy.demo.ledger import Page
from deploy.demo.panes import ring
from deploy.demo.peers import Peers
from deploy.demo.webpage import for_frame
from deploy.demo.webuser import TEMPORARY

RING_STYLE = "/static/frame.css"


class WebFrame:
    """Where the frame is, and what it shows."""

    def __init__(self, peers: Peers, guard: Guard) -> None:
        self.peers = peers
        self.guard = guard

    def where(self, forum: str, root: Page | None) -> dict[str, Any]:
        """For the pane's template: the page, the posts that are new on it, and the one to look at."""
        if not self.peers.web_users or not self.peers.watch.ready:
            return {"path": ""}
        now = time.time()
        new = sorted(
            post.page[1]
            for post in self.peers.ledger.posts.values()
            if root and post.root == root and post.new(now) and "web" in post.seen
        )
        path = f"/f/{root[0]}/{root[1]}" if root else f"/f/{forum}"
        # A new address for each news, so that the script knows when the frame has to be loaded again.
        version = sum(len(post.seen) for post in self.peers.ledger.posts.values() if post.page[0] == forum)
        return {"path": path, "version": version, "focus": new[-1] if new else 0}

    async def show(self, request: web.Request) -> web.Response:
        """A page, or what it is made of. Only what can be got is got: nothing is ever sent from here."""
        path = request.match_info["path"]
        query = {name: value for name, value in request.query.items() if name != "stage"}
        try:
            answer = await self.peers.watch.user.get(str(request.rel_url.with_path(path).with_query(query)))
        except TEMPORARY:
            raise web.HTTPBadGateway(text="The site does not answer just now.\n") from None
        headers = {"Content-Security-Policy": self.guard.frame_policy}
        if answer.kind != "text/html":
            headers["Cache-Control"] = "private, max-age=300"
            return web.Response(status=answer.status, body=answer.data, content_type=answer.kind, headers=headers)
        text = for_frame(
            answer.text,
            answer.path,
            self.peers.base_url,
            self._rung(path),
            lambda forum, number: f"/?forum={forum}&thread={number}",
            [RING_STYLE],
        )
        return web.Response(status=answer.status, text=text, content_type="text/html", headers=headers)

    def _rung(self, path: str) -> dict[int, str]:
        """The new posts of the forum that the page is of, with their hops in words."""
        forum, now, found = next((slug for slug in FORUMS if path.startswith(f"/f/{slug}/")), ""), time.time(), {}
        for post in self.peers.ledger.posts.values():
            if post.page[0] == forum and (mark := ring(post, now)):
                words = [f"written in {mark.origin}", *(f"{channel} +{time}" for channel, time in mark.hops)]
                found[post.page[1]] = html.escape(" · ".join(words))
        return found
