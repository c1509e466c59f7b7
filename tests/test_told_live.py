"""A whole server tells of its past, of a journal that fails, and of failovers: in events, status and metrics."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from typing import Any

from live import ZONE, Server, serve, wait_for, web_servers

ZONES = ZONE + "db: {type: POOL, pool: db}\n"
POOLS = """
checks:
  web: {{type: http, port: {port}, path: /, interval: 1s, timeout: 500ms, fall: 2, rise: 1, fast: 300ms}}
pools:
  web:
    check: web
    members: {{web0: 127.0.0.11, web1: 127.0.0.12}}
"""
DB = """
  db:
    check: web
    failover: {scheme: idle-standby, failback: 1s}
    members: {db0: 127.0.0.11, db1: {address: 127.0.0.12, priority: 2}}
"""


def page(server: Server, path: str = "/metrics") -> str:
    """What stands at the control socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(server.control))
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        data = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    assert data.startswith(b"HTTP/1.0 200"), data[:200]
    return data.partition(b"\r\n\r\n")[2].decode()


def failovers(server: Server) -> dict[str, float]:
    told = re.findall(r'rrdns_failover_transitions_total\{kind="(\w+)",pool="db"\} (\S+)', page(server))
    return {kind: float(number) for kind, number in told}


def moves(server: Server, *more: str) -> list[tuple[str, str]]:
    told = server.run("events", "--json", *more).stdout.splitlines()
    return [(one["name"], one["after"]) for one in map(json.loads, told)]


def test_the_past_the_journal_and_failovers() -> None:
    with web_servers(2) as webs:
        text = POOLS.format(port=webs[0].port) + DB
        with serve(ZONES, text, "--workers", "1") as server:
            everybody = {one.address for one in webs}
            wait_for(lambda: server.addresses() == everybody, 60, "both are answered")
            webs[0].kill()
            wait_for(lambda: server.addresses("db.lb.example.com.") == {webs[1].address}, 60, "the standby serves")
            webs[0].start()
            wait_for(lambda: server.addresses("db.lb.example.com.") == {webs[0].address}, 60, "the first is back")
            wait_for(lambda: failovers(server)["return"] >= 1, 30, "it is counted")
            found = failovers(server)
            assert found["promotion"] >= 1 and found["shed"] == 0, found
            assert 'pool="web"' not in "".join(re.findall("rrdns_failover.*", page(server)))
            assert 'rrdns_member_wanted_share{member="web0",pool="web"} 0.5' in page(server)
            wait_for(lambda: 'rrdns_member_answered_share{member="db0",pool="db"} ' in page(server), 30)

            before = moves(server, "--since", "1h")
            assert ("db", "tier 2") in before
            assert not twice(server.run("events", "--since", "1h", "--json").stdout)

            # the journal fails: said everywhere, and nothing else suffers
            journal = server.state / "journal.db"
            for name in server.state.glob("journal.db*"):
                name.rename(server.folder / name.name)
            journal.mkdir()
            wait_for(lambda: server.status()["journal"]["state"] == "failing", 60, "it is noticed")
            said = server.run("status").stdout
            assert "inputs are NOT journaled since" in said and "replay and explain --at will have a hole" in said
            wait_for(lambda: "rrdns_journal_written 0.0" in page(server), 30, "a page is given out for a second")
            assert "rrdns_journal_holes_total 1.0" in page(server)
            done = server.run("events", "--since", "1h", "--json")
            assert "failing" in done.stderr and ("db", "tier 2") in moves(server, "--since", "1h")
            assert json.loads(page(server, "/healthz"))["journal"] == "failing"
            assert "not journaled for" in server.run("audit", "--no-outside", "--no-asking", check=False).stdout

            # back where it was, and the state file gone: the journal alone knows
            server.end()
            without = moves_without_server(server)
            assert ("db", "tier 2") in without, "from the state file"
            journal.rmdir()
            for name in server.folder.glob("journal.db*"):
                shutil.move(name, server.state / name.name)
            for name in server.state.glob("state.db*"):
                name.unlink()
            assert ("db", "tier 2") in moves_without_server(server), "from the journal"
            server.start()
            assert "journaled" not in server.run("status").stdout
            done = server.run("events", "--since", "30d", "--json")
            after = [(one["name"], one["after"]) for one in map(json.loads, done.stdout.splitlines())]
            assert after.count(("db", "tier 2")) == before.count(("db", "tier 2")) == 1
            assert "kept since" in done.stderr

            # a pool that goes leaves nothing behind
            (server.zones / "lb.example.com.yaml").write_text(ZONE)
            (server.zones / "pools.yaml").write_text(POOLS.format(port=webs[0].port))
            server.run("reload", "--force")
            wait_for(lambda: 'pool="db"' not in page(server), 30, "its series are gone")
            assert 'rrdns_member_wanted_share{member="web0",pool="web"} 0.5' in page(server)


def twice(lines: str) -> list[Any]:
    """Events that are told again with about the same time."""
    told = [json.loads(line) for line in lines.splitlines()]
    words = [tuple(one[name] for name in ("subject", "name", "before", "after", "why")) for one in told]
    pairs = itertools.combinations(zip(words, told, strict=True), 2)
    return [one for (mine, one), (its, other) in pairs if mine == its and abs(one["time"] - other["time"]) < 0.5]


def test_who_follows_sees_each_event_once_though_control_dies() -> None:
    with web_servers(2) as webs:
        text = POOLS.format(port=webs[0].port)
        with serve(ZONE, text, "--workers", "1") as server:
            everybody = {one.address for one in webs}
            wait_for(lambda: server.addresses() == everybody, 60, "both are answered")
            shown = server.folder / "shown"
            with shown.open("wb") as out:
                follower = subprocess.Popen(
                    [sys.executable, "-m", "rrdns", "events", "--follow", "--json", "--since", "1h",
                     "--control", str(server.control)],
                    stdout=out, stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
            try:
                wait_for(lambda: shown.stat().st_size > 0, 60, "the past is shown")
                webs[0].kill()
                wait_for(lambda: server.addresses() == {webs[1].address}, 60, "one leaves")
                os.kill(server.pid("control"), signal.SIGKILL)  # what it has not written yet is lost to the disk
                webs[0].start()
                wait_for(lambda: server.addresses() == everybody, 60, "and is back")
                assert follower.stderr is not None
                assert "kept since" in follower.stderr.readline() and "trying again" in follower.stderr.readline()
                server.run("drain", "web1", "--reason", "the last one")

                def is_seen() -> bool:
                    return "the last one" in shown.read_text()

                wait_for(is_seen, 60, "the follower has come again")
            finally:
                follower.kill()
                follower.wait()
            told = server.run("events", "--since", "1h", "--json").stdout
            seen = shown.read_text()
            assert not twice(seen) and not twice(told)
            missing = {_words(line) for line in told.splitlines()} - {_words(line) for line in seen.splitlines()}
            assert not missing


def _words(line: str) -> tuple[str, ...]:
    one = json.loads(line)
    return tuple(one[name] for name in ("subject", "name", "before", "after", "why"))


def moves_without_server(server: Server) -> list[tuple[str, str]]:
    done = server.run("events", "--since", "1h", "--json", check=False)
    assert done.returncode == 3 and "these are from the files in" in done.stderr, done
    return [(one["name"], one["after"]) for one in map(json.loads, done.stdout.splitlines())]
