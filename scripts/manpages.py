"""`manpages.py FOLDER`: writes the man pages, from the parser, packaging/rrdns.yaml and the schema."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rrdns import __version__, zonefile
from rrdns.ui.arguments import build

EXAMPLE = Path(__file__).parent.parent / "packaging" / "rrdns.yaml"
PAGES = {"rrdns.1": "rrdns", "rrdns.yaml.5": "rrdns.yaml", "rrdns-zones.5": "rrdns-zones"}
SEE = {"rrdns.1": "(1)", "rrdns.yaml.5": "(5)", "rrdns-zones.5": "(5)"}
Schema = Mapping[str, Any]

# ---------------------------------------------------------------- roff


def plain(text: str) -> str:
    """Text as it is: nothing in it is a request, an escape or a typographer's dash."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti").replace("±", "\\(+-")
    return re.sub(r"^\.", "\\\\&.", text, flags=re.MULTILINE)


def bold(text: str) -> str:
    return f"\\fB{plain(text)}\\fP"


def prose(text: str) -> list[str]:
    """Sentences for filling: `words` in backquotes are bold."""
    parts = re.split(r"`([^`]+)`", text.strip())
    line = "".join(bold(one) if at % 2 else plain(one) for at, one in enumerate(parts))
    return [re.sub(r"^(?=\.)", "\\\\&", one.strip()) for one in line.splitlines() if one.strip()]


def code(text: str) -> list[str]:
    return [".RS 4", ".sp", ".nf", *(plain(line) or "\\&" for line in text.rstrip("\n").split("\n")), ".fi", ".RE"]


def section(title: str) -> list[str]:
    return [f'.SH "{plain(title.upper())}"']


def item(tag: str, text: Iterable[str]) -> list[str]:
    return [".TP", tag, *(list(text) or ["\\&"])]


def today() -> str:
    """The day of the build, or the one that a reproducible build says (SOURCE_DATE_EPOCH)."""
    return time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))


def page(name: str, number: int, summary: str, body: Iterable[str]) -> str:
    head = [
        '.\\" Made by scripts/man. Do not edit.',
        f'.TH "{name.upper()}" "{number}" "{today()}" "rrdns {__version__}" "rrdns"',
        ".nh",
        ".ad l",
        *section("name"),
        f"{plain(name)} \\- {plain(summary)}",
    ]
    others = ", ".join(f"{bold(other)}{SEE[file]}" for file, other in PAGES.items() if other != name)
    return "\n".join([*head, *body, *section("see also"), others]) + "\n"


# ---------------------------------------------------------------- rrdns(1)


def commands() -> str:
    parser = build()
    chosen = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    summaries = {one.dest: one.help or "" for one in chosen._choices_actions}
    examples, *notes = (parser.epilog or "").split("\n\n")
    body = [*section("synopsis"), f"{bold('rrdns')} \\fICOMMAND\\fP [\\fIoption\\fP ...]", *section("description")]
    body += prose(parser.description or "")
    body += [".PP", *prose("Everything is decided when something changes; a query only takes the next ready answer.")]
    body += code(re.sub(r"^  ", "", examples.removeprefix("examples:\n"), flags=re.MULTILINE))
    body += section("commands")
    for name, one in chosen.choices.items():
        body += command(name, summaries[name], one)
    for note in notes:
        title, _, text = note.partition(":")
        body += [*section("exit status" if title == "exit codes" else title), *prose(text)]
    files = {
        "./rrdns.yaml, /etc/rrdns/rrdns.yaml": "settings of `rrdns serve`; the first that is there",
        "zones/": "what is served, unless `zones:` or an argument names another directory",
        "/run/rrdns/control.sock": "the control socket of a server started as root, or by the unit rrdns.service",
        "/var/lib/rrdns": "its state: health, overrides, events, the last good load",
    }
    body += section("files")
    for path, text in files.items():
        body += item(bold(path), prose(text))
    return page("rrdns", 1, "authoritative round-robin DNS server that knows which hosts are healthy", body)


def command(name: str, summary: str, parser: argparse.ArgumentParser) -> list[str]:
    body = [f'.SS "rrdns {plain(name)}: {plain(summary)}"', synopsis(name, parser), ".PP"]
    body += prose(parser.description or "")
    for action in parser._actions:
        if action.help is argparse.SUPPRESS or action.dest == "help":
            continue
        body += item(tag(action), prose((action.help or "").replace("%%", "%")))
    lines = (parser.epilog or "").removeprefix("examples:\n")
    return body + code(re.sub(r"^  ", "", lines, flags=re.MULTILINE))


def synopsis(name: str, parser: argparse.ArgumentParser) -> str:
    words = [bold(f"rrdns {name}")]
    if any(one.option_strings and one.dest != "help" for one in parser._actions):
        words.append("[\\fIoption\\fP ...]")
    for one in parser._actions:
        if not one.option_strings:
            word = f"\\fI{plain(placeholder(one))}\\fP"
            many = " ..." if one.nargs in ("+", "*") else ""
            words.append(f"[{word}{many}]" if one.nargs in ("?", "*") else word + many)
    return " ".join(words)


def placeholder(action: argparse.Action) -> str:
    if action.metavar:
        return str(action.metavar)
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def tag(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"\\fI{plain(placeholder(action))}\\fP"
    value = f" \\fI{plain(placeholder(action))}\\fP" if action.nargs != 0 else ""
    return ", ".join(bold(one) + value for one in action.option_strings)


# ---------------------------------------------------------------- rrdns.yaml(5)


def settings() -> str:
    """The comments of the example, key by key; a test holds that they are there and that the defaults are true."""
    head, *parts = re.split(r"^# -{20,} (.*)\n", EXAMPLE.read_text(), flags=re.MULTILINE)
    body = [*section("synopsis"), f"{bold('/etc/rrdns/rrdns.yaml')}, {bold('./rrdns.yaml')}", *section("description")]
    said = re.sub(r"^# ?", "", head, flags=re.MULTILINE).replace("see rrdns-zones(5)", "see `rrdns-zones`(5)")
    body += prose(re.sub(r"Every key is here,.*\n.*stands here\.\n", "", said))  # that is said of the example
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        body += section(title)
        for words, key, value in re.findall(r"((?:^# .*\n)+)^#(\w+): (.*)$", text, flags=re.MULTILINE):
            said = re.sub(r"^# ", "", words, flags=re.MULTILINE)
            shown = "Example" if "Default: " in said else "Default"
            body += item(bold(key), [*prose(said), ".br", f"{shown}: {bold(f'{key}: {value}')}"])
    example = "zones: /etc/rrdns/zones\nlisten: ['192.0.2.53:53', '[2001:db8::53]:53']\nstate: /var/lib/rrdns"
    return page("rrdns.yaml", 5, "settings of the rrdns server", [*body, *section("examples"), *code(example)])


# ---------------------------------------------------------------- rrdns-zones(5)

ZONES = """\
# zones/lb.example.com.yaml
'':
  - {type: NS, values: [ns1.lb.example.com., ns2.lb.example.com.]}
ns1: {type: A, value: 192.0.2.53}
ns2: {type: A, value: 198.51.100.53}
www: {type: POOL, pool: web, ttl: 20}
'*.dev': {type: CNAME, value: www.lb.example.com.}"""
POOLS = """\
# zones/pools.yaml
checks:
  web: {type: http, port: 8080, path: /healthz, interval: 5s}
pools:
  web:
    check: web
    members:
      web1: 192.0.2.11
      web2: {address: 192.0.2.12, weight: 20}"""


def zones() -> str:
    schema = zonefile.schema()
    pools, zone = schema["pools"], schema["zone"]
    body = [*section("description")]
    body += prose(
        "A directory of YAML files is what `rrdns serve` serves. It is loaded as a whole or not at all; `rrdns check` "
        "names every fault in it by file, line and column. Durations are written 5s, 500ms, 2m, or as seconds. "
        "The same in a form for editors: `rrdns schema`."
    )
    body += section("zone files")
    body += prose(f"The file's name is the zone's: lb.example.com.yaml. {zone['description']}")
    body += prose("A record has `type`, `ttl`, and `value` or `values`. Names in values end in a dot.")
    body += code(ZONES)
    for key, one in zone["properties"].items():
        body += item(bold(key), prose(described(one, zone)))
    types = [one.removesuffix("Record") for one in zone["$defs"] if one.endswith("Record")]
    words = ", ".join(one for one in types if one not in ("Pool", "Other"))
    body += [".PP", *prose(f"Types: {words}, POOL, and any other as TYPEnnn with the value \\# LENGTH HEX (RFC 3597).")]
    body += [".SS POOL", *prose("Its A and AAAA are the addresses of healthy members. Besides the keys of a pool,")]
    body += prose("which make a pool of its own, in place, it has:")
    inherited = pools["$defs"]["PoolModel"]["properties"]
    record = zone["$defs"]["PoolRecord"]
    body += keys({k: v for k, v in record["properties"].items() if k not in inherited and k != "octodns"}, record, zone)
    body += section("pools files")
    body += prose("pools.yaml, and any other file whose name ends in .pools.yaml.")
    body += code(POOLS)
    body += [*section("pools"), *keys(pools["$defs"]["PoolModel"]["properties"], pools["$defs"]["PoolModel"], pools)]
    for title, kind in (("members", "NamedMember"), ("checks", "Check"), ("directors", "Director")):
        body += section(title)
        body += list(shapes(pools, kind))
    return page("rrdns-zones", 5, "zone files and pools files of rrdns", body)


def shapes(pools: Schema, kind: str) -> Iterator[str]:
    """The definitions of one kind; keys that all of them have stand in front."""
    found = {name: one for name, one in pools["$defs"].items() if name.endswith(kind)}
    first, *rest = found.values()
    common = {k: v for k, v in first["properties"].items() if k != "type" and all(k in o["properties"] for o in rest)}
    if rest:
        yield from prose("All of them take:")
    yield from keys(common, first, pools)
    for one in found.values() if rest else ():
        types = one["properties"]["type"]
        words = types.get("enum") or [types["const"]]
        yield f'.SS "type: {plain(", ".join(words))}"'
        yield from prose(one.get("description", ""))
        yield from keys({k: v for k, v in one["properties"].items() if k not in common and k != "type"}, one, pools)


def keys(properties: Schema, owner: Schema, root: Schema) -> list[str]:
    lines: list[str] = []
    for key, one in properties.items():
        words = described(one, root)
        words += " Required." if key in owner.get("required", ()) else ""
        lines += item(bold(key), prose(words))
    return lines


def described(one: Schema, root: Schema) -> str:
    """`what it is. Type. Default: x.`"""
    said = [one["description"].rstrip(".") + "."] if "description" in one else []
    kind = kind_of(one, root)
    if kind:
        said.append(kind[0].upper() + kind[1:] + ".")
    if one.get("default") not in (None, "", [], {}):
        said.append(f"Default: `{shown(one['default'])}`.")
    return " ".join(said)


def shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join("-".join(map(str, one)) if isinstance(one, list | tuple) else str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def kind_of(one: Schema, root: Schema) -> str:
    """A few words for a JSON schema; mappings are described where they are defined."""
    if "$ref" in one:
        name = one["$ref"].rsplit("/", 1)[-1]
        return "a member" if name.endswith("Member") else kind_of(root["$defs"].get(name, {}), root)
    if "const" in one:
        return f"`{one['const']}`"
    if "enum" in one:
        return "one of " + ", ".join(f"`{word}`" for word in one["enum"])
    if "anyOf" in one or "oneOf" in one:
        words = [kind_of(each, root) for each in one.get("anyOf", one.get("oneOf", ()))]
        return ", or ".join(dict.fromkeys(word for word in words if word and word != "nothing"))
    kind = one.get("type")
    if isinstance(kind, list):
        return ", or ".join(kind_of({**one, "type": each}, root) for each in kind)
    bounds = [f"{one[key]}" for key in ("minimum", "maximum") if key in one]
    within = f" from {bounds[0]} to {bounds[1]}" if len(bounds) == 2 else f" from {bounds[0]}" if bounds else ""
    match kind:
        case "integer":
            return f"whole number{within}"
        case "number":
            return f"number{within}"
        case "boolean":
            return "true or false"
        case "string":
            return "text"
        case "null":
            return "nothing"
        case "array":
            inner = kind_of(one.get("items", {}), root) if isinstance(one.get("items"), Mapping) else ""
            inner = re.sub(r"a mapping \([^()]*\)", "such mappings", inner)
            return f"a list ({inner})" if inner else "a list"
        case "object":
            named = list(one.get("properties", ()))
            return f"a mapping ({', '.join(named)})" if named else "a mapping"
    return ""


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in (("rrdns.1", commands()), ("rrdns.yaml.5", settings()), ("rrdns-zones.5", zones())):
        (folder / file).write_text(text)
        print(folder / file)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
