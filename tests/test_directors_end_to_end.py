"""A whole rrdns whose pools follow real load balancers: what is changed there is seen in DNS answers, and `pytest -s`
prints how soon. Here HAProxy, alone and as two directors whose VIPs are the members; test_directors_end_to_end_web.py
has the others, test_director_lvs.py LVS.

Reaction is told, not asserted: a machine may be busy. What is asserted has deadlines for a slow one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import live
import real_directors as real
from needs import needs
from test_director_haproxy import Agent

APEX = "'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 127.0.0.1}\n"
A, B, C, D = (f"127.0.0.{last}" for last in (11, 12, 13, 14))


@dataclass
class Watched:
    """rrdns beside a director: `until` waits for an answer, and says how long it took."""

    server: live.Server
    director: str
    interval: float

    def until(self, what: str, **wanted: set[str]) -> None:
        """By pool, the addresses in its answer."""

        def there() -> bool:
            return all(self.answer(pool) == addresses for pool, addresses in wanted.items())

        took = 0.0
        try:
            took = live.wait_for(there, 60, what)
        except AssertionError as error:
            found = {pool: self.answer(pool) for pool in wanted}
            raise AssertionError(f"{self.director}: {error}: {found}, not {wanted}\n{self.tell()}") from None
        print(f"{self.director:9} {what:44} poll {self.interval:g} s, answer followed after {took:.2f} s")

    def answer(self, pool: str) -> set[str]:
        return self.server.addresses(f"{pool}.lb.example.com.")

    def member(self, pool: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.status()["pools"][pool]["members"][name]
        return found

    def weighs(self, what: str, pool: str, name: str, weight: int) -> None:
        took = live.wait_for(lambda: self.member(pool, name)["weight"] == weight, 60, f"{what}: {self.tell()}")
        print(f"{self.director:9} {what:44} poll {self.interval:g} s, weight followed after {took:.2f} s (by status)")

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.status()["directors"][name]
        return found

    def becomes(self, name: str, state: str) -> dict[str, Any]:
        """What `status` says of the director once it has this state."""
        live.wait_for(lambda: self.state(name)["state"] == state, 60, f"{name} {state}: {self.tell()}")
        return self.state(name)

    def tell(self) -> str:
        status = self.server.status()
        lines = [f"{name}: {one['state']} {one['reason']}" for name, one in status["directors"].items()]
        for pool, one in status["pools"].items():
            for name, member in one["members"].items():
                said = member.get("director") or {}
                lines.append(f"{pool}/{name}: {member['state']}: {member['why']}; {said.get('word')} {said.get('why')}")
        return "\n".join(lines)

    def goes_stale(self, name: str, holds: dict[str, set[str]]) -> None:
        """After its director is gone: the last word holds, then there is none. `status` tells state, age and why."""
        fault = self.becomes(name, "fault")
        assert fault["reason"] and fault["age"] is not None and fault["age"] < 60, fault
        for pool, addresses in holds.items():
            assert self.answer(pool) == addresses
        stale = self.becomes(name, "stale")
        assert stale["reason"] and stale["age"] >= fault["age"], stale
        print(f"{self.director:9} gone: {stale['reason']!r}, stale at an age of {stale['age']:.1f} s")


@contextlib.contextmanager
def watched(director: str, pools: str, *names: str, interval: float = 0.5) -> Iterator[Watched]:
    """rrdns with a name for each of the pools."""
    zone = APEX + "".join(f"{name}: {{type: POOL, pool: {name}, answers: all}}\n" for name in names)
    with live.serve(zone, pools, "--workers", "1") as server:
        yield Watched(server, director, interval)


# ---------------------------------------------------------------- HAProxy

CONFIG = """
global
    stats socket {folder}/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout check 2s
frontend ready
    bind 127.0.0.1:{ready}
    http-request return status 200
backend web
    default-server check inter 200ms fastinter 100ms fall 2 rise 2 weight 10
{servers}
"""


class HAProxy:
    def __init__(self, program: real.Program) -> None:
        self.program = program
        self.socket = f"{program.folder}/admin.sock"

    def say(self, words: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self.socket)
            connection.sendall(words.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode().strip()

    def reload(self, line: str) -> None:
        """With one more server, and until the new worker has taken over."""
        path = self.program.folder / "haproxy.cfg"
        path.write_text(path.read_text() + f"    {line}\n")
        name = line.split()[1]

        def there() -> bool:
            return f" {name} " in self.say("show servers state")

        for _ in range(6):
            self.program.process.send_signal(signal.SIGUSR2)
            with contextlib.suppress(AssertionError):  # a master that is only just ready ignores it
                live.wait_for(there, 10)
                return
        raise AssertionError(f"not reloaded: {self.program.log}")

    def kill(self) -> None:
        """Master and worker."""
        os.killpg(self.program.process.pid, signal.SIGKILL)
        self.program.process.wait(20)


@contextlib.contextmanager
def haproxy(*servers: str) -> Iterator[HAProxy]:
    needs("haproxy")
    port = live.free_port("127.0.0.1")
    config = CONFIG.replace("{ready}", str(port)).replace("{servers}", "".join(f"    {one}\n" for one in servers))
    argv = ("haproxy", "-W", "-db", "-f", "{folder}/haproxy.cfg", "-p", "{folder}/pid")
    with real.program(*argv, files={"haproxy.cfg": config}, ready=f"http://127.0.0.1:{port}/") as program:
        live.wait_for(Path(program.folder, "admin.sock").exists, 30, "the stats socket")
        yield HAProxy(program)


POOLS = """
directors:
  lb: {type: haproxy, socket: %(socket)s, interval: 500ms, stale_after: 6s}
checks:
  web: {type: http, port: %(port)d, path: /, interval: 1s, timeout: 900ms, fall: 2, rise: 2, fast: 300ms}
pools:
  made: {director: {name: lb, backend: web}}
  named:
    check: web
    director: {name: lb, backend: web}
    members: {a: 127.0.0.11, b: 127.0.0.12, c: 127.0.0.13}
"""


def test_haproxy() -> None:
    """`made` has its members from HAProxy's table, `named` from the file, with a check of its own."""
    agent = Agent()
    with contextlib.ExitStack() as stack:
        stack.callback(agent.end)
        webs = stack.enter_context(live.web_servers(4))
        port = webs[0].port
        lines = [f"server {name} {web.address}:{port}" for name, web in zip("abcd", webs, strict=True)]
        lines[2] += f" agent-check agent-port {agent.port} agent-addr 127.0.0.1 agent-inter 200ms"
        lb = stack.enter_context(haproxy(*lines[:3]))
        pools = POOLS % {"socket": lb.socket, "port": port}
        it = stack.enter_context(watched("haproxy", pools, "made", "named"))

        it.until("at the start", made={A, B, C}, named={A, B, C})
        lb.say("set server web/a state drain")
        it.until("drain", made={B, C}, named={B, C})
        assert it.member("named", "a")["state"] == "drained"
        lb.say("set server web/a state maint")
        lb.say("set server web/b state drain")
        it.until("another drained, this one in maint", made={C}, named={C})
        lb.say("set server web/a state ready")
        lb.say("set server web/b state ready")
        it.until("both ready", made={A, B, C}, named={A, B, C})
        lb.say("set server web/b weight 0")
        it.until("weight 0", made={A, C}, named={A, C})
        lb.say("set server web/b weight 30")
        it.until("weight 30", made={A, B, C}, named={A, B, C})
        it.weighs("weight 30", "made", "b", 30)
        agent.words = b"drain\n"
        it.until("its agent says drain", made={A, B}, named={A, B})
        agent.words = b"ready up 50%\n"
        it.until("its agent says ready, half the weight", made={A, B, C}, named={A, B, C})
        it.weighs("half the weight", "made", "c", 5)

        webs[0].end()
        it.until("a server is killed, HAProxy sees it down", made={B, C})
        it.until("... and the pool with a check too", named={B, C})
        webs[0].start()
        it.until("the server is back", made={A, B, C}, named={A, B, C})
        lb.reload(lines[3])
        it.until("reloaded with a fourth server", made={A, B, C, D}, named={A, B, C})

        lb.say("set server web/a state drain")
        it.until("drain", made={B, C, D}, named={B, C})
        lb.kill()
        it.goes_stale("lb", {"made": {B, C, D}, "named": {B, C}})
        it.until("no vote any more", made={A, B, C, D}, named={A, B, C})
        assert it.server.status()["pools"]["made"]["state"] == "unknown"
        webs[2].end()
        it.until("checks go on without it", named={A, B})
        assert it.answer("made") == {A, B, C, D}


# ---------------------------------------------------------------- two levels

VIPS = """
directors:
  left: {type: haproxy, socket: %(left)s, interval: 500ms, stale_after: 5s, master: herald}
  right: {type: haproxy, socket: %(right)s, interval: 500ms, stale_after: 5s}
  herald: {type: keepalived, path: %(herald)s, interval: 500ms, stale_after: 5s}
pools:
  vips:
    weight_from: director
    members:
      vip1: {address: 192.0.2.1, director: {name: left, use: virtual, backend: web, quorum: 2}}
      vip2: {address: 192.0.2.2, director: {name: right, use: virtual, backend: web}}
"""
VIP1, VIP2 = "192.0.2.1", "192.0.2.2"


def test_two_levels(tmp_path: Path) -> None:
    """The members are the VIPs of two directors; what is alive behind each is its weight."""
    herald = tmp_path / "vrrp.log"
    herald.write_text('INSTANCE "VI_1" MASTER 150\n')
    with contextlib.ExitStack() as stack:
        webs = stack.enter_context(live.web_servers(4))
        lines = [f"server {name} {web.address}:{web.port}" for name, web in zip("abcd", webs, strict=True)]
        left = stack.enter_context(haproxy(*lines[:3]))
        right = stack.enter_context(haproxy(lines[3]))
        pools = VIPS % {"left": left.socket, "right": right.socket, "herald": herald}
        it = stack.enter_context(watched("2 haproxy", pools, "vips"))

        it.until("at the start", vips={VIP1, VIP2})
        it.weighs("three servers of weight 10", "vips", "vip1", 30)
        assert it.member("vips", "vip2")["weight"] == 10
        webs[0].end()
        it.weighs("one of three is killed", "vips", "vip1", 20)
        assert it.answer("vips") == {VIP1, VIP2}
        left.say("set server web/b weight 4")
        it.weighs("one of two gets weight 4", "vips", "vip1", 14)
        left.say("set server web/b state maint")
        it.until("below its quorum: one of three", vips={VIP2})
        assert it.member("vips", "vip1")["state"] == "drained"  # by hand: with b there would be two
        left.say("set server web/b state ready")
        it.until("quorum again", vips={VIP1, VIP2})
        webs[1].end()
        it.until("below its quorum: another is killed", vips={VIP2})
        assert it.member("vips", "vip1")["state"] == "down"
        webs[1].start()
        it.until("it is back", vips={VIP1, VIP2})

        with herald.open("a") as log:
            log.write('INSTANCE "VI_1" BACKUP 150\n')
        it.until("VRRP backup", vips={VIP2})
        assert "not the master" in it.member("vips", "vip1")["director"]["why"]
        with herald.open("a") as log:
            log.write('INSTANCE "VI_1" MASTER 150\n')
        it.until("VRRP master", vips={VIP1, VIP2})

        webs[3].end()
        it.until("nothing behind the other", vips={VIP1})
        left.kill()
        it.goes_stale("left", {"vips": {VIP1}})
        # vip1 is unknown now, vip2 known to be down: the one that may be well is answered
        assert it.answer("vips") == {VIP1}
