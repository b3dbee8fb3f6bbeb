"""Bytes to text, whatever charset they claim. Pure; never raises.

Declared charset first, then UTF-8 strictly, then a guess, then windows-1252. No answer holds a NUL or a lone surrogate, so that
it can be stored and sent on.
"""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

GUESS_BYTES = 4 * 1024  # more does not make the guess better
DAMAGED = 5  # one letter in so many may be broken before a declaration is called a lie
FEW = 8  # letters beyond ASCII of which nothing can be told
# what people write mail in; a guesser that may choose among all codecs finds UTF-16 and EBCDIC in any rubbish
_SINGLE = [
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "iso8859_2",
    "iso8859_5",
    "koi8_r",
    "cp866",
]
_DOUBLE = ["gb18030", "big5", "cp949", "cp932", "euc_jp"]
_ALONE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_ASCII = bytes(range(128))
_UNKNOWN = frozenset(
    {"", "x-unknown", "unknown", "unknown-8bit", "y", "default", "none", "binary", "8bit", "default_charset"}
)
_ALIASES = {
    # the wider sibling that senders mean (WHATWG Encoding, section 4.2)
    "us-ascii": "ascii",
    "iso-8859-1": "windows-1252",
    "iso8859-1": "windows-1252",
    "iso_8859-1": "windows-1252",
    "latin1": "windows-1252",
    "latin-1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "iso-8859-11": "windows-874",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "hz-gb-2312": "hz",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "ms949": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_2004",
    "big5": "cp950",
    "x-big5": "cp950",
    # names of other days
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "windows-874": "cp874",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "utf8": "utf-8",
    "utf": "utf-8",
    "cp-850": "cp850",
    "ansi_x3.4-1968": "ascii",
    "iso-10646-ucs-2": "utf-16-be",
    "koi8": "koi8-r",
}


def codec(charset: str) -> str | None:
    """The name of a codec from bytes to text for a declared charset, or None if we have none."""
    name = charset.strip().strip("\"'").lower()[:60]
    if name in _UNKNOWN or not name.isascii() or "\0" in name:
        return None
    name = _ALIASES.get(name, name)
    try:
        # idna, punycode, unicode_escape, undefined: codecs, but no charsets of mail
        found = codecs.lookup(name)
        return None if not found._is_text_encoding or found.name in _NO_CHARSETS else found.name
    except (LookupError, ValueError):
        return None


_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw-unicode-escape", "unicode-escape", "undefined", "mbcs"}
)


def decode(data: bytes, charset: str = "", guess: bool = True) -> str:
    """The text of the bytes; where no charset explains all of them, the rest shows as U+FFFD.

    `guess=False` for short pieces that come by the thousand: a guess takes milliseconds.
    """
    return _clean(_decode(data, codec(charset), guess))


def _decode(data: bytes, declared: str | None, guess: bool) -> str:
    if data.isascii() and declared in _ASCII_LIKE:
        return data.decode("ascii")
    # what is valid UTF-8 beyond ASCII is hardly ever windows-1252, the default that programs declare unasked
    order = ("utf-8", declared) if declared in _ASCII_LIKE else (declared, "utf-8")
    for name in order:
        text = _strictly(data, name) if name and name != "ascii" else None
        if text is not None:
            return text
    mended = data.decode("utf-8" if declared in (None, "ascii") else declared, "replace")
    beyond = len(mended) - len(mended.encode("ascii", "ignore"))
    if mended.count("\ufffd") * DAMAGED <= beyond:
        return mended
    sample = data[:GUESS_BYTES]
    latin = 2 * len(_ALONE.findall(sample)) > len(sample.translate(None, _ASCII))  # single letters among those of ASCII
    if guess and not (latin and beyond < FEW):
        best = from_bytes(sample, cp_isolation=_SINGLE if latin else _SINGLE + _DOUBLE).best()
        text = _strictly(data, best.encoding) if best else None
        if text is not None:
            return text
    return data.decode("windows-1252" if latin or declared in (None, "ascii") else declared, "replace")


_ASCII_LIKE = (None, "ascii", "utf-8", "cp1252")


def _strictly(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeError, ValueError, LookupError):
        return None


def _clean(text: str) -> str:
    text = text.replace("\0", "")
    if text.startswith("\ufeff"):
        text = text[1:]
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # utf-7 and others can spell half of a surrogate pair
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
