"""mod_jk's status: captured in both formats, broken, and a real Apache changed by its own commands."""

from __future__ import annotations

import socket
import threading

import live
import pytest
import real_directors as real
from director_input import HTML, cut, refused, sample, tried
from real_apache import apache

from rrdns.directors.mod_jk import parse
from rrdns.model import Director, Report

XML = sample("mod_jk/status.xml")
PROP = sample("mod_jk/status.prop")


@pytest.mark.parametrize("data", [XML, PROP], ids=["xml", "prop"])
def test_the_captured_status(data: bytes) -> None:
    parts = parse(data).parts
    assert parts == {
        "lb": (
            Report("node1", "127.0.0.1", 28009, "down", "ACT ERR", 1, 0, None, 4),
            Report("node2", "127.0.0.1", 28010, "drain", "DIS OK/IDLE", 2, 0, None, 0),
            Report("node3", "127.0.0.1", 28011, "maint", "STP OK/IDLE", 3, 0, None, 0),
        )
    }


@pytest.mark.parametrize(
    ("activation", "state", "word"),
    [
        ("ACT", "OK", "up"),
        ("ACT", "OK/IDLE", "up"),
        ("ACT", "OK/BSY", "up"),
        ("ACT", "ERR/REC", "down"),
        ("ACT", "ERR/FRC", "down"),
        ("ACT", "ERR/PRB", "down"),
        ("DIS", "OK", "drain"),
        ("DIS", "ERR", "down"),
        ("STP", "OK", "maint"),
        ("STP", "ERR", "maint"),
    ],
)
def test_the_words(activation: str, state: str, word: str) -> None:
    data = XML.replace(b'activation="ACT"', f'activation="{activation}"'.encode())
    data = data.replace(b'state="ERR"', f'state="{state}"'.encode())
    assert parse(data).parts["lb"][0].word == word


def test_a_disabled_member_that_another_redirects_to_is_a_hot_standby() -> None:
    data = XML.replace(b'redirect=""', b'redirect="node2"', 1)
    node2 = parse(data).parts["lb"][1]
    assert (node2.word, node2.backup) == ("up", True)


def test_a_greater_distance_is_a_backup() -> None:
    data = XML.replace(b'distance="0"', b'distance="1"', 1)
    assert [report.backup for report in parse(data).parts["lb"]] == [True, False, False]


def test_a_member_whose_host_was_resolved_has_that_address() -> None:
    data = XML.replace(b'host="127.0.0.1"', b'host="node1.example"')
    assert parse(data).parts["lb"][0].address == "127.0.0.1"
    data = data.replace(b'address="127.0.0.1:28009"', b'address="undefined"')
    assert parse(data).parts["lb"][0].address == ""


def test_a_member_of_two_balancers_counts_for_each() -> None:
    """Its lines have the same keys twice."""
    again = PROP.split(b"worker.list=lb\n", 1)[1].split(b"worker.result")[0].replace(b"worker.lb.", b"worker.other.")
    again = again.replace(b"worker.node1.state=ERR", b"worker.node1.state=OK")
    parts = parse(PROP.replace(b"worker.result.type", again + b"worker.result.type")).parts
    assert [report.word for report in parts["lb"]] == ["down", "drain", "maint"]
    assert [report.word for report in parts["other"]] == ["up", "drain", "maint"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (HTML, "502 Bad Gateway"),
        (HTML.removeprefix(b"<!DOCTYPE html>\n"), "502 Bad Gateway"),
        (sample("mod_jk/status.txt"), "mime=xml"),
        (sample("mod_jk/status.json"), "Invalid mime type."),
        (XML.replace(b'type="OK"', b'type="ERROR"'), "ERROR"),
        (XML.replace(b'state="ERR"', b'state="NEW"'), "NEW"),
        (XML.replace(b'activation="ACT"', b'activation="???"'), "???"),
        (XML.replace(b'member_count="3"', b'member_count="4"'), "4 members are announced"),
        (XML.replace(b'busy="0"', b'busy="x"'), "busy"),
        (XML.replace(b'lbfactor="1"', b""), "lbfactor"),
        (XML.replace(b"jk:balancers", b"jk:nothing"), "no worker of type lb"),
        (b"<a/>", "something else"),
    ],
)
def test_what_is_no_status_is_a_fault(data: bytes, words: str) -> None:
    assert words in refused(parse, data)


@pytest.mark.parametrize("data", [XML, PROP], ids=["xml", "prop"])
def test_a_status_that_is_cut_off_is_refused_or_whole(data: bytes) -> None:
    whole = parse(data)
    for part in cut(data):
        assert tried(parse, part) in (None, whole)
    assert tried(parse, data[: len(data) - 60]) is None


# ---------------------------------------------------------------- the real one

LINES = """
JkWorkersFile {folder}/workers.properties
JkShmFile {folder}/jk.shm
JkLogFile {folder}/jk.log
JkMount /app/* lb
JkMount /jkstatus status
"""


def workers(one: tuple[str, int], two: tuple[str, int], more: str = "") -> str:
    """workers.properties of a balancer over two nodes, each a host and a port."""
    return f"""
worker.list=lb,status
{more}
worker.status.type=status
worker.lb.type=lb
worker.lb.balance_workers=node1,node2
worker.lb.recover_time=1
worker.lb.error_escalation_time=0
worker.node1.type=ajp13
worker.node1.host={one[0]}
worker.node1.port={one[1]}
worker.node1.lbfactor=4
worker.node1.ping_mode=A
worker.node2.type=ajp13
worker.node2.host={two[0]}
worker.node2.port={two[1]}
worker.node2.ping_mode=A
"""


# AJP13: CPong; a response of 200 "OK" without headers; the end of the response.
_PONG = b"AB\x00\x01\x09"
_ANSWER = b"AB\x00\x0a\x04\x00\xc8\x00\x02OK\x00\x00\x00" + b"AB\x00\x02\x05\x01"


class Ajp:
    """As much of Tomcat as mod_jk needs to find it well: pings are answered, and each request with 200."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while len(head := stream.read(4)) == 4:
                    body = stream.read(int.from_bytes(head[2:], "big"))
                    connection.sendall(_PONG if body[:1] == b"\x0a" else _ANSWER)
            except OSError:
                pass  # the other side is done

    def end(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(10)


@pytest.mark.parametrize("mime", ["", "?mime=prop"])
async def test_a_real_mod_jk(mime: str) -> None:
    nodes = [Ajp(), Ajp()]
    try:
        port = live.free_port("127.0.0.1")
        page = f"http://127.0.0.1:{port}/jkstatus"
        properties = workers(("127.0.0.1", nodes[0].port), ("localhost", nodes[1].port))
        director = Director("lb", "mod_jk", url=page + mime, timeout=10)
        with apache(port, LINES, "jk", workers_properties=properties) as program:
            found = await real.servers(director, "lb")
            assert set(found) == {"node1", "node2"}
            assert (found["node1"].address, found["node1"].port, found["node1"].weight) == (
                "127.0.0.1",
                nodes[0].port,
                4,
            )
            assert found["node2"].address == "127.0.0.1", "mod_jk resolves localhost"
            assert {report.word for report in found.values()} == {"up"}

            for activation, word in ((1, "drain"), (2, "maint"), (0, "up")):
                real.get(f"{page}?cmd=update&from=list&w=lb&sw=node1&vwa={activation}")
                assert (await real.servers(director, "lb"))["node1"].word == word
            real.get(f"{page}?cmd=update&from=list&w=lb&sw=node1&vwf=9")
            assert (await real.servers(director, "lb"))["node1"].weight == 9

            assert real.get(f"http://127.0.0.1:{port}/app/") == b""
            assert sum(report.total or 0 for report in (await real.servers(director, "lb")).values()) == 1
            nodes[0].end()
            for _ in range(4):
                real.get(f"http://127.0.0.1:{port}/app/")
            found = await real.servers(director, "lb")
            assert (found["node1"].word, found["node2"].word) == ("down", "up"), program.log
    finally:
        for node in nodes[1:]:
            node.end()
        if nodes[0].thread.is_alive():
            nodes[0].end()


async def test_a_real_status_in_a_format_that_does_not_exist() -> None:
    port = live.free_port("127.0.0.1")
    properties = workers(("127.0.0.1", 9), ("localhost", 9))
    with apache(port, LINES, "jk", workers_properties=properties):
        director = Director("lb", "mod_jk", url=f"http://127.0.0.1:{port}/jkstatus?mime=json", timeout=10)
        assert "Invalid mime type" in await real.reason(director)
        director = Director("lb", "mod_jk", url=f"http://127.0.0.1:{port}/jkstatus?mime=txt", timeout=10)
        assert "mime=xml" in await real.reason(director)
