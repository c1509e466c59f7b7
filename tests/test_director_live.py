"""A whole rrdns that follows a director: a file that the test writes, as any tool beside a load balancer may."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from live import Server, serve, wait_for

ZONE = """
'':
  - {type: NS, values: [ns1.lb.example.com.]}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: live, ttl: 20}
"""
POOLS = """
directors:
  list: {type: file, path: %s, interval: 200ms, stale_after: %s}
pools:
  live: {director: {name: list, part: web}}
"""
EVERYBODY = {"127.0.0.11", "127.0.0.12", "127.0.0.13"}


def write(path: Path, **servers: Any) -> None:
    """`a="up"` is 127.0.0.11 and so on; a number is a weight."""
    rows = []
    for name, said in servers.items():
        row = {"name": name, "address": f"127.0.0.{11 + ord(name) - ord('a')}"}
        rows.append(row | ({"state": said} if isinstance(said, str) else {"state": "up", "weight": said}))
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"parts": {"web": rows}}))
    beside.replace(path)


def until(server: Server, wanted: set[str], what: str) -> float:
    took = wait_for(lambda: server.addresses() == wanted, 30, what)
    print(f"{what}: the answer followed within {took:.2f} s (poll interval 0.2 s)")
    return took


def events(server: Server) -> list[str]:
    said = map(json.loads, server.run("events", "--json", "--limit", "100").stdout.splitlines())
    return [f"{one['subject']} {one['name']} {one['before']} -> {one['after']}" for one in said]


def test_membership_state_and_weights_follow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    write(path, a=1, b=1, c=1)
    with serve(ZONE, POOLS % (path, "2s"), "--workers", "1", start=False) as server:
        server.start()
        assert server.addresses() == EVERYBODY  # the first round includes the director
        director = server.status()["directors"]["list"]
        assert director["state"] == "up" and director["servers"] == 3 and director["took"] is not None

        write(path, a=1, b=1)
        until(server, {"127.0.0.11", "127.0.0.12"}, "a server vanishes")
        write(path, a=1, b=1, c=1, d=1)
        until(server, EVERYBODY | {"127.0.0.14"}, "two servers appear")
        write(path, a="drain", b=1, c=1, d=1)
        until(server, {"127.0.0.12", "127.0.0.13", "127.0.0.14"}, "a server is drained")
        write(path, a="drain", b=3, c=1, d=1)
        wait_for(lambda: server.status()["pools"]["live"]["members"]["b"]["weight"] == 3, 30, "a weight")
        member = server.status()["pools"]["live"]["members"]["b"]
        assert member["director"]["weight"] == 3 and member["director"]["word"] == "up"

        path.unlink()
        wait_for(lambda: server.status()["directors"]["list"]["state"] == "fault", 30, "fault")
        assert server.addresses() == {"127.0.0.12", "127.0.0.13", "127.0.0.14"}  # its last word holds
        wait_for(lambda: server.status()["directors"]["list"]["state"] == "stale", 30, "stale")
        wait_for(lambda: server.addresses() == EVERYBODY | {"127.0.0.14"}, 30, "all are unknown now, and served")
        assert server.status()["pools"]["live"]["state"] == "unknown"
        page = server.run("status").stdout
        assert "list (file): 4 servers" in page and "director list stale" in page
        assert "director  list: unknown" in server.run("explain", "www.lb.example.com.", "A").stdout

        write(path, a=1)
        until(server, {"127.0.0.11"}, "it is back")
        said = events(server)
        assert "member live/c up -> absent" in said and "member live/d absent -> up" in said
        assert "member live/a up -> drained" in said and "director list fault -> stale" in said


def test_its_members_outlive_a_restart_and_a_silent_director(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    write(path, a=1, b=3)
    with serve(ZONE, POOLS % (path, "30s"), "--workers", "1") as server:
        assert server.addresses() == {"127.0.0.11", "127.0.0.12"}
        time.sleep(1.5)  # the store writes once a second
        path.unlink()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        server.start()
        assert server.addresses() == {"127.0.0.11", "127.0.0.12"}
        members = server.status()["pools"]["live"]["members"]
        assert {name: (one["state"], one["weight"]) for name, one in members.items()} == {
            "a": ("unknown", 1),
            "b": ("unknown", 3),
        }


def test_one_that_was_never_read_is_a_failure_not_an_empty_answer(tmp_path: Path) -> None:
    with serve(ZONE, POOLS % (tmp_path / "nothing.json", "30s"), "--workers", "1") as server:
        assert server.ask("www.lb.example.com.").rcode() == 2
        assert server.ask("www.lb.example.com.", "AAAA").rcode() == 2
        assert server.ask("ns1.lb.example.com.").rcode() == 0
        write(tmp_path / "nothing.json", a=1, b=1)
        until(server, {"127.0.0.11", "127.0.0.12"}, "it is read at last")
