"""What readers share: bytes to text, XML and JSON without their traps, addresses, numbers, words for a server's state.

A reader's `parse` meets anything: half an answer, an HTML error page, another program's format. So each helper here
gives a value or raises Fault, whatever it is fed. Must not know: any type of director.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

from rrdns.checks.words import plain
from rrdns.directors import Fault

MAX_NUMBER = 2**63  # counters there have at most 64 bits
_PIECE = 65536  # of XML at a time, so that a thread that parses much lets others run


def text_of(data: bytes, what: str) -> str:
    """The text of an answer that is not empty and not an HTML page. `what` was asked for, as in "Squid's list"."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault(f"{what}: byte {error.start} is not UTF-8, so this is something else") from None
    if not text.strip():
        raise Fault(f"{what}: the answer is empty")
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        raise Fault(f"{what}: an HTML page came instead{_title(text)}")
    return text


def not_html(data: bytes, content_type: str, what: str) -> None:
    """Fault where the label says HTML, whatever the page starts with."""
    if content_type.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml"):
        raise Fault(f"{what}: an HTML page came instead{_title(data[:4096].decode('utf-8', 'replace'))}")


def _title(text: str) -> str:
    """` ("404 Not Found")`: an HTML page's title, if it has one near its start."""
    head = text[:4096]
    start, end = head.lower().find("<title>"), head.lower().find("</title>")
    title = " ".join(head[start + 7 : end].split()) if 0 <= start < end else ""
    return f' ("{plain(title, 60)}")' if title else ""


def shown(value: object) -> str:
    """A value from outside as messages show it: one line, short."""
    return plain(str(value), 60)


def name(text: str) -> str:
    """A name as reports carry it: what can't be printed is escaped, so that it can be shown and saved anywhere."""
    return plain(text, 255)


# ---------------------------------------------------------------- XML and JSON


def xml(data: bytes, what: str) -> ElementTree.Element:
    """The root of an XML document. A DOCTYPE is refused: entities could unpack to gigabytes, or name local files."""
    text = text_of(data, what)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Fault(f"{what}: XML with a DOCTYPE is not read")
    parser = ElementTree.XMLParser()
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
        return parser.close()
    except ElementTree.ParseError as error:
        raise Fault(f"{what}: not XML, or cut off ({shown(error)})") from None
    except ValueError as error:  # an encoding or a character that expat can't take
        raise Fault(f"{what}: not XML ({shown(error)})") from None


def local(element: ElementTree.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if local(child) == name]


def from_json(data: bytes, what: str) -> Any:
    """The value of a JSON text; a key that stands twice is refused, where `json` would keep the last."""
    text = text_of(data, what)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise Fault(f"{what}: not JSON, or cut off (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except RecursionError:
        raise Fault(f"{what}: JSON nested too deep to be read") from None
    except ValueError as error:  # a number of thousands of digits; what the hooks say
        raise Fault(f"{what}: {shown(error)}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {shown(twice)!r} stands twice in one object")
    return found


def _constant(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


# ---------------------------------------------------------------- values


def page(url: str, path: str) -> str:
    """`url` with the usual path of a director's page where it has none, so that `http://lb1:8080` is enough."""
    base, mark, query = url.partition("?")
    if "/" in base.partition("://")[2].rstrip("/"):
        return url
    return base.rstrip("/") + path + mark + query


def address(text: str) -> str:
    """Canonical text of an IP address, also in brackets; "" for anything else (a host name, a path, a zone index)."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if "%" in text:  # fe80::1%eth0 means something on the director only
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def endpoint(text: str) -> tuple[str, int]:
    """Host and port (0: none) of `10.0.0.1:80`, `[2001:db8::1]:80`, `2001:db8::1`, `web1:80`, `web1`."""
    text = text.strip()
    if address(text):
        return text.strip("[]"), 0
    host, _, port = text.rpartition(":")
    number = count(port)
    if not host or number is None or number > 65535:
        return text, 0
    return (host[1:-1] if host.startswith("[") and host.endswith("]") else host), number


def count(value: object) -> int | None:
    """A whole number from 0 on, as a number or in decimal digits; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value) if 0 <= value < MAX_NUMBER else None
    if isinstance(value, str) and len(value) <= 40:
        value = value.strip()
        if value.isascii() and value.isdigit() and int(value) < MAX_NUMBER:
            return int(value)
    return None


_STATES = {
    "up": "up ok ready active healthy alive in-service",
    "down": "down failed dead err error unhealthy",
    "drain": "drain drained draining quiesced",
    "maint": "maint maintenance disabled stopped out-of-service",
    "unknown": "unknown",
}
_STATE_OF = {word: state for state, words in _STATES.items() for word in words.split()}


def state(word: str) -> str | None:
    """up, down, drain, maint or unknown, also for what other programs say; None for other words."""
    return _STATE_OF.get(word.strip().lower())


def known_states() -> Iterable[str]:
    return _STATE_OF
