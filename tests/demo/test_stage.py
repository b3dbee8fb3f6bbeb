"""The stage is for this machine's browser only, and its forms for its own page only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.demo import ports
from deploy.demo.community import ANA, DOMAIN
from deploy.demo.mailwrite import Correspondent, compose
from deploy.demo.peers import Peers
from deploy.demo.stage import Stage
from deploy.demo.state import AlreadyRunning, State


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    state = State(tmp_path)
    chosen = ports.choose(["web", "smtp", "stage"], {})
    peers = Peers(state, chosen, lambda: None)
    made = Stage(peers, chosen["stage"], "http://localhost:1")
    await made.start()
    yield made
    await made.stop()
    await peers.close()
    state.close()


async def ask(
    stage: Stage, path: str = "/", method: str = "GET", host: str = "localhost", **extra: str
) -> tuple[int, str]:
    headers = {"Host": f"{host}:{stage.port}"} | {name: value for name, value in extra.items() if name == "Origin"}
    data = {name: value for name, value in extra.items() if name != "Origin"} or None
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{stage.port}{path}"
        async with http.request(method, url, headers=headers, data=data, allow_redirects=False) as answer:
            stage_headers.clear()
            stage_headers.update(answer.headers)
            return answer.status, await answer.text()


stage_headers: dict[str, str] = {}


def thread(stage: Stage) -> None:
    """A thread of one mail by Ana, already on the web."""
    text = "A shrimp <script>alert(1)</script>"
    author = Correspondent(ANA.name, ANA.address)
    data = compose(author, f"tidepools@{DOMAIN}", "Shrimp & <b>", text, message_id="<1@maresia.example>")
    stage.peers.office.keep(ANA.address, data, sent=True)
    stage.peers.ledger.on_page(("tidepools", 1), ("tidepools", 1), text, 0.0)


async def test_the_page_stands_without_script_and_without_its_peers(stage: Stage) -> None:
    status, page = await ask(stage)
    assert status == 200
    for words in ("Ana Ribeiro", "Bruno Keller", "Chidi Okafor", "settle after <b>0 s</b>", 'action="/say/room"'):
        assert words in page


async def test_a_mail_is_shown_and_what_is_in_it_stays_text(stage: Stage) -> None:
    thread(stage)
    _, listed = await ask(stage)
    assert "Shrimp &amp; &lt;b&gt;" in listed
    _, page = await ask(stage, "/?forum=tidepools&thread=1")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "&lt;1@maresia.example&gt;" in page


async def test_another_name_for_this_machine_is_refused(stage: Stage) -> None:
    assert (await ask(stage, host="evil.example"))[0] == 421
    assert (await ask(stage, host="127.0.0.1"))[0] == 200


async def test_a_form_from_elsewhere_or_from_an_earlier_start_is_refused(stage: Stage) -> None:
    own = f"http://localhost:{stage.port}"
    fields = {"forum": "tidepools", "text": "x", "csrf": stage.guard.token}
    assert (await ask(stage, "/say/mail", "POST", **fields))[0] == 403
    assert (await ask(stage, "/say/mail", "POST", Origin="http://evil.example", **fields))[0] == 403
    assert (await ask(stage, "/say/mail", "POST", Origin=own, **{**fields, "csrf": "old"}))[0] == 403
    status, said = await ask(stage, "/say/room", "POST", Origin=own, **fields)
    assert (status, said) == (502, "Not sent: The room has not opened yet.")


async def test_pages_may_load_nothing_and_run_only_the_stages_script(stage: Stage) -> None:
    await ask(stage)
    policy = stage_headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_the_html_part_of_a_mail_is_locked_in(stage: Stage) -> None:
    html = b"Subject: x\r\nMessage-ID: <2@x>\r\nContent-Type: text/html\r\n\r\n<script>1</script><b>hi</b>"
    mail = stage.peers.office.keep(ANA.address, html)
    status, _ = await ask(stage, f"/mail/{ANA.address}/{mail.key}/html")
    assert status == 200
    policy = stage_headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert (await ask(stage, f"/mail/{ANA.address}/0/html"))[0] == 404


async def test_a_picture_is_fetched_only_if_it_stands_in_a_room(stage: Stage) -> None:
    assert (await ask(stage, "/room/picture?of=mxc://other/secret"))[0] == 404


async def test_mail_is_found_again_after_a_restart(stage: Stage) -> None:
    thread(stage)
    again = type(stage.peers.office)(stage.peers.office.root)
    assert [(mail.subject, mail.sent) for mail in again.box("ANA@maresia.example")] == [("Shrimp & <b>", True)]


def test_two_demos_do_not_share_a_directory(tmp_path: Path) -> None:
    first = State(tmp_path)
    first.data["x"] = 1
    first.save()
    with pytest.raises(AlreadyRunning, match="runs already"):
        State(tmp_path)
    first.close()
    second = State(tmp_path)
    assert second.data == {"x": 1}
    second.close()
