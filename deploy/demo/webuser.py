"""A member on the web: signs in by the mailed link, reads pages and fills in forms, as a browser would."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import aiohttp

from deploy.demo.patience import insist
from deploy.demo.webpage import Form, forms

TEMPORARY = (OSError, aiohttp.ClientError, TimeoutError)
PAGE_LIMIT = 32 << 20


class WebRefused(RuntimeError):
    """The site said no; the text is what its page says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `path` is where it led to."""

    status: int
    kind: str
    data: bytes
    path: str

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


class WebUser:
    """One browser with one session. `kept` holds its cookies from one start to the next."""

    def __init__(self, address: str, base_url: str, kept: dict[str, str]) -> None:
        self.address = address
        self.base_url = base_url
        self.kept = kept
        self._http: aiohttp.ClientSession | None = None

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=15), auto_decompress=True
            )
        return self._http

    async def get(self, path: str, follow: bool = True) -> Answer:
        """A page or a file of the site."""
        return await self._ask("GET", path, None, follow)

    async def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        """A form, sent; a redirect is not followed but named in `path`."""
        return await self._ask("POST", path, fields, False)

    async def _ask(self, method: str, path: str, fields: Mapping[str, str] | None, follow: bool) -> Answer:
        headers = {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
        if self.kept:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.kept.items())
        if fields is not None:
            headers["Origin"] = self.base_url
        url = urljoin(self.base_url, path)
        async with self._session().request(method, url, data=fields, headers=headers, allow_redirects=False) as answer:
            for name, morsel in answer.cookies.items():
                if morsel.value:
                    self.kept[name] = morsel.value
                else:
                    self.kept.pop(name, None)
            data = await answer.content.read(PAGE_LIMIT)
            there = urlsplit(urljoin(url, answer.headers.get("Location", url)))
            found = Answer(answer.status, answer.content_type, data, there._replace(scheme="", netloc="").geturl())
        if follow and found.status in (301, 302, 303, 307, 308):
            return await self._ask("GET", found.path, None, True)
        return found

    async def form(self, path: str, having: str) -> Form:
        """The form with a field of that name on a page. Raises WebRefused if there is none."""
        answer = await self.get(path)
        if answer.status >= 500:
            raise aiohttp.ClientConnectionError(f"{answer.status} from {path}")
        found = next((form for form in forms(answer.text) if having in form.fields), None)
        if found is None:
            raise WebRefused(f"{path} ({answer.status}) has no form with a field {having!r}")
        return Form(urljoin(answer.path, found.action or answer.path), found.fields)

    async def request_link(self) -> None:
        """Asks for a sign-in link by mail."""
        form = await self.form("/sign-in", "address")
        await self.post(form.action, {**form.fields, "address": self.address})

    async def open_link(self, link: str) -> None:
        """Opens the mailed link and presses its button. Raises WebRefused."""
        path = urlsplit(link).path
        answer = await self.get(path)
        action = next((form for form in forms(answer.text) if urlsplit(form.action or path).path == path), None)
        if action is None:
            raise WebRefused(f"the sign-in link of {self.address} did not work ({answer.status})")
        done = await self.post(path, action.fields)
        if done.status != 303:
            raise WebRefused(f"signing in as {self.address} did not work ({done.status})")

    async def signed_in(self) -> bool:
        """Whether the kept session still stands: the sign-in page sends a member away."""
        return bool(self.kept) and (await self.get("/sign-in", follow=False)).status in (302, 303)

    async def sign_in(self, mailed: Callable[[], Awaitable[str]]) -> None:
        """Keeps the session if it stands, else asks for a link, which `mailed` waits for."""
        if await self.signed_in():
            return
        self.kept.clear()
        await self.request_link()
        await self.open_link(await mailed())

    async def write(self, path: str, text: str, subject: str = "", patience: float = 5.0) -> tuple[str, int]:
        """Fills in the form at `path` and sends it; (forum, number) of the new post.

        The same filled-in form is sent again while the site is away: its token makes it one post.
        """
        form = await insist(lambda: self.form(path, "text"), patience, TEMPORARY)
        fields = {**form.fields, "text": text} | ({"subject": subject} if subject else {})

        async def once() -> tuple[str, int]:
            answer = await self.post(form.action, fields)
            if answer.status in (429, 503) or answer.status >= 500:
                raise aiohttp.ClientConnectionError(f"{answer.status} from {form.action}")
            match = re.match(r"/f/([a-z0-9-]+)/(\d+)", answer.path)
            if answer.status != 303 or not match:
                raise WebRefused(f"{form.action} answered {answer.status} and no new post")
            return match[1], int(match[2])

        return await insist(once, patience, TEMPORARY)

    async def close(self) -> None:
        """Closes the connections; the session stays."""
        if self._http:
            await self._http.close()
