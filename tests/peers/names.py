"""A DNS server of the tests' own on loopback: says what its zone says, that everything else does not exist, or nothing at all."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

DATAGRAM = 1232


class Names:
    """`zone["name", "TXT"]` is a list of records as a zone file has them; names in `silent` get SERVFAIL.

    `asked` counts the questions.
    """

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()
        self.asked: Counter[tuple[str, str]] = Counter()
        self.ttl = 300
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._socket.bind(self._listener.getsockname())
        self.server = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._serve, self._stream)]
        for thread in self._threads:
            thread.start()

    def txt(self, name: str, *texts: str) -> None:
        """TXT records; long ones in several strings, as they must be (RFC 1035 section 3.3.14)."""
        self.zone[name, "TXT"] = [
            " ".join('"' + text[at : at + 200] + '"' for at in range(0, len(text), 200)) for text in texts
        ]

    def close(self) -> None:
        for each in (self._socket, self._listener):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                question, peer = self._socket.recvfrom(4096)
                if not question:
                    return
                answer = self._answer(dns.message.from_wire(question))
                if len(answer.to_wire()) > DATAGRAM:  # come again by stream
                    answer.answer.clear()
                    answer.flags |= dns.flags.TC
                self._socket.sendto(answer.to_wire(), peer)
            except OSError:
                return

    def _stream(self) -> None:
        while True:
            try:
                line, _peer = self._listener.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                line.settimeout(5)
                question = dns.message.from_wire(line.recv(4096)[2:])
                answer = self._answer(question).to_wire(max_size=65_535)
                line.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, question: dns.message.Message) -> dns.message.Message:
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(asked.rdtype)
        self.asked[name, kind] += 1
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA | dns.flags.AA
        if name in self.silent:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.zone:
            answer.answer.append(dns.rrset.from_text(asked.name, self.ttl, "IN", kind, *self.zone[name, kind]))
        elif not self._exists(name):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def _exists(self, name: str) -> bool:
        """A name above one that exists does too (RFC 8020)."""
        return any(known == name or known.endswith("." + name) for known, _kind in self.zone)


@contextlib.contextmanager
def serving() -> Iterator[Names]:
    """A server of its own, empty."""
    names = Names()
    try:
        yield names
    finally:
        names.close()
