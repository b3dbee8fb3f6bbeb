"""What the doctor finds and what it tells the operator to do, with a real DNS and a relay that does as it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridges.email import dkim_key, greeting
from bridges.email.dns import Resolver
from bridges.email.doctor import Doctor
from bridges.email.settings import Settings
from bridges.email.tests.scripted_relay import ScriptedRelay
from server.bridge import Check
from tests.fakes import forum
from tests.peers.names import Names
from tests.peers.net import free_port
from tests.peers.rspamd import Rspamd

DOMAIN = "lists.test"
LEAVE = "https://pages.test/leave/"


def doctor(
    names: Names, port: int, key: dkim_key.Key | None = None, leave: str = LEAVE, smtp_port: int = 0, **more: object
) -> Doctor:
    settings = Settings(**({"domain": DOMAIN, "listen": "", "relay": f"smtp://127.0.0.1:{port}"} | more))  # type: ignore[arg-type]
    return Doctor(settings, Resolver(names.server), key, leave, smtp_port or port)


async def seen(names: Names, key: dkim_key.Key | None = None, **more: object) -> dict[str, Check]:
    """What is found of the domain, by the first word of its name. Its mail server offers STARTTLS."""
    async with ScriptedRelay(extensions=("STARTTLS",)) as far:
        more = {"smtp_port": far.port} | more
        looks = doctor(names, free_port(), key, **more)  # type: ignore[arg-type]
        found = await looks.checks([forum(mail_domain=DOMAIN)], {})
    return {check.name.removesuffix(f" of {DOMAIN}"): check for check in found}


def well(names: Names, key: dkim_key.Key) -> None:
    """A zone as it should be."""
    names.zone[DOMAIN, "MX"] = [f"10 mail.{DOMAIN}."]
    names.zone[f"mail.{DOMAIN}", "A"] = ["127.0.0.1"]
    names.zone["1.0.0.127.in-addr.arpa", "PTR"] = [f"mail.{DOMAIN}."]
    names.txt(DOMAIN, "v=spf1 mx -all", "something-else=1")
    names.txt(f"_dmarc.{DOMAIN}", "v=DMARC1; p=quarantine")
    record = dkim_key.record(key, DOMAIN)
    names.txt(record.name, record.value)


@pytest.fixture
def key(tmp_path: Path) -> dkim_key.Key:
    return dkim_key.ensure(tmp_path / "keys" / "dkim.pem", "junto")


async def test_a_domain_that_is_set_up_well_gets_no_advice(names: Names, key: dkim_key.Key) -> None:
    well(names, key)
    found = await seen(names, key)
    for look in ("MX", "SMTP", "SPF", "DKIM", "DMARC", "PTR"):
        assert found[look].ok, found[look]
        assert not found[look].fix
    assert "p=quarantine" in found["DMARC"].detail


async def test_an_empty_zone_is_told_each_record_in_a_form_to_paste(names: Names, key: dkim_key.Key) -> None:
    names.zone["elsewhere.test", "A"] = ["192.0.2.1"]
    found = await seen(names, key)
    assert [look for look, check in found.items() if check.ok is False] == ["relay", "MX", "SPF", "DKIM", "DMARC"]
    assert found["MX"].fix == f"{DOMAIN}. IN MX 10 mail.{DOMAIN}."
    assert found["SPF"].fix == f'{DOMAIN}. IN TXT "v=spf1 mx -all"'
    assert found["DKIM"].fix == dkim_key.record(key, DOMAIN).zone_line()
    assert found["DMARC"].fix.startswith(f"_dmarc.{DOMAIN}. IN TXT")
    assert found["PTR"].ok is None  # there is no address to look at


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (("v=spf1 mx", "v=spf1 a -all"), "there are 2"),
        (("v=spf1 mx +all",), "anybody"),
        (("v=spf1 include:mail.example ?all",), "anybody"),
        (("v=spf10 mx -all",), "there is none"),
    ],
)
async def test_a_sender_policy_that_keeps_nobody_out(names: Names, records: tuple[str, ...], says: str) -> None:
    names.txt(DOMAIN, *records)
    found = (await seen(names))["SPF"]
    assert found.ok is False
    assert says in found.detail


async def test_hosts_without_an_address_and_an_address_without_a_name(names: Names, key: dkim_key.Key) -> None:
    well(names, key)
    names.zone[DOMAIN, "MX"] = [f"10 mail.{DOMAIN}.", f"20 gone.{DOMAIN}."]
    names.zone["1.0.0.127.in-addr.arpa", "PTR"] = ["somebody.else.test."]
    found = await seen(names, key)
    assert f"gone.{DOMAIN}" in found["MX"].detail
    assert found["PTR"].ok is False
    assert "127.0.0.1" in found["PTR"].detail


async def test_an_old_key_is_told_from_none(names: Names, key: dkim_key.Key, tmp_path: Path) -> None:
    well(names, dkim_key.ensure(tmp_path / "old.pem", "junto"))
    found = (await seen(names, key))["DKIM"]
    assert found.ok is False
    assert "another key" in found.detail


async def test_a_dns_that_does_not_answer_is_no_verdict(names: Names, key: dkim_key.Key) -> None:
    well(names, key)
    names.silent |= {DOMAIN, f"_dmarc.{DOMAIN}"}
    found = await seen(names, key)
    assert found["SPF"].ok is None
    assert found["DMARC"].ok is None
    assert found["DKIM"].ok


async def test_a_domain_of_this_machine_is_not_looked_up(names: Names) -> None:
    settings = Settings(listen="", relay=f"smtp://127.0.0.1:{free_port()}")
    found = await Doctor(settings, Resolver(names.server), None, LEAVE).checks([], {})
    assert [check.ok for check in found if check.name == "mail domain"] == [None]
    assert not names.asked


async def test_the_relay_and_what_it_cannot(names: Names) -> None:
    async with ScriptedRelay(extensions=("8BITMIME",)) as relay:
        first, tls, quota, *_rest = await doctor(names, relay.port).checks([], {})
    assert first.ok
    assert "one command at a time" in first.detail
    assert "beyond ASCII" in first.detail
    assert tls.ok  # it is on this machine
    assert quota.ok
    assert not relay.taken  # nothing was sent


async def test_our_own_doors(names: Names) -> None:
    async with ScriptedRelay() as someone:
        where = f"127.0.0.1:{someone.port}"
        found = await doctor(names, someone.port, listen=where, lmtp_listen=f"127.0.0.1:{free_port()}").checks([], {})
    doors = {check.name.partition(" =")[0]: check.ok for check in found if check.name.startswith("[email] ")}
    assert doors == {"[email] listen": True, "[email] lmtp_listen": None}


async def test_a_filter_that_does_not_answer_is_named(names: Names, rspamd: Rspamd) -> None:
    for url, fine in ((rspamd.url, True), (f"http://127.0.0.1:{free_port()}", False)):
        found = {check.name: check for check in await doctor(names, free_port(), rspamd=url).checks([], {})}
        assert found["rspamd"].ok is fine
        assert bool(found["rspamd"].fix) is not fine


async def test_a_mail_server_that_does_not_encrypt(names: Names, key: dkim_key.Key) -> None:
    well(names, key)
    async with ScriptedRelay(extensions=("PIPELINING",)) as far:
        found = (await seen(names, key, smtp_port=far.port))["SMTP"]
        assert not far.taken
    assert found.ok is False
    assert f"mail.{DOMAIN} offers no STARTTLS" in found.detail
    assert "smtpd_tls_security_level" in found.fix


async def test_a_mail_server_that_is_not_there_or_has_no_time(names: Names, key: dkim_key.Key) -> None:
    well(names, key)
    nobody = (await seen(names, key, smtp_port=free_port()))["SMTP"]
    assert (nobody.ok, "nobody listens" in nobody.detail) == (False, True)
    async with ScriptedRelay(greeting="554 5.7.1 go away") as far:
        refusing = (await seen(names, key, smtp_port=far.port))["SMTP"]
    assert (refusing.ok, "554 5.7.1 go away" in refusing.detail) == (False, True)


async def test_a_port_at_which_nobody_speaks_is_no_verdict() -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    visit = await greeting.visit("127.0.0.1", port, DOMAIN, seconds=0.1)
    server.close()
    assert visit.problem == f"does not answer on port {port}"
    assert not visit.refused


@pytest.mark.parametrize(
    ("quota", "ok", "says"),
    [
        (500, True, "a post of tides is 500 mails"),
        (499, False, "1 hour late"),
        (100, False, "4 hours late"),
    ],
)
async def test_the_quota_is_held_against_what_a_post_needs(names: Names, quota: int, ok: bool, says: str) -> None:
    reach = {"pools": 20, "tides": 500}
    found = await doctor(names, free_port(), relay_per_hour=quota).checks([], reach)
    (check,) = [check for check in found if check.name == "quota"]
    assert check.ok is ok
    assert says in check.detail
    assert ("500 an hour" in check.fix) is not ok


async def test_one_click_needs_pages_at_https(names: Names) -> None:
    for leave, fine in ((LEAVE, True), ("http://pages.test/leave/", False), ("http://localhost:8080/leave/", None)):
        found = {check.name: check for check in await doctor(names, free_port(), leave=leave).checks([], {})}
        assert found["one-click unsubscribe"].ok is fine
        assert ("https://" in found["one-click unsubscribe"].fix) is (fine is False)
