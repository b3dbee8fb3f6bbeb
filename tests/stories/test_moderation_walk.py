"""A held post reaches its moderators as a mail, and their answer publishes it: through a real Postfix, there and back."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import pytest

from server.desk import forums
from tests.peers import rspamd as rspamd_peer
from tests.peers.postfix import Postfix
from tests.peers.rspamd import Rspamd
from tests.stories.town import Town, arrived, letter, read, send, town


def reply_address(raw: bytes) -> str:
    return str(read(raw)["Reply-To"]).rpartition("<")[2].rstrip(">")


async def options(shore: Town, **values: str) -> None:
    await shore.home.store.write(forums.set_options, "pools", values, shore.home.now())


async def test_a_moderator_approves_by_answering(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, mod, eve = (f"{name}@{members}" for name in ("ana", "mod", "eve"))
    pools = await shore.forum("pools")
    await options(shore, strangers="hold")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", mod, "Mona", role="moderator")
    asked = letter(f"Eve <{eve}>", pools, "What is this?", "A réd blob on the rock.\n", "<one@eve.test>")
    await send(postfix, asked, eve, pools)

    (raw,) = await arrived(postfix, mod, 1)
    report = read(raw)
    assert report["Subject"] == "Waiting in Tide pools: “What is this?” by Eve"
    assert report["Auto-Submitted"] == "auto-generated"
    (enclosed,) = [part for part in report.walk() if part.get_content_type() == "message/rfc822"]
    assert enclosed.get_content()["Message-ID"] == "<one@eve.test>"
    assert asked.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n").strip() in raw  # its bytes, not a copy of its words

    address = reply_address(raw)
    assert address.startswith("pools-mod+")
    away = letter(f"Mona <{mod}>", address, "Away", "approve\n", Auto_Submitted="auto-replied")
    await send(postfix, away, mod, address)
    quoted = "".join(f"> {line}\n" for line in report.get_body(("plain",)).get_content().splitlines())  # type: ignore[union-attr]
    yes = letter(
        f"Mona <{mod}>", address, f"Re: {report['Subject']}", f"On Monday Tide pools wrote:\n{quoted}\nApprove\n\nMona",
        "<yes@mod.test>",
    )  # fmt: skip
    await send(postfix, yes, mod, address)

    (copy,) = await arrived(postfix, ana, 1)
    assert read(copy)["Message-ID"] == "<one@eve.test>"
    assert "red blob" in (await shore.page("/f/pools/1")).replace("é", "e")
    mine = [read(each) for each in await arrived(postfix, mod, 3)]
    (done,) = [each for each in mine if "Done in" in str(each["Subject"])]
    assert done["In-Reply-To"] == "<yes@mod.test>"
    assert f"{shore.url}/f/pools/1" in done.get_content()
    await shore.settled()
    assert len(postfix.mailbox(mod).messages()) == 3  # the report, the post, what was done


async def test_an_author_takes_a_first_post_back_and_the_moderator_hears_of_it(shore: Town, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, mod = f"ana@{members}", f"mod@{members}"
    pools = await shore.forum("pools")
    await options(shore, first_post="hold")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", mod, "Mona", role="moderator")
    await send(postfix, letter(f"Ana <{ana}>", pools, "Hm", "Rather not.\n", "<hm@ana.test>"), ana, pools)
    (told,) = await arrived(postfix, ana, 1)
    assert "anybody can read it" in read(told).get_content().replace("\n", " ")
    back = letter(f"Ana <{ana}>", reply_address(told), "Re: Hm", "cancel\n", "<no@ana.test>")
    await send(postfix, back, ana, reply_address(told))
    assert "taken back" in read((await arrived(postfix, ana, 2))[-1]).get_content()

    (report,) = await arrived(postfix, mod, 1)
    yes = letter(f"Mona <{mod}>", reply_address(report), "Re: Hm", "approve\n", "<yes@mod.test>")
    await send(postfix, yes, mod, reply_address(report))
    assert "taken back by its author" in read((await arrived(postfix, mod, 2))[-1]).get_content()
    await shore.page("/f/pools/1", 404)


async def test_what_rspamd_suspects_waits_and_what_it_knows_never_comes(
    tmp_path: Path, database: str, postfix: Postfix, rspamd: Rspamd
) -> None:
    domain, members = postfix.list_domain(), postfix.member_domain()
    ana, mod = f"ana@{members}", f"mod@{members}"
    section = {"domain": domain, "relay": f"smtp://127.0.0.1:{postfix.port}", "rspamd": rspamd.url}
    async with town(tmp_path, database, {"email": section}) as place:
        pools = await place.forum("pools")
        await place.member("pools", ana, "Ana")
        await place.member("pools", mod, "Mona", role="moderator")

        def post(text: str, message_id: str) -> None:
            with smtplib.SMTP("127.0.0.1", place.ports["smtp"], timeout=30) as client:
                client.sendmail(ana, [pools], letter(f"Ana <{ana}>", pools, "Shoes", text + "\n", message_id))

        await asyncio.to_thread(post, rspamd_peer.ADD_HEADER, "<suspect@ana.test>")
        (report,) = await arrived(postfix, mod, 1)
        assert "a filter takes it for unwanted mail" in read(report).get_body(("plain",)).get_content()  # type: ignore[union-attr]
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await asyncio.to_thread(post, rspamd_peer.REJECT, "<certain@ana.test>")
        assert refused.value.smtp_code == 550
        assert b"5.7.1" in refused.value.smtp_error
        assert "unwanted" in refused.value.smtp_error.decode()
        await place.page("/f/pools/1", 404)
