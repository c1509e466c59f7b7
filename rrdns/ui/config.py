"""Server settings from `rrdns.yaml` and flags; flags win. Also where the client commands find a server's socket.

`rrdns.yaml` holds the fields of Settings by name:

    listen: ['192.0.2.53:53', '[2001:db8::53]:53']
    state: /var/lib/rrdns
    start_wait: 5s

It is looked for where --config says, else ./rrdns.yaml, else /etc/rrdns/rrdns.yaml. Paths in it are relative to it.
Must not know: what settings do.
"""

from __future__ import annotations

import argparse
import grp
import ipaddress
import os
import pwd
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rrdns.settings import Settings, default_control, default_state
from rrdns.texts import duration, parse_duration

PLACES = ("rrdns.yaml", "/etc/rrdns/rrdns.yaml")
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
DNS_PORT = 53
MAX_WORKERS = 512


class ConfigError(Exception):
    """The settings can't be used; behind the first line the text has one problem a line."""


# ---------------------------------------------------------------- single values, for flags and file alike


def listen_address(text: str) -> tuple[str, int]:
    """`192.0.2.1:53`, `[::1]:53`, or an address alone (port 53); ValueError says what is wrong."""
    host, port = text, str(DNS_PORT)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r}: write an IPv6 address and port as [2001:db8::53]:53")
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if host in ("", "*"):
        raise ValueError(
            f"{text!r}: write 0.0.0.0:{port} for all IPv4 addresses and [::]:{port} for all IPv6 addresses"
        )
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError(f"{host!r} is no IP address; write 192.0.2.53:53 or [2001:db8::53]:53") from None
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"{text!r}: port {port!r} is not between 0 and 65535 (0: any free port)")
    return address, int(port)


def resolver_address(text: str) -> str:
    """A resolver as `127.0.0.1:53` or `[::1]:53`, from that or an address alone."""
    try:
        address, port = listen_address(text)
        if not port or ipaddress.ip_address(address).is_unspecified:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is no resolver: write 192.0.2.53, 127.0.0.1:5353 or [2001:db8::53]:53") from None
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def user_name(text: str) -> str:
    """The name of an existing user."""
    if text:
        try:
            pwd.getpwnam(text)
        except KeyError:
            raise ValueError(f"there is no user {text!r} (to make one: useradd --system {text})") from None
    return text


def group_name(text: str) -> str:
    """The name of an existing group."""
    try:
        grp.getgrnam(text)
    except KeyError:
        raise ValueError(f"there is no group {text!r} (to make one: groupadd --system {text})") from None
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{_show(value)} is no text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_show(value)} is neither true nor false")
    return value


def _several(one: Callable[[str], Any]) -> Callable[[object], tuple[Any, ...]]:
    def read(value: object) -> tuple[Any, ...]:
        items = value if isinstance(value, list) else [value]
        return tuple(one(_text(item)) for item in items)

    return read


def _whole(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{_show(value)} is not a whole number between {low} and {high}")
        return int(value)

    return read


def _size(low: int, high: int) -> Callable[[object], int]:
    """Bytes: a number, or a text like 64MB; 0 for none."""

    def read(value: object) -> int:
        units = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
        found = re.fullmatch(r"(\d+) ?([KMG]?)i?B?", str(value), re.ASCII)
        if isinstance(value, bool) or found is None:
            raise ValueError(f"{_show(value)} is no size; write 64MB, 1GB, or a number of bytes")
        size = int(found[1]) * units[found[2]]
        if size and not low <= size <= high:
            raise ValueError(f"{_show(value)} is not between {low >> 20} MB and {high >> 20} MB (0: none)")
        return size

    return read


def _seconds(low: float, high: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{_show(value)} is no duration; write 30s, 500ms, 2m, or a number of seconds")
        seconds = parse_duration(value) if isinstance(value, str) else float(value)
        if not low <= seconds <= high:
            raise ValueError(f"{_show(value)} is not between {duration(low)} and {duration(high)}")
        return seconds

    return read


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"{_show(value)} is none of {', '.join(words)}")
        return str(value)

    return read


def _show(value: object) -> str:
    from rrdns.zonefile.scalars import show

    return show(value)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _short(most: int) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = _text(value)
        if len(text.encode()) > most:
            raise ValueError(f"has {len(text.encode())} bytes, at most {most} are possible")
        return text

    return read


def _secrets(value: object) -> tuple[str, ...]:
    """Cookie secrets. No message shows one: it would be in the log."""
    found = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str) or len(item) != 32 or set(item) - set(string.hexdigits):
            raise ValueError("takes 32 hex digits in quotes, or a list of such (to make one: openssl rand -hex 16)")
        found.append(item.lower())
    if not found:
        raise ValueError("is empty; leave it out for a random secret")
    return tuple(found)


KEYS: Mapping[str, Callable[[object], object]] = {
    "zones": _text,
    "listen": _several(listen_address),
    "workers": _whole(0, MAX_WORKERS),
    "state": _text,
    "control": _text,
    "control_group": lambda value: group_name(_text(value)),
    "user": lambda value: user_name(_text(value)),
    "strict": _flag,
    "log_format": _one_of(*FORMATS),
    "log_level": _one_of(*LEVELS),
    "start_wait": _seconds(0, 300),
    "health_max_age": _seconds(0, 7 * 86400),
    "journal_age": _seconds(3600, 3650 * 86400),
    "journal_size": _size(1 << 20, 1 << 40),
    "stale": _one_of("serve", "servfail"),
    "max_stale": _seconds(1, 30 * 86400),
    "isolation_hold": _seconds(0, 3600),
    "witness": _several(_address),
    "udp_limit": _whole(512, 4096),
    "udp_ratio": _whole(0, 100),
    "udp_ratio_all": _flag,
    "nsid": _short(128),
    "cookies": _flag,
    "cookie_secret": _secrets,
    "cookie_required_udp": _flag,
    "ede": _flag,
    "version_text": _short(255),
    "hostname_text": _short(255),
    "tcp_connections": _whole(1, 65536),
    "tcp_per_client": _whole(1, 65536),
    "tcp_idle": _seconds(0.1, 3600),
    "rrl": _whole(0, 1_000_000),
    "rrl_slip": _whole(0, 100),
    "rrl_exempt": _several(_network),
    "resolvers": _several(resolver_address),
    "check_concurrency": _whole(1, 65536),
    "command_concurrency": _whole(1, 4096),
    "metrics_listen": _several(listen_address),
}
PATHS = ("zones", "state", "control")


# ---------------------------------------------------------------- the file


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says: only the keys it has. `path` is None where there is no file."""

    path: Path | None
    values: Mapping[str, Any]


def find(explicit: str | None) -> Path | None:
    """The file to read, if any."""
    if explicit:
        return Path(explicit)
    return next((Path(place) for place in PLACES if Path(place).is_file()), None)


def read(path: Path | None) -> Config:
    """The file's settings; ConfigError with every problem in it."""
    if path is None:
        return Config(None, {})
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    return Config(path, parse(str(path), data))


def parse(file: str, data: bytes) -> dict[str, Any]:
    """Values by key from YAML text; ConfigError lists `file:line:column: key: what is wrong`."""
    from rrdns.ui import sinks
    from rrdns.zonefile.complaints import Complaints, unknown_key
    from rrdns.zonefile.yaml_nodes import read as read_yaml

    if not any(line.strip() and not line.lstrip().startswith(b"#") for line in data.splitlines()):
        return {}  # all of it commented out: the defaults
    complaints = Complaints(file)
    values: dict[str, Any] = {}
    top = read_yaml(data, complaints)
    for key, value in (top or {}).items():
        if top is None or key.startswith("x-"):
            continue
        if key == "notify":
            values[key] = sinks.read(value, top.at(key), complaints, Path(file).parent)
            continue
        if key not in KEYS:
            complaints.problem(top.at_key(key), key, unknown_key(key.replace("-", "_"), [*KEYS, "notify"]))
            continue
        try:
            values[key] = KEYS[key](value)
        except ValueError as error:
            complaints.problem(top.at(key), key, str(error))
        else:
            if key in PATHS and not (key == "state" and value == "none"):
                values[key] = str(Path(file).parent / values[key])
    if complaints.failed:
        found = "\n".join(str(problem) for problem in complaints.sorted())
        raise ConfigError(f"the settings can't be used:\n{found}")
    return values


# ---------------------------------------------------------------- together with flags


def settings(args: argparse.Namespace) -> Settings:
    """Settings of `rrdns serve`: defaults, then the file, then the flags that were given. ConfigError if they clash."""
    config = read(find(args.config))
    given = {one.name: getattr(args, one.name, None) for one in fields(Settings)}
    flags = {name: value for name, value in given.items() if value is not None and value is not False}
    result = replace(Settings(), **{**config.values, **flags})
    result = replace(result, listen=tuple(result.listen))
    twice = {address for address in result.listen if result.listen.count(address) > 1 and address[1]}
    if twice:
        address, port = sorted(twice)[0]
        raise ConfigError(f"listen: {address} port {port} is given twice")
    if result.user and os.geteuid() != 0 and pwd.getpwnam(result.user).pw_uid != os.geteuid():
        raise ConfigError(f"user: only root can become {result.user}; start as root, or leave it out")
    return replace(result, control=result.control or default_control(), state=result.state or default_state())


def server_paths(args: argparse.Namespace) -> tuple[str, str, str]:
    """(control socket, state folder, default state folder) for a command that talks to a server.

    The socket: --control, else $RRDNS_CONTROL, else the settings file's, else the default. The state folder is empty
    unless it was named, and the default one is empty where a server was named: another server's board must not
    speak for it.
    """
    state = getattr(args, "state", None) or os.environ.get("RRDNS_STATE", "")
    control = args.control or os.environ.get("RRDNS_CONTROL", "")
    if control:
        return control, state, ""
    values = read(find(None)).values
    return str(values.get("control") or default_control()), str(state or values.get("state") or ""), default_state()
