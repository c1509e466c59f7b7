"""docs/directors.md: its YAML loads, its tables are read, every type is there, and its LocalDirector script works."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import real_directors as real
from director_input import sample

from rrdns import zonefile
from rrdns.directors.file import parse
from rrdns.directors.readers import READERS
from rrdns.model import Director

DOCS = Path(__file__).parent.parent / "docs" / "directors.md"
TEXT = DOCS.read_text()
ZONE = b"'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 192.0.2.53}\n"


def blocks(language: str) -> list[str]:
    found: list[tuple[str, str]] = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", TEXT)
    return [text for kind, text in found if kind == language]


OURS = [block for block in blocks("yaml") if block.startswith("directors:")]


@pytest.mark.parametrize("block", OURS, ids=range(len(OURS)))
def test_the_files_load(block: str) -> None:
    loaded = zonefile.load({"zones/lb.example.com.yaml": ZONE, "zones/pools.yaml": block.encode()})
    assert loaded.dataset is not None, "\n".join(map(str, loaded.problems))


def test_every_type_has_its_section_and_its_example() -> None:
    headings = " ".join(re.findall(r"(?m)^## (.*)$", TEXT))
    for kind in READERS:
        assert re.search(rf"\b{kind}\b", headings), kind
        assert f"type: {kind}" in "".join(OURS), kind
        assert f"| [`{kind}`](#" in TEXT, kind


def test_links_lead_to_a_heading() -> None:
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.*)$", TEXT)}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= anchors


def test_the_tables_of_our_own_are_read() -> None:
    (table,) = (block for block in blocks("yaml") if block.startswith("master:"))
    assert sorted(parse(table.encode()).parts) == ["mail", "web"]
    assert len(parse(blocks("json")[0].encode()).parts[""]) == 2
    (lines,) = (block for block in blocks("") if "=>" in block)
    assert sorted(parse(lines.encode()).parts) == ["", "web"]


# ---------------------------------------------------------------- the LocalDirector script


@pytest.fixture
def box() -> Iterator[tuple[int, list[bytes]]]:
    """A telnet server that talks like such a box: its port, and the lines that were typed."""
    listener = socket.create_server(("127.0.0.1", 0))
    typed: list[bytes] = []

    def talk() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as stream:
            connection.sendall(b"\xff\xfb\x01\xff\xfd\x1f\r\nUser Access Verification\r\n\r\nPassword: ")
            for answer in (b"\r\nlocaldirector> ", sample("localdirector/show-real.txt") + b"localdirector> "):
                typed.append(stream.readline())
                if b"wrong" in typed[-1]:
                    connection.sendall(b"\r\n% Bad password\r\n")
                    return
                half = len(answer) // 2
                connection.sendall(answer[:half])
                connection.sendall(answer[half:])
            stream.read()

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    yield listener.getsockname()[1], typed
    listener.close()
    thread.join(10)


def director(folder: Path, port: int, password: str) -> Director:
    script, secret = folder / "localdirector", folder / "password"
    script.write_text(blocks("python")[0])
    secret.write_text(password + "\n")
    return Director(
        "box", "command", command=(sys.executable, str(script), f"127.0.0.1:{port}", str(secret)), timeout=30
    )


async def test_the_script_reads_a_localdirector(tmp_path: Path, box: tuple[int, list[bytes]]) -> None:
    port, typed = box
    parts = (await real.table(director(tmp_path, port, "secret"))).parts
    assert [(one.address, one.port, one.word, one.active) for one in parts[""]] == [
        ("192.168.1.11", 80, "up", 120),
        ("192.168.1.12", 80, "maint", 3),
        ("192.168.1.13", 80, "down", 0),
        ("192.168.1.14", 0, "up", 0),
    ]
    assert b"\xff\xfe\x01" in typed[0] and b"\xff\xfc\x1f" in typed[0], "offers are refused"
    assert typed[0].endswith(b"secret\r\n")
    assert typed[1] == b"show real\r\n"


async def test_the_script_says_why_not(tmp_path: Path, box: tuple[int, list[bytes]]) -> None:
    said = await real.reason(director(tmp_path, box[0], "wrong"))
    assert "hung up" in said
