"""The words by which mail programs announce quoted text, in many languages: facts about other programs, not texts of ours.

Each test looks at a bounded piece of text and never backtracks without bound.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ATTRIBUTION_CHARS = 400
_VERBS = (
    "wrote|writes|said|schrieb|geschrieben|geschreven|schreef|a écrit|écrit|escribió|escribio|escreveu|ha scritto|scrisse|skrev|"
    "napisał|napisała|napisał\\(a\\)|napsal|napsala|написал|написала|написав|написал\\(а\\)|пишет|пише|kirjoitti|yazdı|"
    "írta|a scris|έγραψε|写道|寫道|さんは書きました|のメッセージ|작성"
)
_VERB = re.compile(rf"(?<!\w)(?:{_VERBS})(?!\w)|写道|寫道|書きました", re.IGNORECASE)
_BARE = re.compile(rf"(?:(?:{_VERBS}) ?)?[:：]\Z", re.IGNORECASE)
_OPENING = re.compile(
    r"\W{0,4}(?:(?:on|at|am|le|el|il|em|op|den|dnia|w dniu|dne|în|a|à|på|kl|в|на|у)\s[^\n]{0,80}?\d|\d{1,4}\D|在|于|於)",
    re.IGNORECASE,
)
_TIME = re.compile(r"(?<!\d)\d{1,2}[:.]\d{2}(?!\d)|下午|上午")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d{2}(?!\d)")
_DATED_NAME = re.compile(r"\W{0,2}\d{4}[-/]\d{1,2}[-/]\d{1,2}\s[^\n]{0,200}", re.IGNORECASE)
_GMT = re.compile(r"\d{4}-\d\d-\d\d \d{1,2}:\d\d GMT[+-]\d\d:\d\d \S")
_ADDRESS = re.compile(r"<[^<>\s@]{1,80}@[^<>\s]{1,200}>")

_FROM = "from|von|de|da|van|od|от|від|från|fra|lähettäjä|kimden|feladó|发件人|寄件者|差出人|보낸 사람"
_WHEN = (
    "date|sent|gesendet|datum|enviado|enviada|enviado el|fecha|envoyé|inviato|data|verzonden|wysłano|дата|отправлено|skickat|"
    "sendt|dato|lähetetty|tarih|发送时间|日期|送信日時|날짜|보낸 날짜"
)
_ABOUT = "subject|betreff|asunto|objet|oggetto|onderwerp|assunto|temat|тема|ämne|emne|aihe|konu|主题|主旨|件名|제목"
_WHOM = (
    "to|cc|an|para|à|a|aan|do|кому|копия|till|til|kopia|kopi|kopie|vastaanottaja|kime|收件人|抄送|宛先|받는 사람|reply-to|"
    "antwort an|responder a|risposta|répondre à"
)
_KINDS = {
    word: kind
    for kind, words in (("from", _FROM), ("when", _WHEN), ("about", _ABOUT), ("whom", _WHOM))
    for word in words.split("|")
}
_FIELD = re.compile(r"[\s>*_]{0,8}([^\W\d_][\w \-]{0,20}?)\s{0,2}[*_]{0,2}\s{0,2}[:：][*_]{0,2}(?:\s|\Z)")
FIELD_LINES = 14

_DASHED = re.compile(r"\W{0,6}-{2,60}\s{0,3}([^\n-]{6,40}?)\s{0,3}-{2,60}\W{0,6}\Z")
_ORIGINAL = (
    "original message|original-nachricht|ursprüngliche nachricht|originalnachricht|mensaje original|message original|"
    "message d'origine|messaggio originale|oorspronkelijk bericht|mensagem original|исходное сообщение|"
    "ursprungligt meddelande|original meddelelse|opprinnelig melding|oryginalna wiadomość|wiadomość oryginalna|"
    "původní zpráva|eredeti üzenet|alkuperäinen viesti|原始邮件|原始郵件|元のメッセージ|원본 메일"
)
_ORIGINALS = frozenset(_ORIGINAL.split("|"))
_FORWARD = re.compile(
    r"\W{0,80}(?:begin )?(?:forwarded message|forwarded mail|weitergeleitete nachricht|message transféré|mensaje reenviado|"
    r"messaggio inoltrato|doorgestuurd bericht|mensagem encaminhada|пересланное сообщение|vidarebefordrat meddelande|"
    r"videresendt melding|przekazana wiadomość|转发邮件|转发的邮件)",
    re.IGNORECASE,
)
_DEVICE = (
    "iphone|ipad|ipod|android|mobile|mobil|phone|smartphone|cell|tablet|blackberry|outlook|airmail|mailbox|samsung|galaxy|htc|"
    "windows|proton|yahoo|gmail|nokia|huawei|xiaomi|mobilgerät|handy|móvil|téléphone|telefon|telefono|apple|mail|my|mon|min|meinem"
)
_SENT_WITH = re.compile(
    r"\W{0,4}(?:(?:sent|get|from my|gesendet|von meinem|diese nachricht wurde von|envoyé|enviado|inviato|inviata|verzonden|"
    r"sendt|skickat|skickad|wysłane|отправлено|надіслано|lähetetty|从我的|從我的)(?!\w))"
    rf"(?=[^\n]{{0,60}}?(?<!\w)(?:{_DEVICE}))[^\n]{{0,110}}\Z|從我的 ?\w{{2,12}} ?傳送\Z|从我的 ?\w{{2,12}} ?发送\Z",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*(?:([-*#~=_+])\1{1,200}|\u1427)\s*\Z")  # the last is what an extension of Gmail leaves
_ELISIONS = frozenset(("", ".", "..", "...", "…", "snip", "snipped", "cut", "elided", "trimmed", "skip"))
_DIFFSTAT = re.compile(r" ?\d{1,6} files? changed, ")


def introduces(text: str) -> bool:
    """Whether `text`, which stands right above marked quotes, says who wrote them ("On …, Ana wrote:")."""
    text = text.strip(" \t\n-*_")
    if not 3 <= len(text) <= ATTRIBUTION_CHARS:
        return False
    if _DATED_NAME.match(text) and _ADDRESS.search(text):
        return True
    return bool(_VERB.search(text)) and (text[-1] in ":：" or _ends_with_verb(text))


def begins_attribution(line: str) -> bool:
    """Whether an attribution may start with this line: a date, or a word before one."""
    return bool(_OPENING.match(line[:ATTRIBUTION_CHARS]))


def evident(text: str) -> bool:
    """Whether an attribution names a day, a number or an address: more than "she wrote:"."""
    return any(c.isdigit() or c == "@" for c in text[:ATTRIBUTION_CHARS])


def announces(text: str) -> bool:
    """Whether `text` surely announces an original whose lines bear no marks; a narrower test than `introduces`."""
    flat = " ".join(text.replace("&lt;", "<").replace("&gt;", ">").split()).strip("-*_ ")
    if _GMT.match(flat) and len(flat) < 120:
        return True
    if not introduces(flat):
        return False
    return bool(_ADDRESS.search(flat)) or bool(_OPENING.match(flat) and _TIME.search(flat) and _YEAR.search(flat))


def ends_attribution(line: str) -> bool:
    """A cheap first look: whether an attribution may end with this line."""
    line = line.rstrip(" \t-*_")[-80:]
    return bool(line) and (line[-1] in ":：" or _ends_with_verb(line) or _GMT.match(line) is not None)


def torn_end(line: str) -> bool:
    """Whether the line is a bare "wrote:", the torn-off end of an attribution."""
    return bool(_BARE.match(line.strip()))


def original_follows(line: str) -> bool:
    """Whether the line is a separator such as "-----Original Message-----"."""
    match = _DASHED.match(line[:160])
    return match is not None and match.group(1).strip().lower() in _ORIGINALS


def forwards(text: str) -> bool:
    """Whether the text begins with the words for a forwarded message: its sender means it to be read."""
    return bool(_FORWARD.match(text[:200]))


def header_block(lines: Sequence[str]) -> bool:
    """Whether `lines` begin with the header of a quoted message: From first, and a date or subject, three fields at least."""
    kinds = _header_kinds(lines)
    return len(kinds) >= 3 and kinds[0] == "from" and ("when" in kinds or "about" in kinds)


def addressed(lines: Sequence[str]) -> bool:
    """Whether the header block names who it went to: that of a message does, that of a patch does not."""
    return "whom" in _header_kinds(lines)


def _header_kinds(lines: Sequence[str]) -> list[str]:
    kinds: list[str] = []
    for line in lines[:FIELD_LINES]:
        match = _FIELD.match(line[:200])
        kind = _KINDS.get(match.group(1).lower()) if match else None
        if kind is None and (not kinds or not line.strip()):
            break
        if kind is not None:
            kinds.append(kind)
    return kinds


def sent_with(line: str) -> bool:
    """Whether the line is the advertisement of a device or a program ("Sent from my iPhone")."""
    line = line.strip()
    return len(line) <= 140 and bool(_SENT_WITH.match(line))


def elision(line: str) -> bool:
    """Whether the line stands for what was left out of a quote: "[...]", "<snip>"."""
    line = line.strip()
    return (
        2 <= len(line) <= 20
        and line[0] in "[<({"
        and line[1:-1].strip(" -").lower() in _ELISIONS
        and line[-1] in "]>)}"
    )


def patch(line: str) -> bool:
    """Whether the line belongs to a patch and to nothing else."""
    return line.startswith(("diff --git ", "@@ -", "+++ ")) or bool(_DIFFSTAT.match(line[:40]))


def rule(line: str) -> bool:
    """Whether the line is nothing but one sign again and again, a drawn line."""
    return bool(_RULE.match(line[:300]))


def _ends_with_verb(text: str) -> bool:
    tail = text[-30:]
    return any(match.end() == len(tail) for match in _VERB.finditer(tail))
