"""Each failover scheme as operators run it: web servers that are killed and come back in many orders, rrdns restarted
in the middle, answers as `dig` gets them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from live import Server, Web, serve, wait_for, web_servers
from needs import needs

ZONE = """
'':
  - {type: NS, values: [ns1.lb.example.com.]}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: web, ttl: 20}
rep: {type: POOL, pool: reports, ttl: 20}
"""
CHECK = "checks: {{web: {{type: http, port: {port}, interval: 300ms, timeout: 1s, fall: 2, rise: 1, fast: 200ms}}}}\n"


def pool(called: str, members: str, **more: str) -> str:
    lines = "".join(f", {key}: {value}" for key, value in more.items())
    return f"  {called}: {{check: web, when_down: empty, members: {{{members}}}{lines}}}\n"


class Scene:
    """A server over web servers w1, w2 ... at 127.0.0.11, .12 ..."""

    def __init__(self, server: Server, webs: list[Web]) -> None:
        self.server = server
        self.webs = {f"w{at}": web for at, web in enumerate(webs, start=1)}

    def dig(self, name: str = "www") -> str:
        """Who is answered: `w1 w3`."""
        asked = (
            "dig",
            "+short",
            "+timeout=2",
            "+tries=2",
            "@127.0.0.1",
            "-p",
            str(self.server.port),
            f"{name}.lb.example.com",
        )
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20)
        addresses = {web.address: called for called, web in self.webs.items()}
        return " ".join(sorted(addresses[line] for line in done.stdout.split()))

    def becomes(self, who: str, name: str = "www") -> None:
        wait_for(lambda: self.dig(name) == who, 30, f"{name} is answered by {who!r} (now {self.dig(name)!r})")

    def kill(self, *names: str) -> None:
        for name in names:
            self.webs[name].kill()

    def start(self, *names: str) -> None:
        for name in names:
            self.webs[name].start()

    def is_up(self, name: str, pool: str = "web") -> None:
        """rrdns has noticed."""
        wait_for(lambda: self.pool(pool)["members"][name]["state"] == "up", 30, f"{name} is up")

    def pool(self, name: str = "web") -> dict[str, Any]:
        return self.server.status()["pools"][name]  # type: ignore[no-any-return]

    def restart(self, number: int = signal.SIGTERM) -> None:
        """rrdns as a whole, gently."""
        self.server.process.send_signal(number)
        self.server.process.wait(30)
        self.server.start(self.server.port)

    def events(self, pool: str = "web") -> list[dict[str, Any]]:
        told = self.server.run("events", "--json", "--limit", "1000", "--pool", pool).stdout
        return [json.loads(line) for line in told.splitlines()]

    def told(self, what: str, after: str) -> list[float]:
        """When it became so."""
        return [
            one["time"] for one in self.events() if (f"{one['subject']} {one['name']}", one["after"]) == (what, after)
        ]

    def moves(self, pool: str = "web") -> list[str]:
        """What the journal says of the scheme."""
        rows = self.events(pool)
        return [f"{one['before']} -> {one['after']}" for one in rows if one["subject"] == "failover"]


@contextlib.contextmanager
def scene(count: int, *pools: str) -> Iterator[Scene]:
    needs("dig")
    with web_servers(count) as webs:
        text = CHECK.format(port=webs[0].port) + "pools:\n" + "".join(pools)
        zone = ZONE if len(pools) > 1 else "".join(line for line in ZONE.splitlines(True) if "reports" not in line)
        with serve(zone, text, "--workers", "1") as server:
            yield Scene(server, webs)


def test_idle_standby() -> None:
    members = "w1: 127.0.0.11, w2: {address: 127.0.0.12, priority: 2}, w3: {address: 127.0.0.13, priority: 3}"
    with scene(3, pool("web", members, failover="{scheme: idle-standby, failback: 2s}")) as one:
        one.becomes("w1")
        one.kill("w1")
        one.becomes("w2")
        one.kill("w2")
        one.becomes("w3")
        one.restart()
        one.becomes("w3")
        one.start("w1")
        one.is_up("w1")
        one.becomes("w1")
        one.start("w2")
        one.is_up("w2")
        assert one.dig() == "w1"
        one.kill("w1")
        one.becomes("w2")
        moves = ["no tier -> tier 1", "tier 1 -> tier 2", "tier 2 -> tier 3", "tier 3 -> tier 1", "tier 1 -> tier 2"]
        assert one.moves()[-4:] == moves[1:] and one.moves() in (moves, moves[1:])
        back, up = one.told("failover web", "tier 1"), one.told("member web/w1", "up")
        assert back[-1] - up[-1] >= 1.9, "two seconds of health before it returns"


def test_idle_standby_by_hand() -> None:
    members = "w1: 127.0.0.11, w2: {address: 127.0.0.12, priority: 2}"
    with scene(2, pool("web", members, failover="{scheme: idle-standby, failback: manual}")) as one:
        one.becomes("w1")
        refused = one.server.run("failback", "web", check=False)
        assert refused.returncode == 1 and "nothing waits to return to pool web" in refused.stderr
        one.kill("w1")
        one.becomes("w2")
        one.start("w1")
        one.is_up("w1")
        assert one.dig() == "w2"
        one.restart()
        assert one.dig() == "w2", "it is remembered who serves"
        wait_for(lambda: one.pool()["waits"], 30, "something waits to return")
        assert (
            one.server.run("failback", "web", "--reason", "disk replaced").stdout == "pool web: ok: 2 of 2 members up\n"
        )
        one.becomes("w1")
        assert "disk replaced" in one.server.run("events", "--pool", "web").stdout


def test_rotating_standby() -> None:
    members = "w1: 127.0.0.11, w2: 127.0.0.12, w3: 127.0.0.13"
    with scene(3, pool("web", members, failover="{scheme: rotating-standby}")) as one:
        one.becomes("w1")
        one.kill("w1")
        one.becomes("w2")
        one.start("w1")
        one.is_up("w1")
        assert one.dig() == "w2" and one.pool()["queue"] == ["w3", "w1"], "the recovery is no second break"
        one.restart()
        assert one.dig() == "w2" and one.pool()["queue"] == ["w3", "w1"], "the queue outlives a restart"
        before = one.server.pid("control")
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: one.server._serves() and one.server.pid("control") != before, 30, "control is back")
        assert one.dig() == "w2" and one.pool()["queue"] == ["w3", "w1"], "and a crash"
        one.server.run("drain", "w2", "--reason", "update")
        one.becomes("w3")
        one.kill("w1", "w3")
        one.becomes("w2")  # drained, but nothing else is up
        one.kill("w2")
        one.becomes("")
        one.server.run("enable", "w2")
        one.start("w3", "w1")
        one.becomes("w3")  # who came back first of the last two, or held last: in any case one alone


def test_simple_failover() -> None:
    pools = (
        pool(
            "web", "w1: 127.0.0.11, w2: 127.0.0.12", failover="{scheme: simple-failover, backup: reports, failback: 2s}"
        ),
        pool("reports", "w3: 127.0.0.13, w4: 127.0.0.14"),
    )
    with scene(4, *pools) as one:
        one.becomes("w1 w2")
        one.becomes("w3 w4", "rep")
        one.kill("w1")
        one.becomes("w2")
        assert one.dig("rep") == "w3 w4"
        one.kill("w2")
        one.becomes("w3 w4")
        one.becomes("", "rep")
        one.restart()
        one.becomes("w3 w4")
        assert one.dig("rep") == ""
        one.kill("w4")
        one.becomes("w3")
        one.start("w1")
        one.becomes("w1")
        one.becomes("w3", "rep")
        assert "served by reports -> served by its own" in one.moves()
        assert "w3, w4 shed to web" in " ".join(one.moves("reports"))


@pytest.mark.parametrize("first", ["w1", "w2"])
def test_mutual_takeover(first: str) -> None:
    second = {"w1": "w2", "w2": "w1"}[first]
    name = {"w1": "www", "w2": "rep"}
    pools = (
        pool("web", "w1: 127.0.0.11", failover="{scheme: mutual-takeover, partner: reports, failback: 2s}"),
        pool("reports", "w2: 127.0.0.12", failover="{scheme: mutual-takeover, partner: web, failback: 2s}"),
    )
    with scene(2, *pools) as one:
        one.becomes("w1")
        one.becomes("w2", "rep")
        one.kill(first)
        one.becomes(second, name[first])
        assert one.dig(name[second]) == second
        one.restart()
        one.becomes(second, name[first])
        one.kill(second)  # under the load of both
        one.becomes("", name[first])
        one.becomes("", name[second])
        one.start(first)
        one.becomes(first, name[first])
        one.becomes(first, name[second])
        one.start(second)
        one.becomes(second, name[second])
        assert one.dig(name[first]) == first
