"""The words by which mail systems refuse, in lower case, by what they say of the mailbox. A table, no more.

A phrase is looked for as it stands, so it is long enough not to stand in other words. Where phrases of several tables are heard, the
first table here wins. Addresses are taken out before: "550 <ana@…>: user unknown" is not "550 : user unknown", which a mobile carrier
says of senders whom its members keep out.
"""

from __future__ import annotations


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.replace("\n", " ").split("|") if phrase.strip())


# It was this message or our server that was not wanted
OURS = _phrases("""
    sender address | sender domain | sender rejected | sender was rejected | from domain | from: domain |
    my name was rejected | purported responsible | envelope sender | unroutable sender | senders not allowed |
    valid sender | sending domain | reverse dns | ptr r | rdns | bad dns | client host | client ip | mismatches client |
    connection denied | from your ip | blacklist | black list | blocklist | block list | blocked | dnsbl | rbl | banned |
    reputation | user complaints | smtp server of your | outgoing smtp | connections not accepted | dmarc | spf | dkim |
    unauthenticated | authentication | authenticate | not authorized | starttls | support tls | not verified |
    relay access | relaying | to relay | open relay | relay not | after mail from | spam | ube, | virus | policy |
    protocol violation | suspicious | message content | content reject | media error | message filtered | mail rejected |
    mail rejete | message rejected | header error | duplicate header | 8-bit data | multiple addresses in from |
    recipient preferences | message size | mail size | size limit | too large | too big |
    message length | line limit | sizelimit | exceeds maximum | exceeds fixed | too many recipients | rate limit |
    connection rate | hop count | routing loop | mail loop | too many hops | duplicated message-id | not a member |
    permission to post | the group you tried to contact | listserv
""")
# The mailbox is there and full
FULL = _phrases("""
    mailbox full | mailbox is full | mailbox for user is full | mailfolder is full | folder is full | over quota |
    overquota | over the maximum | overdrawn | quota exceeded | exceeded quota | quota violation | disk quota |
    exceeded storage | exceeds allowed size | storage allocation | not enough space | insufficient |
    exceeded the local limit | no space | diskspace | disk space | quotaexceeded
""")
# It was not reached this time
MISSED = _phrases("""
    disabled | suspended | locked | frozen | deactivated | discontinued | blocked for | try again later | try later |
    temporary failure | temporary error | temporary locked | temporarily deferred | temporarily rejected |
    temporarily unavailable | temporarily suspended | temporarily disabled | on hold | greylist | timed out | timeout |
    time out | expired | socket error |
    lost connection | connection reset | remote protocol error | connection refused | not responding |
    did not accept our requests | unable to connect | could not deliver for the last | delivery failed 20 attempts |
    receiving mail at a rate | internal system error | mailer error | procmail | pipe to | unable to contact |
    not found, try again | 550 : user unknown | 550: : user unknown
""")
# Nobody has this mailbox, or its domain takes no mail
GONE = _phrases("""
    user unknown | unknown user | unknown recipient | recipient unknown | unknown or illegal | address unknown |
    unknown local | no such user | no such recipient | no such mailbox | no such account | no such address |
    no such person | no mailbox | bad-mailbox | bad-domain | no account | user not found | recipient not found |
    recipnotfound | recipientnotfound | address not found | mailbox not found | not found at the destination |
    wasn't found | wasn’t found | couldn't be found | could not be found | can't be found | was not found |
    not our customer | not a valid | user not exist | does not exist | doesn't exist | not exist | not listed in |
    not recognized | not known | isn't a valid | no longer valid | no longer available | no longer active |
    no longer in use | invalid recipient | invalid mailbox | invalid address | invalid user | invalid final delivery |
    unknown account | user doesn't have | does not have an account | bad destination | destination mailbox |
    address rejected | rejected recipient | recipient rejected | mailbox unavailable | undeliverable address |
    account has been closed | please check if address is correct | unable to deliver message to | unrouteable address |
    unroutable address | user invalid | account not | has moved | moved to | no forwarding | host unknown |
    unknown host | host not found | domain not found | no such domain | no such host | name or service not known |
    invalid domain | unknown domain | domain unknown | no mx found | no mx record | no valid recipient |
    domain is not reachable | null mx | nullmx | no smtp service | does not accept mail | doesn't receive email |
    not accepting network messages | domain may not exist | nxdomain | dns lookup failure | dns failure | 見つかりません |
    リストにありません
""")
# Of these, said by some of mail that they do not want, too
VAGUE = frozenset(
    _phrases("mailbox unavailable | address rejected | user unknown | unknown user | no such user | unknown recipient")
)
# The recipient was what was refused
AT_RCPT = ("rcpt", "like recipient")
# The recipient had been taken before
AFTER_DATA = _phrases(
    "end of data | reply to data | after data | data command | smtp command data | >>> data | final data | after i sent the message"
)
# unless DATA was only sent ahead (RFC 2920)
PIPELINED = ("precede data", "need rcpt", "rcpt commands were", "no valid recipients")
