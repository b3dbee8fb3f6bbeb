"""Writes the configuration of the tests' own Postfix: its queue, maps and mailboxes in one directory, nothing in /etc/postfix."""

from __future__ import annotations

from pathlib import Path

FRAGMENT = Path(__file__).parents[2] / "deploy" / "postfix" / "main.cf"
"""What operators are given, and what the tests therefore run."""

MAPS = ("junto_domains", "junto_transport", "recipients", "members", "far")

_BASE = """\
compatibility_level = 3.7
queue_directory = {place}/spool
data_directory = {place}/data
maillog_file = {place}/maillog
maillog_file_prefixes = {place}
alternate_config_directories =
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
local_transport = error:5.1.1 no local mailboxes here
default_transport = error:5.4.4 no mail leaves this machine
disable_dns_lookups = yes
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtp_tls_security_level =
smtpd_relay_restrictions = permit_mynetworks, reject
notify_classes =
biff = no
"""

# Later lines win: the waits of a real server would be a test's whole patience.
_AFTER = """
smtpd_recipient_restrictions =
    check_recipient_access lmdb:{etc}/recipients,
    check_recipient_access lmdb:{etc}/junto_domains,
    permit_mynetworks, reject
address_verify_map =
address_verify_negative_expire_time = 1s
address_verify_negative_refresh_time = 1s
address_verify_poll_count = 10
address_verify_sender_ttl = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
transport_retry_time = 1s
lmtp_connect_timeout = 5s
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
virtual_mailbox_domains = lmdb:{etc}/members
virtual_mailbox_maps = lmdb:{etc}/members
virtual_mailbox_base = {place}/mail
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
"""

# No service in a chroot: the maps and sockets lie in a temporary directory. The second smtpd stands for a far server that refuses
# what the first has taken: Postfix would refuse an `error:` address at RCPT already.
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{far_port} inet n - n - - smtpd
    -o syslog_name=postfix/far
    -o myhostname=far.test
    -o smtpd_recipient_restrictions=check_recipient_access,lmdb:{etc}/far,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 10 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def write(place: Path, port: int, far_port: int, uid: int, gid: int) -> Path:
    """Writes main.cf and master.cf into `place/etc` and returns that directory."""
    etc = place / "etc"
    etc.mkdir()
    names = {"place": place, "etc": etc, "port": port, "far_port": far_port, "uid": uid, "gid": gid}
    fragment = FRAGMENT.read_text().replace("/etc/postfix/", f"{etc}/")
    overridden = {line.partition(" =")[0] for line in _AFTER.splitlines() if " =" in line}
    (etc / "main.cf").write_text(_BASE.format(**names) + _without(fragment, overridden) + _AFTER.format(**names))
    (etc / "master.cf").write_text(_MASTER.format(**names))
    for name in MAPS:
        (etc / name).touch()
    return etc


def _without(fragment: str, names: set[str]) -> str:
    """The fragment less the settings that are given again: Postfix warns of each that it reads twice."""
    kept: list[str] = []
    dropping = False
    for line in fragment.splitlines():
        if not line.startswith((" ", "\t")):
            dropping = line.partition(" =")[0] in names
        if not dropping:
            kept.append(line)
    return "\n".join(kept) + "\n"
