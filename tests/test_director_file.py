"""The table others write, by file, HTTP and command: each shape, what is wrong with a shape, and change noticed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import live
import pytest
import real_directors as real
from director_input import HTML, cut, refused, tried
from hypothesis import given
from hypothesis import strategies as st

from rrdns.directors.file import parse
from rrdns.model import Director, DirectorTable, Report

YAML = b"""\
master: true
parts:                            # by the name that pools follow
  web:
    - {name: web1, address: 192.0.2.11, port: 80, state: up, weight: 10, connections: 3, idle: 1, total: 4711}
    - {name: web2, address: "2001:DB8::12", state: drain, why: kernel update, backup: true}
  mail: {mx1: up, 192.0.2.25: down}
"""
JSON = json.dumps(
    {
        "master": True,
        "parts": {
            "web": [
                {
                    "name": "web1",
                    "address": "192.0.2.11",
                    "port": 80,
                    "state": "up",
                    "weight": 10,
                    "connections": 3,
                    "idle": 1,
                    "total": 4711,
                },
                {"name": "web2", "address": "2001:db8::12", "state": "drain", "why": "kernel update", "backup": True},
            ],
            "mail": {"mx1": "up", "192.0.2.25": "down"},
        },
    },
    indent=1,
).encode()
WHOLE = DirectorTable(
    {
        "web": (
            Report("web1", "192.0.2.11", 80, "up", "", 10, 3, 1, 4711),
            Report("web2", "2001:db8::12", 0, "drain", "kernel update", backup=True),
        ),
        "mail": (Report("mx1", "", 0, "up"), Report("", "192.0.2.25", 0, "down")),
    },
    True,
)
EXTFILE = b"""\
# written by our own probe
192.0.2.11 => UP/300
"2001:db8::12" => down   # a comment
web/web3 => DOWN/0
lb01.example.com. => up
"""
FLAT = (Report("web1", "", 0, "up"), Report("", "192.0.2.12", 0, "drain"), Report("", "192.0.2.13", 8080, "down"))


@pytest.mark.parametrize("data", [YAML, JSON, b"\xef\xbb\xbf" + YAML], ids=["yaml", "json", "bom"])
def test_the_whole_shape(data: bytes) -> None:
    assert parse(data) == WHOLE


def test_lines_of_gdnsds_extfile() -> None:
    assert parse(EXTFILE).parts == {
        "": (
            Report("", "192.0.2.11", 0, "up"),
            Report("", "2001:db8::12", 0, "down"),
            Report("lb01.example.com.", "", 0, "up"),
        ),
        "web": (Report("web3", "", 0, "down"),),
    }


@pytest.mark.parametrize(
    "data",
    [
        b"web1: up\n192.0.2.12: Drain\n192.0.2.13:8080: down\n",
        b'{"web1": "up", "192.0.2.12": "drain", "192.0.2.13:8080": "down"}',
        b"{web1: up, 192.0.2.12: drain, '192.0.2.13:8080': down}",
        b"servers:\n- {name: web1, state: up}\n- {address: 192.0.2.12, state: draining}\n"
        b"- {address: 192.0.2.13, port: 8080, state: failed}\n",
    ],
    ids=["lines", "json", "flow", "servers"],
)
def test_a_table_with_one_part(data: bytes) -> None:
    assert parse(data).parts == {"": FLAT}


def test_no_and_on_are_names() -> None:
    assert [report.server for report in parse(b"no: up\non: down\n010: up\n").parts[""]] == ["no", "on", "010"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"# nothing\n", "nothing but blank lines"),
        (HTML, "502 Bad Gateway"),
        (b"[1, 2]", "servers: [...]"),
        (b"- web1\n", "not a mapping"),
        (b"{}", "no server"),
        (b"servers: []\n", "no server"),
        (b"parts: {}\n", "no server"),
        (b"web1: upp\n", "did you mean 'up'"),
        (b"web1: [up]\n", "none of up, down"),
        (b"web1: up\nweb1: down\n", "already"),
        (b'{"web1": "up", "web1": "down"}', "stands twice"),
        (b"servers: [web1]\n", "is not a server"),
        (b"servers: [{name: web1}]\n", "no state"),
        (b"servers: [{state: up}]\n", "neither name nor address"),
        (b"servers: [{name: web1, state: up, wieght: 3}]\n", "did you mean 'weight'"),
        (b"servers: [{name: web1, state: up, backup: maybe}]\n", "neither true nor false"),
        (b"servers: [{name: [a], state: up}]\n", "name is not a text"),
        (b"servers: []\nparts: {}\n", "both"),
        (b"servers: []\nmaster: perhaps\n", "neither true nor false"),
        (b"parts: {web: up}\n", "neither a list"),
        (b"parts: {}\nmasterr: true\n", "did you mean 'master'"),
        (b"192.0.2.1 => UP\nweb1: down\n", ":2:"),
        (b"192.0.2.1 => SLEEPY\n", "SLEEPY"),
        (b"web/ => UP\n", "without a name"),
        (b"'': up\n", "without a name"),
        (b"192.0.2.1 => UP\n192.0.2.2 => DO", "did you mean 'down'"),
        (b"web1: up\n" + b"# filled up\n" * 100_000, "write JSON"),
        (b'{"servers": [{"name": "web1",', "cut off"),
        (b"a: &a [*a]\n", "alias"),
        (b"\x00\x01", "table"),
    ],
)
def test_what_is_no_table_is_a_fault(data: bytes, words: str) -> None:
    assert words in refused(parse, data)


@pytest.mark.parametrize(
    ("row", "words", "report"),
    [
        ("name: a, weight: -3", "weight '-3'", Report("a", "", 0, "up")),
        ("name: a, weight: 1.5", "weight '1.5'", Report("a", "", 0, "up")),
        ("name: a, port: 70000", "port '70000'", Report("a", "", 0, "up")),
        ("name: a, total: many", "total 'many'", Report("a", "", 0, "up")),
        ("address: web1.example", "goes into `name`", Report("web1.example", "", 0, "up")),
        ("name: a, address: 192.0.2.300, weight: 3", "is no IP address", Report("a", "", 0, "up", weight=3)),
    ],
)
def test_a_value_that_is_none_is_its_row_s_trouble_alone(row: str, words: str, report: Report) -> None:
    rows = parse(f"servers: [{{{row}, state: up}}, {{name: b, state: up, weight: 7}}]\n".encode()).parts[""]
    assert words in rows[0].why
    assert [replace(rows[0], why=""), rows[1]] == [report, Report("b", "", 0, "up", weight=7)]


def test_json_that_is_cut_off_is_refused() -> None:
    for data in cut(JSON):
        assert tried(parse, data) is None


_INNER = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["up", "drain"])
)
_NAMES = st.sampled_from(["servers", "parts", "master", "name", "address", "state", "weight", "port"]) | st.text(
    max_size=5
)
_VALUES = st.recursive(_INNER, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4))


@given(_VALUES)
def test_any_json(value: Any) -> None:
    tried(parse, json.dumps(value).encode())


# ---------------------------------------------------------------- files


def written(path: Path, text: str) -> None:
    """Renamed into place, as the docs say."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


async def test_a_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    director = Director("ours", "file", path=str(path))
    assert "No such file" in await real.reason(director)
    written(path, "web1: up\n")
    assert (await real.servers(director, ""))["web1"].word == "up"
    written(path, "web1: dn\n")
    assert "'dn'" in await real.reason(director)
    written(path, "web1: up\nweb2: maint\n")
    assert (await real.servers(director, ""))["web2"].word == "maint"
    path.unlink()
    assert "No such file" in await real.reason(director)


async def test_the_same_content_is_not_parsed_again(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    director = Director("ours", "file", path=str(path))
    written(path, "web1: up\n")
    first = await real.table(director)
    assert await real.table(director) is first
    written(path, "web1: down\n")
    assert await real.table(director) is not first


async def test_a_change_that_leaves_size_and_time_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    director = Director("ours", "file", path=str(path))
    path.write_text("web1: down \n")
    before = path.stat()
    assert (await real.servers(director, ""))["web1"].word == "down"
    path.write_text("web1: drain\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await real.servers(director, ""))["web1"].word == "drain"


@pytest.mark.parametrize("kind", ["folder", "fifo"])
async def test_what_is_no_file_is_a_fault(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "table"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert "cannot read" in await real.reason(Director("ours", "file", path=str(path)))


# ---------------------------------------------------------------- HTTP

SERVER = """
import http.server, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        label, _, body = pathlib.Path(self.path.lstrip("/")).read_bytes().partition(b"\\n")
        self.send_response(200)
        self.send_header("Content-Type", label.decode())
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


async def test_a_real_web_server() -> None:
    port = live.free_port("127.0.0.1")
    at = f"http://127.0.0.1:{port}"
    files = {
        "table": "application/json; charset=utf-8\n" + JSON.decode(),
        "odd": "application/octet-stream\n" + YAML.decode(),
        "page": "text/html\n<p>please log in</p>",
    }
    with real.program(sys.executable, "-c", SERVER, str(port), files=files, ready=f"{at}/table") as program:
        director = Director("ours", "http", url=f"{at}/table?token=secret", timeout=10)
        director_of = {name: Director("ours", "http", url=f"{at}/{name}", timeout=10) for name in files}
        assert await real.table(director_of["table"]) == WHOLE
        assert await real.table(director_of["odd"]) == WHOLE
        said = await real.reason(director_of["page"])
        assert "HTML" in said and at in said
        written(program.folder / "table", "application/json\n{}")
        assert "secret" not in await real.reason(director)
        written(program.folder / "table", 'text/plain\n{"servers": [{"name": "web1", "state": "drain", "weight": 3}]}')
        web1 = (await real.servers(director_of["table"], ""))["web1"]
        assert (web1.word, web1.weight) == ("drain", 3)


# ---------------------------------------------------------------- commands


def program(code: str) -> Director:
    return Director("ours", "command", command=(sys.executable, "-c", code), timeout=20)


async def test_a_command() -> None:
    found = await real.servers(program("print('web1: up'); print('web2: down')"), "")
    assert {name: report.word for name, report in found.items()} == {"web1": "up", "web2": "down"}


async def test_a_large_table_is_read_beside_the_loop() -> None:
    """And what is wrong with it is still a Fault."""
    lines = "print(''.join(f'web{n}: up\\n' for n in range(3000)))"
    assert len(await real.servers(program(lines), "")) == 3000
    assert "none of up" in await real.reason(program(lines + "; print('last: hm')"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('web1: up'); sys.exit('no route to the box')", "no route to the box"),
        ("print()", "empty"),
        ("print('web1: who knows')", "none of up"),
    ],
)
async def test_a_command_that_fails(code: str, words: str) -> None:
    assert words in await real.reason(program(code))
