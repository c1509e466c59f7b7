"""`rrdns completion bash|zsh`: the shell's script, made by shtab from the parser. The one place that imports shtab.

Names of members, pools and services are asked of the running server when Tab is pressed: by `--names`, which says
nothing at all where there is no server. What a word stands for is told by its placeholder in the help (MEMBER, ZONES).
Must not know: what commands do.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from rrdns.ui.arguments import SHELLS, build
from rrdns.ui.client import Client, Refused, Unreachable
from rrdns.ui.config import ConfigError, server_paths

KINDS = ("members", "pools", "services")
PATIENCE = 1.0  # nobody waits longer for Tab
MOST = 2000  # names, of a very large server

_PLACES = {"ZONES": "dir", "DIR": "dir", "FOLDER": "dir", "FILE": "file", "PATH": "file"}
_NAMES = {"MEMBER": "members", "POOL": "pools", "POOLS": "pools"}

# `compgen -W` splits and expands its words, so names are printed one a line and compared here.
_BASH = """\
_rrdns_names() {
  local name
  rrdns completion --names "$1" 2>/dev/null | while IFS= read -r name; do
    [[ $name == "$2"* ]] && printf '%s\\n' "$name"
  done
}
"""
_ZSH = """\
_rrdns_names() {
  local -a names
  names=("${(@f)$(rrdns completion --names $1 2>/dev/null)}")
  compadd -a names
}
"""


def run(args: argparse.Namespace) -> int:
    if args.names:
        for name in names(args.names):
            print(name)
        return 0
    if not args.shell:
        raise ConfigError(f"completion: for which shell? {' or '.join(SHELLS)}")
    print(script(args.shell))
    return 0


def script(shell: str) -> str:
    """What the shell is to source."""
    import shtab

    parser = build()
    for command, action in _actions(parser):
        kind = str(action.metavar or "")
        service = command == "explain" and kind == "NAME"
        if kind in _PLACES:
            completer: Mapping[str, str] = shtab.DIRECTORY if _PLACES[kind] == "dir" else shtab.FILE  # type: ignore[assignment]
        elif kind in _NAMES or service:
            what = "services" if service else _NAMES[kind]
            completer = dict.fromkeys(SHELLS, f"_rrdns_{what}")
        else:
            continue
        vars(action)["complete"] = completer
    return str(shtab.complete(parser, shell, preamble=_preamble()))


def _preamble() -> Any:
    """The functions by shell: one for each kind of name."""
    bash = "".join(f'_rrdns_{kind}() {{ _rrdns_names {kind} "$1"; }}\n' for kind in KINDS)
    zsh = "".join(f"_rrdns_{kind}() {{ _rrdns_names {kind} }}\n" for kind in KINDS)
    return {"bash": _BASH + bash, "zsh": _ZSH + zsh}


def _actions(parser: argparse.ArgumentParser, command: str = "") -> Iterator[tuple[str, argparse.Action]]:
    """Every argument, with the command it belongs to."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _actions(inner, name)
        else:
            yield command, action


# ---------------------------------------------------------------- names, from the running server


def names(kind: str) -> list[str]:
    """Sorted; nothing where no server answers, or its settings can't be read."""
    try:
        control, _, _ = server_paths(argparse.Namespace(control=None))
        status = Client(control, PATIENCE).get("/status")
    except (ConfigError, Unreachable, Refused):
        return []
    return sorted(set(_of(kind, status)))[:MOST]


def _of(kind: str, status: Mapping[str, Any]) -> Iterator[str]:
    if kind == "services":
        for name in status.get("services", {}):
            yield name.rstrip(".")
        return
    pools = status.get("pools", {})
    if kind == "pools":
        yield from pools
        return
    for pool, one in pools.items():
        for member in one.get("members", {}):
            yield member
            yield f"{pool}/{member}"
