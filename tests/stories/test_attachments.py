"""A large attachment comes by mail, leaves as a link, and the link opens for those who may read the forum."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage

import aiohttp

from server.desk import forums
from tests.peers.postfix import Postfix
from tests.stories.town import Town, arrived, read, send

CHART = b"%PDF-1.4\n" + bytes(range(256)) * 200
NOTE = b"High water at six.\n"


def with_files(sender: str, to: str) -> bytes:
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = f"Ana <{sender}>", to, "The new chart"
    message["Message-ID"], message["Date"] = "<chart@ana.test>", "Mon, 23 Nov 2026 08:00:00 +0000"
    message.set_content("Here it is.\n")
    message.add_attachment(CHART, maintype="application", subtype="pdf", filename="chart.pdf")
    message.add_attachment(NOTE, maintype="application", subtype="octet-stream", filename="note.bin")
    return message.as_bytes()


async def fetched(url: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.read()


async def test_a_large_attachment_leaves_as_a_link(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.home.store.write(forums.set_options, "pools", {"link_over": "10000"})
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")
    await send(postfix, with_files(ana, pools), ana, pools)
    got = read((await arrived(postfix, bruno, 1))[0])

    words, link, note = got.iter_parts()
    assert isinstance(words, EmailMessage)
    assert isinstance(link, EmailMessage)
    assert isinstance(note, EmailMessage)
    assert words.get_content() == "Here it is.\n"
    assert note.get_content() == NOTE
    name, url = link.get_content().split()[0], link.get_content().split()[-1]
    assert name == "chart.pdf"
    assert await fetched(url) == (200, CHART)  # the archive has it whole
    assert "chart.pdf" in await shore.page("/f/pools/1")

    await shore.home.store.write(forums.set_options, "pools", {"visibility": "members"})
    assert (await fetched(url))[0] == 404
