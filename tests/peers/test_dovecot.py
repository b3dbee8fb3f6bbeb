from tests.peers.dovecot import Dovecot
from tests.peers.postfix import Postfix
from tests.peers.test_postfix import letter


def test_mail_goes_through_postfix_into_a_mailbox_that_is_read_over_imap(postfix: Postfix, dovecot: Dovecot) -> None:
    domain = postfix.member_domain()
    postfix.hand_over(domain, dovecot.lmtp_port)
    ana = f"ana@{domain}"
    postfix.send(letter("bo@far.test", ana, "Limpets"), "bo@far.test", ana)
    (got,) = dovecot.wait_for(ana, 1)
    assert b"Subject: Limpets\r\n" in got
    with dovecot.mailbox(f"bo@{domain}") as empty:
        assert empty.messages() == []
