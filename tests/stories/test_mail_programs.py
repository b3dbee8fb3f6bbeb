"""Mail as it is: programs that people use, mailboxes read over IMAP, servers that are away, refuse, or say "later"."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.delivery import outbox
from server.store.schema import attempts, deliveries
from tests.peers.dovecot import Dovecot
from tests.peers.forward import Forwarder
from tests.peers.postfix import Postfix
from tests.stories.town import Town, letter, read, town

Program = Callable[[str], str]


@pytest.fixture
async def shore(tmp_path: Path, database: str, postfix: Postfix) -> AsyncIterator[Town]:
    domain = postfix.list_domain()
    relay = {"email": {"domain": domain, "relay": f"smtp://127.0.0.1:{postfix.port}"}}
    async with town(tmp_path, database, relay) as place:
        with Forwarder(place.ports["lmtp"]) as line:
            postfix.route(domain, line.port)
            place.line = line  # type: ignore[attr-defined]
            yield place


def members(postfix: Postfix, dovecot: Dovecot) -> str:
    """A domain whose mailboxes are read over IMAP."""
    domain = postfix.member_domain()
    postfix.hand_over(domain, dovecot.lmtp_port)
    return domain


async def by_mutt(mutt: str, postfix: Postfix, home: Path, sender: str, to: str, subject: str, text: str) -> None:
    """Sent as a person who uses mutt would, without a screen."""
    rc = home / "muttrc"
    rc.write_text(
        f'set from="{sender}"\nset realname="Ana"\nset use_from=yes\nset smtp_url="smtp://127.0.0.1:{postfix.port}"\n'
        "set copy=no\nset ssl_starttls=no\nset ssl_force_tls=no\nset text_flowed=yes\nset send_charset=utf-8\nset hostname=ana.test\n"
    )
    environment = {"HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8"}
    argv = [mutt, "-n", "-F", str(rc), "-s", subject, "--", to]

    def send() -> None:
        done = subprocess.run(argv, input=text.encode(), capture_output=True, timeout=60, env=environment)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()

    await asyncio.to_thread(send)


async def test_mutt_writes_and_swaks_answers(
    shore: Town, postfix: Postfix, dovecot: Dovecot, program: Program, tmp_path: Path
) -> None:
    domain = members(postfix, dovecot)
    ana, bruno = f"ana@{domain}", f"bruno@{domain}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")
    await by_mutt(program("mutt"), postfix, tmp_path, ana, pools, "Flöhe am Strand?", "Was hüpft hier?\n")
    (raw,) = await asyncio.to_thread(dovecot.wait_for, bruno, 1)
    got = read(raw)
    assert got["Subject"] == "Flöhe am Strand?"
    assert got["From"] == f"Ana <{ana}>"
    assert got.get_content().splitlines() == ["Was hüpft hier?"]

    swaks = [program("swaks"), "--server", "127.0.0.1", "--port", str(postfix.port), "--from", bruno, "--to", pools]
    swaks += ["--h-From", f"Bruno <{bruno}>", "--h-Subject", "Re: Flöhe am Strand?", "--body", "Talitrus saltator."]
    swaks += ["--add-header", f"In-Reply-To: {got['Message-ID']}"]
    await asyncio.to_thread(subprocess.run, swaks, check=True, capture_output=True, timeout=60)
    (back,) = await asyncio.to_thread(dovecot.wait_for, ana, 1)
    assert read(back)["In-Reply-To"] == got["Message-ID"]
    page = await shore.page("/f/pools/1")
    assert "Was hüpft hier?" in page
    assert "Talitrus saltator." in page


async def test_a_post_waits_in_postfix_while_we_are_away(shore: Town, postfix: Postfix, dovecot: Dovecot) -> None:
    domain = members(postfix, dovecot)
    ana, bruno = f"ana@{domain}", f"bruno@{domain}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno, "Bruno")
    first = letter(ana, pools, "First", "We know this address.\n", "<1@ana.test>")
    await asyncio.to_thread(postfix.send, first, ana, pools)
    await asyncio.to_thread(dovecot.wait_for, bruno, 1)
    shore.line.cut()  # type: ignore[attr-defined]
    await asyncio.to_thread(
        postfix.send, letter(ana, pools, "Patience", "Sent in the dark.\n", "<2@ana.test>"), ana, pools
    )

    async def waits() -> bool:
        return any(pools in line for line in await asyncio.to_thread(postfix.queue))

    await shore.until(waits, "the mail in Postfix's queue")
    shore.line.mend()  # type: ignore[attr-defined]
    await asyncio.to_thread(postfix.flush)
    got = await asyncio.to_thread(dovecot.wait_for, bruno, 2)
    assert [read(raw)["Subject"] for raw in got] == ["First", "Patience"]


async def test_a_mailbox_that_is_refused_and_one_that_says_later(
    shore: Town, postfix: Postfix, dovecot: Dovecot
) -> None:
    domain = members(postfix, dovecot)
    ana, gone, grey = (f"{name}@{domain}" for name in ("ana", "gone", "grey"))
    pools = await shore.forum("pools")
    for address in (ana, gone, grey):
        await shore.member("pools", address, address.partition("@")[0].title())
    postfix.refuse(gone)
    postfix.refuse(grey, "450 4.2.0 greylisted, come again")
    await asyncio.to_thread(postfix.send, letter(ana, pools, "Hello", "Hello\n", "<h@ana.test>"), ana, pools)

    tried = sa.select(deliveries).join(attempts).where(deliveries.c.item_kind == "post").order_by(deliveries.c.id)

    async def both_tried() -> list[object] | None:
        found = await shore.rows(tried)
        return found if len(found) == 2 else None

    refused, later = await shore.until(both_tried, "an attempt of each")
    assert (refused.state, later.state) == ("failed", "due")
    assert "5.1.1" in refused.detail
    assert "greylisted" in later.detail
    assert later.not_before > shore.home.now()  # a pause, as greylisting asks for

    postfix.accept(grey)
    await shore.home.store.write(outbox.retry, [later.id], shore.home.now())
    (got,) = await asyncio.to_thread(dovecot.wait_for, grey, 1)
    assert read(got)["Message-ID"] == "<h@ana.test>"


async def test_addresses_and_names_beyond_ascii(shore: Town, postfix: Postfix) -> None:
    domain = postfix.member_domain()
    jose, ana = f"josé@{domain}", f"ana@{domain}"
    pools = await shore.forum("pools")
    await shore.member("pools", jose, "José")
    await shore.member("pools", ana, "Ana")
    raw = (
        f"From: José Peña <{jose}>\r\nTo: {pools}\r\nSubject: ¿Qué es?\r\nMessage-ID: <q@x.test>\r\n\r\nUna mancha.\r\n"
    )
    await asyncio.to_thread(postfix.send, raw.encode(), jose, pools)
    (got,) = await asyncio.to_thread(postfix.mailbox(ana).wait_for, 1)
    assert f"From: José Peña <{jose}>".encode() in got
    await asyncio.to_thread(
        postfix.send, letter(ana, pools, "Re: ¿Qué es?", "Una esponja.\n", "<a@x.test>", In_Reply_To="<q@x.test>"), ana, pools
    )  # fmt: skip
    (back,) = await asyncio.to_thread(postfix.mailbox(jose).wait_for, 1)
    assert read(back)["In-Reply-To"] == "<q@x.test>"
