"""Relay or database away, a second writer beside a busy server: nothing is lost, and who comes again is served."""

from __future__ import annotations

import asyncio
import smtplib
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.store.schema import attempts, deliveries, memberships, posts
from tests.peers.forward import Forwarder
from tests.peers.postfix import Postfix
from tests.peers.postgres import Postgres
from tests.stories.town import Town, letter, town


def submit(port: int, sender: str, to: str, raws: list[bytes]) -> list[tuple[int, bytes]]:
    """Each mail once on one connection; the answers to DATA (or to RCPT, where that is refused)."""
    answers = []
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        for raw in raws:
            client.ehlo_or_helo_if_needed()
            client.mail(sender)
            answer = client.rcpt(to)
            if answer[0] == 250:
                answer = client.data(raw)
            else:
                client.rset()
            answers.append(answer)
    return answers


async def post(shore: Town, sender: str, to: str, name: str) -> tuple[int, bytes]:
    raw = letter(sender, to, name, f"Words of {name}.\n", f"<{name}@x.test>")
    return (await asyncio.to_thread(submit, shore.ports["smtp"], sender, to, [raw]))[0]


async def test_a_relay_that_is_away_is_waited_for(tmp_path: Path, postfix: Postfix) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    with Forwarder(postfix.port) as line:
        relay = {"email": {"domain": postfix.list_domain(), "relay": f"smtp://127.0.0.1:{line.port}"}}
        async with town(tmp_path, f"sqlite:///{tmp_path}/junto.db", relay) as shore:
            pools = await shore.forum("pools")
            for address in (ana, bruno):
                await shore.member("pools", address, address[:3])
            line.cut()
            assert (await post(shore, ana, pools, "one"))[0] == 250
            waiting = sa.select(attempts).where(attempts.c.outcome == "later")
            await shore.until(lambda: shore.rows(waiting), "a failed attempt")
            assert "Words of one." in await shore.page("/f/pools/1")
            assert "degraded" in await shore.page("/healthz")
            line.mend()
            await asyncio.to_thread(postfix.mailbox(bruno).wait_for, 1, 100)
            await shore.settled()
            (row,) = await shore.rows(sa.select(deliveries).where(deliveries.c.item_kind == "post"))
            assert row.state == "sent"
            assert row.attempts >= 2
            assert len(postfix.mailbox(bruno).messages()) == 1


async def test_a_database_that_is_away_is_451_and_never_a_loss(
    tmp_path: Path, postfix: Postfix, postgres: Postgres
) -> None:
    members = postfix.member_domain()
    ana, bruno = f"ana@{members}", f"bruno@{members}"
    with Forwarder(postgres.port) as line:
        relay = {"email": {"domain": postfix.list_domain(), "relay": f"smtp://127.0.0.1:{postfix.port}"}}
        async with town(tmp_path, postgres.fresh_database(port=line.port), relay) as shore:
            pools = await shore.forum("pools")
            for address in (ana, bruno):
                await shore.member("pools", address, address[:3])
            line.cut()
            code, words = await post(shore, ana, pools, "one")
            assert code == 451, words
            await shore.page("/healthz", 503)
            line.mend()

            async def taken() -> bool:
                return (await post(shore, ana, pools, "one"))[0] == 250

            await shore.until(taken, "the database again", 60)
            await asyncio.to_thread(postfix.mailbox(bruno).wait_for, 1, 60)
            assert len(await shore.rows(sa.select(posts))) == 1


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_commands_beside_a_busy_server_cause_no_451(
    engine: str, tmp_path: Path, postfix: Postfix, request: pytest.FixtureRequest
) -> None:
    database = f"sqlite:///{tmp_path}/junto.db" if engine == "sqlite" else request.getfixturevalue("postgres_url")
    relay = {"email": {"domain": postfix.list_domain(), "relay": "smtp://127.0.0.1:9"}}
    async with town(tmp_path, database, relay) as shore:
        pools = await shore.forum("pools")
        ana = "ana@x.test"
        await shore.member("pools", ana, "Ana")
        raws = [letter(ana, pools, f"n{i}", f"Words {i}\n", f"<n{i}@x.test>") for i in range(60)]
        parts = [asyncio.to_thread(submit, shore.ports["smtp"], ana, pools, raws[k::3]) for k in range(3)]
        busy = asyncio.gather(*parts)
        for n in range(3):
            command = ["member", "add", f"new{n}@x.test", "--forum", "pools", "--config", str(tmp_path / "junto.toml")]
            run = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "from server.cli import main; main()", *command, stderr=asyncio.subprocess.PIPE
            )
            _, problem = await run.communicate()
            assert run.returncode == 0, problem
        answers = [answer for part in await busy for answer in part]
        assert {code for code, _ in answers} == {250}, answers
        assert len(await shore.rows(sa.select(posts))) == 60
        assert len(await shore.rows(sa.select(memberships))) == 4
