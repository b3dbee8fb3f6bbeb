"""Who wrote it: a forgery is refused or waits for one answer, and mail of a domain that enforces arrives all the same."""

from __future__ import annotations

import asyncio
import re
import smtplib

import aiohttp
import dkim
import pytest

from bridges.email.tests.signing import publish, record, signed
from tests.peers.names import Names
from tests.peers.postfix import Postfix
from tests.stories.town import Town, arrived, letter, read, send

MX = "mx.shore.test"


@pytest.fixture
def mail_settings(names: Names, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("JUNTO_EMAIL__RESOLVER", names.server)
    return {"trusted_authserv_id": MX}


def said(raw: bytes, what: str, who: str = MX) -> bytes:
    """The message as a server in front hands it on."""
    return f"Authentication-Results: {who}; {what}\r\n".encode() + raw


async def test_a_forgery_is_refused_where_the_domain_asks_for_it(shore: Town, postfix: Postfix, names: Names) -> None:
    members = postfix.member_domain()
    ana = f"ana@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    names.txt(f"_dmarc.{members}", "v=DMARC1; p=reject")
    forged = said(letter(f"Ana <{ana}>", pools, "Buy", "Buy this!\n", "<f@x.test>"), "spf=fail smtp.mailfrom=far.test")

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", shore.ports["smtp"], timeout=30) as client:
            client.sendmail("eve@far.test", [pools], forged)

    with pytest.raises(smtplib.SMTPDataError) as refused:
        await asyncio.to_thread(talk)
    assert refused.value.smtp_code == 550
    assert b"5.7.1" in refused.value.smtp_error
    assert b"DMARC" in refused.value.smtp_error
    await shore.page("/f/pools/1", 404)


async def test_what_nothing_proves_waits_for_one_press_of_its_author(
    shore: Town, postfix: Postfix, names: Names
) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")
    names.txt(f"_dmarc.{members}", "v=DMARC1; p=none")
    await send(postfix, letter(f"Ana <{ana}>", pools, "From a café", "It is me.\n", "<c@x.test>"), ana, pools)
    asked = read((await arrived(postfix, ana, 1))[0])
    assert str(asked["Subject"]) == "Was this you who wrote to Tide pools?"
    link = re.search(r"(/confirm/[a-z2-7]{26})", asked.get_content())
    assert link is not None
    assert "Was this you?" in await shore.page(link[1])
    await shore.page("/f/pools/1", 404)

    async with aiohttp.ClientSession() as session, session.post(shore.url + link[1]) as answer:
        assert "is published" in await answer.text()
    await arrived(postfix, bruno, 1)
    assert "It is me." in await shore.page("/f/pools/1")


async def test_mail_of_a_domain_that_enforces_arrives_and_its_author_is_reached_in_private(
    shore: Town, postfix: Postfix, names: Names
) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")
    names.txt(f"_dmarc.{members}", "v=DMARC1; p=reject")
    publish(names, members)
    vouched = f"dmarc=pass header.from={members}"

    carried = signed(letter(f"Ana <{ana}>", pools, "Signed", "With a signature.\n", "<s@x.test>"), members)
    await send(postfix, carried, ana, pools)
    box = postfix.mailbox(bruno)
    own = (await asyncio.to_thread(box.wait_for, 1))[0]
    assert read(own)["From"] == f"Ana <{ana}>"
    checks = [dkim.DKIM(own).verify(number, lambda name, timeout=5: record().encode()) for number in range(2)]
    assert checks == [False, True]  # ours above theirs; the key that is answered is theirs

    bare = said(letter(f"Ana <{ana}>", pools, "Bare", "Without one.\n", "<b@x.test>"), vouched)
    await send(postfix, bare, ana, pools)
    raw = (await asyncio.to_thread(box.wait_for, 2))[1]
    got = read(raw)
    private = re.search(r"<(pools-via\+[a-z2-7]{26}@[^>]+)>", str(got["From"]))
    assert private is not None
    assert str(got["From"]).startswith("Ana via Tide pools")
    assert str(got["Reply-To"]).endswith(f"<{pools}>")
    assert MX.encode() not in raw

    written = said(letter(f"Bruno <{bruno}>", private[1], "Psst", "Only for you.\n", "<p@x.test>"), vouched)
    await send(postfix, written, bruno, private[1])
    told = (await arrived(postfix, ana, 1))[0]
    assert b"Only for you." in told
    assert bruno.encode() not in told
