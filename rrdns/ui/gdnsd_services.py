"""gdnsd's service_types -> our checks. Pure. Must not know: resources, files.

gdnsd probes at the same pace whether a host is well or failing, so `fast` is the interval: with it a host leaves and
returns after as many probes and as many seconds as before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rrdns.ui.gdnsd_config import ConfigFault, Node

MOST_COUNT = 100
GENERIC = {"up_thresh": 20, "ok_thresh": 10, "down_thresh": 10, "interval": 10, "timeout": 0}
_OWN = {
    "tcp_connect": {"port"},
    "http_status": {"port", "url_path", "vhost", "ok_codes"},
    "extmon": {"cmd", "direct", "max_proc"},
    "static": {"state", "ttl"},
    "null": set(),
    "extfile": {"file", "direct", "def_down"},
}

Note = Callable[[str, str], None]


def check_of(name: str, services: Mapping[str, Node], note: Note) -> dict[str, Any] | None:
    """The check, or None where hosts are up without one. ConfigFault where gdnsd would complain too."""
    if name == "down" and name not in services:
        text = "hosts that are always down have no counterpart: they are not checked, so they are up"
        note("service_types", f"down: {text}")
        return None
    if name not in services:
        raise ConfigFault(f"service_types: there is no service type {name!r}")
    node = services[name]
    body = node.hash
    if "plugin" not in body:
        raise ConfigFault(f"{node.where}: the service type {name} has no plugin")
    plugin = body["plugin"].text
    if plugin not in _OWN:
        raise ConfigFault(f"{body['plugin'].where}: there is no monitoring plugin {plugin!r}")
    for key in body.keys() - GENERIC.keys() - _OWN[plugin] - {"plugin"}:
        raise ConfigFault(f"{body[key].where}: {plugin} has no parameter {key!r}")
    if plugin in ("static", "null", "extfile"):
        _question(name, plugin, node, note)
        return None
    check = {"tcp_connect": _tcp, "http_status": _http, "extmon": _command}[plugin](name, node)
    return {**check, **_pace(name, node, note)}


def _question(name: str, plugin: str, node: Node, note: Note) -> None:
    if plugin == "static" and node.hash.get("state") and node.hash["state"].text.upper() == "UP":
        return
    what = {
        "extfile": "states in a file: make it a director (type: file reads gdnsd's extfile lines)",
        "null": "always down",
        "static": "a state that never changes",
    }[plugin]
    text = f"the service type {name} ({plugin}) has no counterpart, {what}"
    note(node.where, f"{text}: its hosts are not checked, so they are up")


def _tcp(name: str, node: Node) -> dict[str, Any]:
    if "port" not in node.hash:
        raise ConfigFault(f"{node.where}: the service type {name} has no port")
    return {"type": "tcp", "port": _whole(node.hash["port"], 1, 65535)}


def _http(name: str, node: Node) -> dict[str, Any]:
    body = node.hash
    check: dict[str, Any] = {"type": "http", "port": _whole(body["port"], 1, 65535) if "port" in body else 80}
    if "url_path" in body:
        check["path"] = body["url_path"].text
    if "vhost" in body:
        check["host"] = body["vhost"].text
    codes = [_whole(one, 100, 599) for one in body["ok_codes"].items] if "ok_codes" in body else [200]
    check["status"] = codes[0] if len(codes) == 1 else codes
    return check


def _command(name: str, node: Node) -> dict[str, Any]:
    if "cmd" not in node.hash:
        raise ConfigFault(f"{node.where}: the service type {name} has no cmd")
    words = [one.text.replace("%%ITEM%%", "{address}") for one in node.hash["cmd"].items]
    return {"type": "command", "command": words}


def _pace(name: str, node: Node, note: Note) -> dict[str, Any]:
    body = node.hash
    got = {key: _whole(body[key], 1, 65535) if key in body else default for key, default in GENERIC.items()}
    if "direct" in body and body["direct"].text.lower() == "true":
        got.update(up_thresh=1, ok_thresh=1, down_thresh=1)
    for key in ("up_thresh", "ok_thresh", "down_thresh"):
        if got[key] > MOST_COUNT:
            note(node.where, f"{name}: {key} is {got[key]}, at most {MOST_COUNT} are counted here")
            got[key] = MOST_COUNT
    interval, timeout = got["interval"], got["timeout"] or got["interval"] / 2
    return {
        "interval": f"{interval}s",
        "timeout": f"{timeout:g}s",
        "fall": got["down_thresh"],
        "rise": got["up_thresh"],
        "ok": got["ok_thresh"],
        "fast": f"{interval}s",
    }


def _whole(node: Node, low: int, high: int) -> int:
    text = node.text
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise ConfigFault(f"{node.where}: {text!r} is not a whole number between {low} and {high}")
    return int(text)
