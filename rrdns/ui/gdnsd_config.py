"""gdnsd's configuration language (vscf): text -> nodes that know file and line. Small and strict.

    hash    { key => value, key = value ... }   the top level of a file needs no braces
    array   [ value, value ... ]                commas may be left out
    text    bare or "quoted"; \\X is X, \\DDD the byte of that number
    $include{path}                              as a value: one file; among a hash's keys: its keys are merged in

Comments begin with # or ;. What the manual of gdnsd 3 does not allow is a ConfigFault with its place.
Must not know: what the keys mean.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAX_DEPTH = 32  # of nesting, and of files that include each other

_TOKEN = re.compile(
    rb"""(?P<blank>(?:[\s]|[#;][^\n]*)+)
    |(?P<include>\$include\{\s*(?P<path>"(?:[^"\\]|\\.)*"|(?:[^\]\[}{;\#,"=\\\s]|\\.)+)\s*\})
    |(?P<arrow>=>?)|(?P<mark>[\[\]{},])
    |(?P<quoted>"(?:[^"\\]|\\.)*")
    |(?P<bare>(?:[^\]\[}{;\#,"=\\\s$]|\\.)(?:[^\]\[}{;\#,"=\\\s]|\\.)*)""",
    re.VERBOSE | re.DOTALL,
)


class ConfigFault(Exception):
    """The configuration can't be read; the text begins with file and line."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a text, a list of nodes or a mapping by key. `where` is `file:line`."""

    where: str
    value: str | list[Node] | dict[str, Node]

    @property
    def text(self) -> str:
        """A text; ConfigFault for anything else."""
        if isinstance(self.value, str):
            return self.value
        raise ConfigFault(f"{self.where}: a single value is wanted here, not {self.kind}")

    @property
    def hash(self) -> dict[str, Node]:
        if isinstance(self.value, dict):
            return self.value
        raise ConfigFault(f"{self.where}: a hash ({{ key => value }}) is wanted here, not {self.kind}")

    @property
    def items(self) -> list[Node]:
        """An array; gdnsd takes a single value for an array of it."""
        if isinstance(self.value, list):
            return self.value
        if isinstance(self.value, str):
            return [self]
        raise ConfigFault(f"{self.where}: a list is wanted here, not {self.kind}")

    @property
    def kind(self) -> str:
        return {str: "a single value", list: "an array", dict: "a hash"}[type(self.value)]


def read(path: Path) -> Node:
    """The main file: a hash."""
    node = _read(path, ())
    node.hash  # noqa: B018  the manual: an array is legal only in files that are included
    return node


def _read(path: Path, above: tuple[Path, ...]) -> Node:
    if path.resolve() in above or len(above) > MAX_DEPTH:
        raise ConfigFault(f"{path}:1: $include leads in a circle")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigFault(f"{path}: can't be read: {error.strerror}") from error
    return _Parser(path, list(_tokens(path, data)), (*above, path.resolve())).file()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def _tokens(path: Path, data: bytes) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(data):
        found = _TOKEN.match(data, at)
        if found is None:
            raise ConfigFault(f"{path}:{line}: {_odd(data[at : at + 1])}")
        kind = str(found.lastgroup if found.lastgroup != "path" else "include")
        if found["include"]:
            kind = "include"
        if kind != "blank":
            raw = found["path"] if kind == "include" else found[0]
            yield _Token(kind, raw.decode() if kind in ("mark", "arrow") else _unescape(path, line, raw), line)
        line += found[0].count(b"\n")
        at = found.end()


def _odd(byte: bytes) -> str:
    if byte == b'"':
        return 'a text that begins with " does not end'
    if byte == b"$":
        return "a bare text can't begin with $ (there is $include{file} and nothing else)"
    return f"{byte.decode('latin-1')!r} can't stand here"


def _unescape(path: Path, line: int, raw: bytes) -> str:
    if raw[:1] == b'"':
        raw = raw[1:-1]

    def byte(found: re.Match[bytes]) -> bytes:
        if len(found[1]) == 3 and int(found[1]) > 255:
            raise ConfigFault(f"{path}:{line}: \\{found[1].decode()} is no byte: at most \\255")
        if found[1].isdigit() and len(found[1]) < 3:
            raise ConfigFault(f"{path}:{line}: after \\ stands one character, or three digits")
        return bytes([int(found[1])]) if len(found[1]) == 3 else found[1]

    return re.sub(rb"\\([0-9]{1,3}|.)", byte, raw, flags=re.DOTALL).decode("utf-8", "surrogateescape")


@dataclass(slots=True)
class _Parser:
    path: Path
    tokens: list[_Token]
    files: tuple[Path, ...]
    at: int = 0
    depth: int = field(default=0)

    def file(self) -> Node:
        if self.tokens and self.tokens[0].text == "[" and self.tokens[0].kind == "mark":
            node = self.value()
            if self.peek():
                raise self.fault("nothing may follow the array that a file is")
            return node
        return Node(f"{self.path}:1", self.pairs(end=""))

    def peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self) -> _Token:
        token = self.peek()
        if token is None:
            raise self.fault("the file ends in the middle: a } or ] is missing")
        self.at += 1
        return token

    def fault(self, text: str, token: _Token | None = None) -> ConfigFault:
        token = token or self.peek() or (self.tokens[-1] if self.tokens else None)
        return ConfigFault(f"{self.path}:{token.line if token else 1}: {text}")

    def value(self) -> Node:
        token = self.take()
        where = f"{self.path}:{token.line}"
        if token.kind in ("bare", "quoted"):
            return Node(where, token.text)
        if token.kind == "include":
            files = self.included(token)
            if len(files) != 1:
                raise self.fault(f"$include{{{token.text}}}: as a value it must be one file, not {len(files)}", token)
            return _read(files[0], self.files)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fault("nested too deeply", token)
        if token.text == "{":
            node = Node(where, self.pairs(end="}"))
        elif token.text == "[":
            node = Node(where, self.array())
        else:
            raise self.fault(f"{token.text!r} where a value should stand", token)
        self.depth -= 1
        return node

    def array(self) -> list[Node]:
        found: list[Node] = []
        while True:
            token = self.peek()
            if token and token.kind == "mark" and token.text == "]":
                self.take()
                return found
            found.append(self.value())
            self.comma()

    def pairs(self, end: str) -> dict[str, Node]:
        found: dict[str, Node] = {}
        while True:
            token = self.peek()
            if token is None and not end:
                return found
            token = self.take()
            if token.kind == "mark" and token.text == end:
                return found
            if token.kind == "include":
                for key, node in self.merged(token):
                    self.put(found, key, node, token)
            elif token.kind in ("bare", "quoted"):
                arrow = self.take()
                if arrow.kind != "arrow":
                    raise self.fault(f"after the key {token.text!r} stands => or =, not {arrow.text!r}", arrow)
                self.put(found, token.text, self.value(), token)
            else:
                raise self.fault(f"{token.text!r} where a key should stand", token)
            self.comma()

    def put(self, found: dict[str, Node], key: str, node: Node, token: _Token) -> None:
        if key in found:
            raise self.fault(
                f"the key {key!r} stands here for the second time, the first is at {found[key].where}", token
            )
        found[key] = node

    def comma(self) -> None:
        token = self.peek()
        if token and token.kind == "mark" and token.text == ",":
            self.at += 1

    def merged(self, token: _Token) -> Iterator[tuple[str, Node]]:
        for file in self.included(token):
            yield from _read(file, self.files).hash.items()

    def included(self, token: _Token) -> list[Path]:
        """The files of a path, which is a file, a folder (all in it) or a pattern (at least one)."""
        path = self.path.parent / token.text
        if path.is_dir():
            return sorted(one for one in path.iterdir() if one.is_file() and one.name[:1] != ".")
        files = [Path(one) for one in sorted(glob.glob(str(path)))]  # noqa: PTH207  (the pattern may be absolute)
        if not files:
            raise self.fault(f"$include{{{token.text}}}: there is no such file", token)
        return files
