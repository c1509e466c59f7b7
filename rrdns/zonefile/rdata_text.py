r"""TXT values between YAML and the wire, after octoDNS. Floor 1, pure.

| in YAML                | means                                                                               |
|------------------------|-------------------------------------------------------------------------------------|
| `v=DKIM1\; k=rsa`      | plain text; `\;` is `;` (a bare `;` is taken too); nothing else is an escape         |
| over 255 bytes         | cut into character-strings of 255 bytes                                             |
| `"txtvers=1" "a=b"`    | character-strings as in a master file, with `\"`, `\\`, `\DDD`, `\;`                 |

octoDNS joins quoted strings and cuts them anew; here they stay as they are written: the same text to SPF and DKIM,
which join them, and the right one for DNS-SD (RFC 6763 section 6), where each string is a pair of its own.
"""

from __future__ import annotations

import re

from rrdns.zonefile.rdata_fields import MAX_STRING, RdataError, escape, quote, text_of, unescape
from rrdns.zonefile.rdata_types import pack_text

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s+|$)', re.DOTALL)


def encode_text(value: object) -> bytes:
    """TXT rdata of one YAML value."""
    text = text_of(value)
    if text.startswith('"'):
        strings: list[bytes] = []
        for part in _quoted_parts(text):
            strings += _cut(unescape(part))
        return pack_text(strings)
    if "\\\\;" in text:
        raise RdataError((), r"has `\\;`, a semicolon escaped twice: `\;` is enough")
    if '" "' in text:
        raise RdataError((), 'has `" "` in it, but does not start with a quote: write `"first" "second"`')
    return pack_text(_cut(unescape(text.replace("\\;", ";").replace("\\", "\\\\"))))


def _quoted_parts(text: str) -> list[str]:
    parts = []
    at = 0
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match is None:
            raise RdataError(
                (), 'starts with a quote, so it is read as `"first" "second"`, but the quotes do not match'
            )
        parts.append(match[1])
        at = match.end()
    return parts


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + MAX_STRING] for at in range(0, len(data), MAX_STRING)] or [b""]


def strings_of(rdata: bytes) -> list[bytes]:
    """The character-strings of TXT rdata; at least one (RFC 1035 section 3.3.14)."""
    strings = []
    at = 0
    while at < len(rdata):
        end = at + 1 + rdata[at]
        strings.append(rdata[at + 1 : end])
        at = end
    if not strings or at != len(rdata):
        raise RdataError((), "its data is not made of character-strings")
    return strings


def decode_text(rdata: bytes) -> str:
    """The YAML value: plain where that says the same, else in quotes."""
    strings = strings_of(rdata)
    joined = b"".join(strings)
    if strings == _cut(joined) and joined:
        try:
            text = joined.decode()
        except UnicodeDecodeError:
            text = ""
        if text.isprintable() and not re.search(r'^"|^\\#|\\;|" "', text) and text:
            return text.replace(";", "\\;")
    return " ".join(['"' + escape(one).replace(";", "\\;") + '"' for one in strings])


def text_text(rdata: bytes) -> str:
    """Master-file text."""
    return " ".join([quote(one) for one in strings_of(rdata)])
