"""The way to a relay without pipelining: aiosmtplib, one command and one answer at a time. Used like `wire.Connection`."""

from __future__ import annotations

import ssl

import aiosmtplib

from bridges.email.settings import Relay
from bridges.email.wire import ANSWER_SECONDS, DOT_SECONDS, Lost, Next, Reply, Settled, Unavailable
from server.bridge import Failed, Later


class StepByStep:
    """Use `connect`."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client

    @property
    def usable(self) -> bool:
        return self._client.is_connected

    def abort(self, reason: str) -> None:
        self._client.close()

    async def close(self) -> None:
        if self.usable:
            try:
                await self._client.quit(timeout=1)
            except aiosmtplib.SMTPException:
                self._client.close()

    async def send(self, next_job: Next, settled: Settled) -> None:
        """As `wire.Connection.send`. Raises Lost."""
        while (job := next_job()) is not None:
            foreign = not (job.recipient.isascii() and job.sender.isascii())
            if foreign and not self._client.supports_extension("SMTPUTF8"):
                settled(job, Failed("the relay cannot carry an address that is not ASCII", "5.6.7"))
                continue
            options = ["SMTPUTF8"] if foreign else []
            if job.eight_bit and self._client.supports_extension("8BITMIME"):
                options.append("BODY=8BITMIME")
            encoding = "utf-8" if foreign else "ascii"
            in_flight = to_rcpt = False
            try:
                await self._client.mail(job.sender.decode(), options=options, encoding=encoding)
                to_rcpt = True
                await self._client.rcpt(job.recipient.decode(), encoding=encoding)
                to_rcpt = False
                in_flight = True
                answer = await self._client.data(b"".join(job.raw), timeout=DOT_SECONDS)
                settled(job, Reply(answer.code, answer.message).outcome())
            except aiosmtplib.SMTPResponseException as refused:
                settled(job, Reply(refused.code, refused.message).outcome(to_rcpt))
                await self._reset()
            except (aiosmtplib.SMTPException, OSError) as problem:
                self._client.close()
                if not in_flight:
                    raise Lost(str(problem), unsent=job) from None
                settled(job, Later(f"no answer after the last dot: {problem}", "4.4.2"))
                raise Lost(str(problem)) from None

    async def _reset(self) -> None:
        try:
            await self._client.rset()
        except (aiosmtplib.SMTPException, OSError) as problem:
            self._client.close()
            raise Lost(str(problem)) from None


async def connect(relay: Relay, domain: str, context: ssl.SSLContext | None = None) -> StepByStep:
    """A greeted, secured and logged-in connection. Raises Unavailable."""
    client = aiosmtplib.SMTP(
        hostname=relay.host,
        port=relay.port,
        username=relay.user or None,
        password=relay.password or None,
        local_hostname=domain,
        timeout=ANSWER_SECONDS,
        use_tls=relay.tls,
        start_tls=relay.starttls,
        tls_context=context if relay.tls or relay.starttls else None,
    )
    try:
        await client.connect()
        await client.ehlo()
    except (aiosmtplib.SMTPException, OSError) as problem:
        raise Unavailable(f"the relay {relay.host}:{relay.port} is away: {problem}") from None
    return StepByStep(client)
