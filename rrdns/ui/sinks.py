"""`notify:` of `rrdns.yaml`: a list of sinks, each mistake with its own line and column.

    notify:
      - {name: ops, type: mail, server: mail.example.com, from: rrdns@ns1.example.com, to: ops@example.com}
      - {name: chat, type: webhook, url_file: /etc/rrdns/chat-url, on: [pool, director]}

Must not know: how anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rrdns.notify.notices import SUBJECTS
from rrdns.notify.sinks import FORMATS, TLS, TYPES, Sink
from rrdns.texts import parse_duration

if TYPE_CHECKING:
    from rrdns.zonefile.complaints import Complaints, Spot

MOST = 20
Read = Callable[[object], object]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.IGNORECASE)
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAIL = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")


def _show(value: object) -> str:
    from rrdns.zonefile.scalars import show

    return show(value)


# ---------------------------------------------------------------- single values


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"{_show(value)} is no text")
    return value


def _name(value: object) -> str:
    if not _NAME.fullmatch(_text(value)):
        raise ValueError(f"{_show(value)} is no name; letters, digits, - _ and . are possible, at most 40")
    return str(value)


def _one_of(*words: str) -> Read:
    def read(value: object) -> object:
        if value not in words:
            from rrdns.zonefile.complaints import did_you_mean

            raise ValueError(f"{_show(value)} is none of {', '.join(words)}{did_you_mean(str(value), words)}")
        return value

    return read


def _several(one: Read) -> Read:
    def read(value: object) -> object:
        items = value if isinstance(value, list) else [value]
        if not items:
            raise ValueError("is empty")
        return tuple(one(item) for item in items)

    return read


def _seconds(low: float, high: float) -> Read:
    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{_show(value)} is no duration; write 30s, 500ms, 2m, or a number of seconds")
        seconds = parse_duration(value) if isinstance(value, str) else float(value)
        if not low <= seconds <= high:
            raise ValueError(f"{_show(value)} is not between {low:g} and {high:g} seconds")
        return seconds

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_show(value)} is neither true nor false")
    return value


def _web(value: object) -> str:
    """No message shows the URL: it may hold a token."""
    try:
        parts = urlsplit(_text(value))
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port):
            return str(value)
    except ValueError:
        pass
    raise ValueError("is no http:// or https:// address")


def _any_url(value: object) -> str:
    if not isinstance(value, str) or not re.match(r"[a-z][a-z0-9+.-]*://", value):
        raise ValueError("is no URL of apprise, such as ntfy://ntfy.sh/topic")
    return value


def _server(value: object) -> str:
    from rrdns.notify.mail import endpoint

    try:
        host, port = endpoint(_text(value), 25)
        if host and not set(host) & set("/@ ") and 0 < port <= 65535:
            return str(value)
    except ValueError:
        pass
    raise ValueError(
        f"{_show(value)} is no mail server; write mail.example.com, mail.example.com:587 or [2001:db8::1]:25"
    )


def _mail(value: object) -> str:
    if not isinstance(value, str) or not _MAIL.fullmatch(value) or not value.isprintable():
        raise ValueError(f"{_show(value)} is no mail address; write ops@example.com")
    return value


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise ValueError("is no mapping; write {X-Name: value}")
    for name, text in value.items():
        if not _HEADER.fullmatch(name) or not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise ValueError(f"{_show(name)}: no header; a name and a value in ASCII are needed")
    return tuple(value.items())


def _program(value: object) -> tuple[str, ...]:
    argv = tuple(_text(one) for one in (value if isinstance(value, list) else [value]))
    if not argv or not argv[0].startswith("/"):
        raise ValueError("write a list that begins with the program's whole path: [/usr/local/bin/page, --all]")
    return argv


def _variable(value: object) -> str:
    if not isinstance(value, str) or not _ENV.fullmatch(value):
        raise ValueError(f"{_show(value)} is no name of an environment variable")
    return f"env:{value}"


# ---------------------------------------------------------------- a sink

_COMMON: Mapping[str, Read] = {
    "name": _name,
    "type": _one_of(*TYPES),
    "on": _several(_one_of(*SUBJECTS)),
    "pools": _several(_text),
    "quiet": _seconds(0, 600),
    "longest": _seconds(0, 3600),
    "keep": _seconds(60, 7 * 86400),
    "timeout": _seconds(0.1, 60),
}
_SECRETS = {"password_file": "password_from", "token_file": "token_from", "url_file": "url_from"}
_OF_TYPE: Mapping[str, Mapping[str, Read]] = {
    "command": {"command": _program},
    "webhook": {
        "url": _web,
        "url_file": _text,
        "url_env": _variable,
        "format": _one_of(*FORMATS),
        "headers": _headers,
        "token_file": _text,
        "token_env": _variable,
        "verify": _flag,
    },
    "mail": {
        "server": _server,
        "tls": _one_of(*TLS),
        "from": _mail,
        "to": _several(_mail),
        "user": _text,
        "password_file": _text,
        "password_env": _variable,
        "verify": _flag,
    },
    "apprise": {"url": _any_url, "url_file": _text, "url_env": _variable},
}
_NEEDED = {
    "command": (("command",),),
    "webhook": (("url", "url_file", "url_env"),),
    "mail": (("server",), ("from",), ("to",)),
    "apprise": (("url", "url_file", "url_env"),),
}
_FIELDS = {"from": "sender"}


def read(value: object, spot: Spot, out: Complaints, folder: Path) -> tuple[dict[str, Any], ...]:
    """The sinks as plain data for Settings; what is wrong goes to `out`. Paths are relative to `folder`."""
    if not isinstance(value, list):
        out.problem(spot, "notify", "is no list of sinks; write `- {name: ops, type: mail, ...}` lines")
        return ()
    if len(value) > MOST:
        out.problem(spot, "notify", f"has {len(value)} sinks, at most {MOST} are possible")
        return ()
    found: list[dict[str, Any]] = []
    spots = getattr(value, "spots", [spot] * len(value))
    for index, one in enumerate(value):
        path = f"notify[{index}]"
        if not isinstance(one, Mapping):
            out.problem(spots[index], path, "is no mapping; write {name: ops, type: mail, ...}")
            continue
        sink = _sink(one, path, out, folder)
        if sink is None:
            continue
        if any(other["name"] == sink["name"] for other in found):
            out.problem(one.at("name"), f"{path}.name", f"there are two sinks named {sink['name']}")  # type: ignore[attr-defined]
        found.append(sink)
    return tuple(found)


def _sink(one: Any, path: str, out: Complaints, folder: Path) -> dict[str, Any] | None:
    from rrdns.zonefile.complaints import did_you_mean, unknown_key

    kind = one.get("type")
    if kind not in TYPES:
        said = f"{_show(kind)} is none of {', '.join(TYPES)}{did_you_mean(str(kind), TYPES)}" if kind else "is missing"
        out.problem(one.at("type"), f"{path}.type", said)
        return None
    keys = {**_COMMON, **_OF_TYPE[kind]}
    values: dict[str, Any] = {}
    before = len(out.found)
    for key, value in one.items():
        where = f"{path}.{key}"
        if key not in keys:
            out.problem(one.at_key(key), where, f"of a {kind}: {unknown_key(key.replace('-', '_'), keys)}")
            continue
        try:
            got = keys[key](value)
        except ValueError as error:
            out.problem(one.at(key), where, str(error))
            continue
        field, got = _settled(key, got, folder)
        if field in values:
            out.problem(one.at_key(key), where, f"says again what another key says ({key.partition('_')[0]}_...)")
        values[field] = got
    if "name" not in one:
        out.problem(one.spot, f"{path}.name", "is missing: what is this sink called in `rrdns status`?")
    for choice in _NEEDED[kind]:
        if not set(choice) & one.keys():
            out.problem(one.spot, path, f"a {kind} needs {' or '.join(f'`{key}:`' for key in choice)}")
    if "user" in values and "password_from" not in values:
        out.problem(one.at("user"), f"{path}.user", "needs `password_file:` or `password_env:`")
    if "url" in values and "url_from" in values:
        out.problem(one.at("url"), f"{path}.url", "stands beside url_file or url_env: one of them is enough")
    return Sink(**values).plain() if len(out.found) == before else None


def _settled(key: str, got: Any, folder: Path) -> tuple[str, Any]:
    """Name and value of the field of Sink."""
    if key in _SECRETS:
        return _SECRETS[key], f"file:{folder.absolute() / got}"
    if key.endswith("_env"):
        return f"{key.removesuffix('_env')}_from", got
    return _FIELDS.get(key, key), got
