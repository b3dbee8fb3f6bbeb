"""A picture, a table and a mention go from a room to mail and web, and from mail to the room; no homeserver's address goes with them."""

from __future__ import annotations

import asyncio
import base64
import email.policy
import json
import urllib.request
from email.message import EmailMessage
from urllib.parse import quote

from bridges.matrix.tests.samples import png
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, Synapse
from tests.stories.test_room_walk import in_room, in_thread, message, shore
from tests.stories.town import Town, read

__all__ = ["shore"]  # the fixture: a town with a room
TABLE = "<table><tbody><tr><td>north</td><td>40</td></tr></tbody></table>"


def with_picture(sender: str, to: str, data: bytes) -> bytes:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = f"Ana <{sender}>", to, "Limpets"
    mail["Message-ID"], mail["Date"] = "<limpets@ana.test>", "Mon, 23 Nov 2026 08:00:00 +0000"
    mail.set_content("Look at this one.\n")
    html = f'<p>Look at <img src="cid:one@ana.test" alt="this"> one.</p>{TABLE}<img src="https://x.test/pixel.png">'
    mail.add_alternative(html, subtype="html")
    html_part = mail.get_payload(1)
    assert isinstance(html_part, EmailMessage)
    html_part.add_related(data, "image", "png", cid="<one@ana.test>", filename="limpet.png")
    return mail.as_bytes()


def kept(synapse: Synapse, user: Account, mxc: str = "", data: bytes = b"") -> bytes:
    """What the homeserver keeps at that address, or the address of what it is given."""
    base, token = synapse.url, {"Authorization": f"Bearer {user.token}"}
    where = f"/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}" if mxc else "/_matrix/media/v3/upload"
    headers = token if mxc else token | {"Content-Type": "image/png"}
    asked = urllib.request.Request(base + where, None if mxc else data, headers)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return bytes(answer.read())


async def test_a_picture_goes_every_way(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")

    small, large = png(3, 2), png(30, 20)
    await asyncio.to_thread(postfix.send, with_picture(ana, pools, small), ana, pools)
    root = await message(shore, synapse, bruno, room, "Look at this one.")
    shown = root["content"]["formatted_body"]
    assert TABLE in shown
    assert "https://x.test/pixel.png" not in shown.replace('<a href="https://x.test/pixel.png">', "")
    mxc = shown.partition('<img src="')[2].partition('"')[0]
    assert await asyncio.to_thread(kept, synapse, bruno, mxc) == small

    uploaded = json.loads(await asyncio.to_thread(kept, synapse, bruno, "", large))["content_uri"]
    ghost = root["sender"]
    html = (
        f'<a href="https://matrix.to/#/{quote(ghost)}">{ghost}</a>, mine: <img src="{uploaded}" alt="a beadlet">{TABLE}'
        '<p>It is <span data-mx-spoiler="name">Actinia</span>.</p>'
    )
    rich = {"format": "org.matrix.custom.html", "formatted_body": html}
    said = in_thread(root["event_id"], f"{ghost}, mine: ![a beadlet]({uploaded})", **rich)
    said["m.mentions"] = {"user_ids": [ghost]}
    await asyncio.to_thread(synapse.send, bruno, room, said)
    raw = (await asyncio.to_thread(postfix.mailbox(ana).wait_for, 1))[0]
    got = read(raw)
    html_part = got.get_body(("html",))
    assert html_part is not None
    markup = html_part.get_content()
    assert "Ana, mine:" in markup
    assert "<summary>Spoiler: name</summary>Actinia" in markup
    assert TABLE in markup
    (picture,) = [part for part in got.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content() == large
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in markup
    page = await shore.page("/f/pools/2")
    assert "Ana, mine:" in page
    assert "/blob/" in page
    text = got.get_body(("plain",))
    assert text is not None
    for told in (markup, text.get_content(), page, raw.decode().replace(base64.b64encode(large).decode(), "")):
        assert "mxc:" not in told
        assert "_matrix/" not in told
        assert synapse.url not in told
        assert ghost not in told
