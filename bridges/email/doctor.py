"""What mail needs of the world: records in the DNS, a relay that takes it, TLS; and what to do where something is missing.

Asks and reports, changes nothing and sends nothing. Every look is bounded in time by whom it asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

import dns.reversename

from bridges.email import dkim_key, greeting, rspamd, wire
from bridges.email.dkim_key import Key
from bridges.email.dmarc import Dmarc
from bridges.email.dns import NOWHERE, Resolver, Temporary
from bridges.email.settings import Relay, Settings, relay
from bridges.email.wire import Unavailable
from server.bridge import Check, Forum
from server.config import host_port
from server.i18n import _, ngettext

HOSTS = 5  # of a domain, looked at
ADDRESSES = 8  # of those hosts


class Doctor:
    """Looks at the domains of some forums and at the relay. `key` is None where the relay signs.

    `leave_url`: where one-click unsubscribing leads; `smtp_port`: what the world's mail servers connect to.
    """

    def __init__(
        self, settings: Settings, resolver: Resolver, key: Key | None, leave_url: str, smtp_port: int = 25
    ) -> None:
        self._settings, self._resolver, self._key = settings, resolver, key
        self._leave_url, self._smtp_port = leave_url, smtp_port
        self._relay: Relay = relay(settings.relay)

    async def checks(self, forums: Sequence[Forum], reach: Mapping[str, int]) -> list[Check]:
        """Everything, the relay first, then each mail domain. `reach`: to how many mailboxes a forum writes at once."""
        found = [*await self._of_relay(), self._quota(reach), *await self._doors(), *await self._filter()]
        found.append(self._one_click())
        for domain in dict.fromkeys((self._settings.domain, *(forum.mail_domain for forum in forums))):
            if domain.rpartition(".")[2] in NOWHERE:
                why = _("{domain} is for this machine only; nothing is looked up").format(domain=domain)
                found.append(Check(_("mail domain"), None, why))
                continue
            looks = (
                (_("MX"), self._mx(domain)),
                (_("SMTP"), self._smtp(domain)),
                (_("SPF"), self._spf(domain)),
                (_("DKIM"), self._dkim(domain)),
                (_("DMARC"), self._dmarc(domain)),
                (_("PTR"), self._ptr(domain)),
            )
            for name, look in looks:
                found.append(await self._answered(f"{name} of {domain}", look))
        return found

    async def _answered(self, name: str, look: Awaitable[Check]) -> Check:
        try:
            return await look
        except Temporary as silence:
            return Check(name, None, _("the DNS does not answer: {question}").format(question=silence))

    async def _filter(self) -> list[Check]:
        """The filter that is asked about spam, if there is one."""
        url = self._settings.rspamd
        if not url:
            return []
        wrong = await rspamd.trouble(url)
        if not wrong:
            return [Check("rspamd", True, _("{url} answers").format(url=url))]
        detail = _("{url} does not answer ({wrong}): posts are taken unjudged").format(url=url, wrong=wrong)
        return [Check("rspamd", False, detail, _("Start rspamd there, or set [email] rspamd to where it is."))]

    # The relay ----------------------------------------------------------------------------------------------------
    async def _of_relay(self) -> list[Check]:
        to = f"{self._relay.host}:{self._relay.port}"
        try:
            link = await wire.connect(self._relay, self._settings.domain)
        except Unavailable as problem:
            fix = _("Start the mail server there, or set [email] relay to one that takes our mail.")
            return [Check(_("relay"), False, str(problem), fix)]
        offers = link.extensions
        await link.close()
        detail = _("{relay} takes our mail").format(relay=to)
        if "PIPELINING" not in offers:
            detail += _(", one command at a time, which is slow (RFC 2920)")
        if "SMTPUTF8" not in offers:
            detail += _("; addresses beyond ASCII cannot be written to (RFC 6531)")
        return [Check(_("relay"), True, detail), self._tls("STARTTLS" in offers)]

    def _tls(self, offered: bool) -> Check:
        name = _("TLS to the relay")
        if self._relay.tls or self._relay.starttls:
            return Check(name, True, _("encrypted, with a certificate that we could check"))
        if _is_loopback(self._relay.host):
            return Check(name, True, _("not needed: the relay is on this machine"))
        if offered:
            return Check(name, False, _("not used, though it is offered"), _("Add ?starttls=1 to [email] relay."))
        fix = _("Use a relay on this machine, or one that offers STARTTLS or smtps://.")
        return Check(name, False, _("the relay offers none: mail and password go in the clear"), fix)

    def _quota(self, reach: Mapping[str, int]) -> Check:
        """What the relay allows, beside what the forum with most mailboxes needs for one post."""
        most, name = self._settings.relay_per_hour, _("quota")
        widest = max(reach, key=lambda slug: reach[slug], default="")
        needs = _("a post of {forum} is {count} mails").format(forum=widest, count=reach[widest]) if widest else ""
        if not most and _is_loopback(self._relay.host):
            return Check(name, True, _("none: the relay is on this machine"))
        if not most:
            fix = _("If your provider allows only so many mails an hour, write the number to [email] relay_per_hour.")
            return Check(name, None, "; ".join(filter(None, (_("none is set"), needs))), fix)
        allows = _("at most {most} mails an hour").format(most=most)
        if not widest or reach[widest] <= most:
            return Check(name, True, "; ".join(filter(None, (allows, needs))))
        hours = -(-reach[widest] // most) - 1
        why = ngettext(
            "{allows}, but {needs}: the last ones leave {hours} hour late",
            "{allows}, but {needs}: the last ones leave {hours} hours late",
            hours,
        ).format(allows=allows, needs=needs, hours=hours)
        fix = _(
            "Ask the provider for {count} an hour and write what you get to [email] relay_per_hour, or use a relay of your own. "
            "Members with daily or weekly delivery get one mail for many posts."
        )
        return Check(name, False, why, fix.format(count=reach[widest]))

    def _one_click(self) -> Check:
        """Mail programs show the button for https only (RFC 8058 section 3.1), and large providers ask bulk senders for it."""
        name = _("one-click unsubscribe")
        if self._leave_url.startswith("https://"):
            return Check(name, True, _("offered in every mail"))
        if _is_loopback(urlsplit(self._leave_url).hostname or ""):
            return Check(name, None, _("not offered: the pages are for this machine only"))
        why = _(
            "not offered: pages are not at https, and RFC 8058 allows it there only; List-Unsubscribe alone is sent"
        )
        return Check(name, False, why, _("Give the pages a certificate, and write https:// in [server] base_url."))

    async def _doors(self) -> list[Check]:
        """Whether our own doors answer: only while the server runs."""
        found = []
        doors = (("listen", self._settings.listen, "EHLO"), ("lmtp_listen", self._settings.lmtp_listen, "LHLO"))
        for key, where, hello in doors:
            if where:
                name = f"[email] {key} = {where}"
                host, port = host_port(where)
                if not (await greeting.visit(host, port, self._settings.domain, hello)).problem:
                    found.append(Check(name, True, _("takes mail")))
                else:
                    found.append(Check(name, None, _("nobody answers there: is `junto serve` running?")))
        return found

    # The DNS ------------------------------------------------------------------------------------------------------
    async def _mx(self, domain: str) -> Check:
        name = f"MX of {domain}"
        fix = f"{domain}. IN MX 10 mail.{domain}."
        hosts = await self._exchangers(domain)
        if hosts == ["."]:
            return Check(name, False, _("says that it takes no mail (RFC 7505)"), fix)
        if not hosts:
            return Check(name, False, _("there is none: mail to the forums goes nowhere"), fix)
        nowhere = [host for host in hosts if not await self._addresses(host)]
        if nowhere:
            why = _("{hosts} has no address").format(hosts=", ".join(nowhere))
            return Check(name, False, why, _("Give it an A or AAAA record (never a CNAME, RFC 2181 section 10.3)."))
        return Check(name, True, ", ".join(hosts))

    async def _smtp(self, domain: str) -> Check:
        """Whether who takes mail for the domain answers there, and offers to encrypt it (RFC 3207)."""
        name = f"SMTP of {domain}"
        pairs = [(host, address) for host in await self._exchangers(domain) for address in await self._addresses(host)]
        if not pairs:
            return Check(name, None, _("no address is known to look at"))
        visits = [
            greeting.visit(address, self._smtp_port, self._settings.domain) for _host, address in pairs[:ADDRESSES]
        ]
        said = list(zip(pairs, await asyncio.gather(*visits), strict=False))
        shown = [f"{host} ({address}): {visit.problem}" for (host, address), visit in said if visit.problem]
        if shown:
            fix = _("Start the mail server there, and open port 25 to it.")
            if not any(visit.refused for _pair, visit in said):
                fix += " " + _(
                    "Many networks let nobody out to port 25: if this one is such, look from another machine."
                )
            refused = any(visit.refused for _pair, visit in said)
            return Check(name, False if refused else None, "; ".join(shown), fix)
        bare = [host for (host, _address), visit in said if "STARTTLS" not in visit.extensions]
        if bare:
            why = _("{hosts} offers no STARTTLS: mail to the forums comes in the clear")
            fix = _("Give it a certificate. In Postfix: smtpd_tls_security_level = may, and smtpd_tls_chain_files.")
            return Check(name, False, why.format(hosts=", ".join(dict.fromkeys(bare))), fix)
        hosts = ", ".join(dict.fromkeys(host for host, _address in pairs))
        return Check(name, True, _("{hosts} answers and offers STARTTLS").format(hosts=hosts))

    async def _exchangers(self, domain: str) -> list[str]:
        """The hosts that take mail for the domain, the preferred one first (RFC 5321 section 5.1)."""
        records = (await self._resolver.ask(domain, "MX")).records
        sorted_ = sorted(records, key=lambda record: record.preference)[:HOSTS]
        return [str(record.exchange).rstrip(".").lower() or "." for record in sorted_]

    async def _addresses(self, host: str) -> list[str]:
        found: list[str] = []
        for kind in ("A", "AAAA"):
            found += [str(record) for record in (await self._resolver.ask(host, kind)).records]
        return found[:ADDRESSES]

    async def _spf(self, domain: str) -> Check:
        name = f"SPF of {domain}"
        fix = f'{domain}. IN TXT "v=spf1 mx -all"'
        if not _is_loopback(self._relay.host):
            fix += "\n" + _("(with what your relay's provider wants included, before -all)")
        records = [text for text in await self._resolver.txt(domain) if text.lower().split(b" ")[0] == b"v=spf1"]
        if not records:
            return Check(name, False, _("there is none: receivers cannot know who may send for it"), fix)
        if len(records) > 1:  # RFC 7208 section 3.2: permerror
            return Check(name, False, _("there are {count}; with two none counts").format(count=len(records)), fix)
        shown = records[0].decode("ascii", "replace")
        last = shown.lower().split()[-1]
        if last in ("-all", "~all") or last.startswith("redirect="):
            return Check(name, True, shown)
        return Check(name, False, _("“{record}” lets anybody send for it").format(record=shown), fix)

    async def _dkim(self, domain: str) -> Check:
        if self._key is None:
            why = _("dkim_selector is empty: your relay must sign for {domain}").format(domain=domain)
            return Check(f"DKIM of {domain}", None, why)
        wanted = dkim_key.record(self._key, domain)
        name = f"DKIM of {domain}"
        there = await self._resolver.txt(wanted.name)
        if any(_key_of(text) == _key_of(wanted.value.encode()) for text in there):
            return Check(name, True, _("{name} has our key").format(name=wanted.name))
        why = _("{name} has another key") if there else _("{name} is not there")
        return Check(name, False, why.format(name=wanted.name), wanted.zone_line())

    async def _dmarc(self, domain: str) -> Check:
        name = f"DMARC of {domain}"
        policy = await Dmarc(self._resolver).policy(domain)
        if policy is not None:
            return Check(name, True, _("{domain} says p={wish}").format(domain=policy.domain, wish=policy.wish))
        fix = f'_dmarc.{domain}. IN TXT "v=DMARC1; p=none"'
        return Check(name, False, _("there is none, and large mailbox providers ask for one"), fix)

    async def _ptr(self, domain: str) -> Check:
        """Of the machine that sends: the relay where it is another one, else the one that takes our mail."""
        name = f"PTR of {domain}"
        local = _is_loopback(self._relay.host)
        hosts = await self._exchangers(domain) if local else [self._relay.host]
        addresses = [address for host in hosts for address in await self._addresses_of(host)]
        if not addresses:
            return Check(name, None, _("no address is known to look at"))
        nameless = [address for address in addresses[:ADDRESSES] if not await self._is_confirmed(address)]
        if not nameless:
            return Check(name, True, _("{addresses} have names that lead back").format(addresses=", ".join(addresses)))
        why = _("{addresses} has no name that leads back to it, which many receivers refuse")
        fix = _("Ask whoever gave you the address to set its PTR record to your mail server's name.")
        return Check(name, False, why.format(addresses=", ".join(nameless)), fix)

    async def _addresses_of(self, host: str) -> list[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            return await self._addresses(host)

    async def _is_confirmed(self, address: str) -> bool:
        """Whether the address has a name that has the address (RFC 8601 section 2.7.3, iprev)."""
        pointer = str(dns.reversename.from_address(address))
        for record in (await self._resolver.ask(pointer, "PTR")).records[:HOSTS]:
            if address in await self._addresses(str(record).rstrip(".")):
                return True
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key_of(text: bytes) -> bytes:
    """The p= of a key record, without the blanks that it may hold (RFC 6376 section 3.6.1)."""
    for tag in b"".join(text.split()).split(b";"):
        name, _equals, value = tag.partition(b"=")
        if name == b"p":
            return value
    return b""
