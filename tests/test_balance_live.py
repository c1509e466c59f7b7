"""A whole rrdns whose weights follow a director: a list that the test writes, as a program of the operator's would."""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.query
import live

ZONE = """
'': {type: NS, values: [ns1.lb.example.com.]}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: web, ttl: 1, answers: 1}
sticky: {type: POOL, pool: web, ttl: 1, answers: 1, scheduler: sh}
alias: {type: CNAME, value: sticky.lb.example.com.}
"""
POOLS = """
directors: {{d1: {{type: file, path: {path}, interval: 200ms, timeout: 1s, stale_after: 10s}}}}
pools:
  web:
    check: []
    scheduler: wlc
    director: {{name: d1, part: web}}
    members: {{web1: 127.0.0.11, web2: 127.0.0.12, web3: 127.0.0.13}}
"""


class Table:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.totals = [0, 0, 0]

    def say(self, *active: int, came: int = 0) -> None:
        self.totals = [count + came for count in self.totals]
        rows = [
            {"name": f"web{n}", "address": f"127.0.0.1{n}", "state": "up", "connections": count, "total": total}
            for n, (count, total) in enumerate(zip(active, self.totals, strict=True), 1)
        ]
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps({"parts": {"web": rows}}))
        beside.replace(self.path)


def answers(server: live.Server, name: str = "www", count: int = 60) -> collections.Counter[str]:
    found: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        found.update(server.addresses(f"{name}.lb.example.com."))
    return found


def pool(server: live.Server) -> dict[str, Any]:
    found: dict[str, Any] = server.status()["pools"]["web"]
    return found


def test_least_connections_stickiness_and_a_drain_with_proof(tmp_path: Path) -> None:
    table = Table(tmp_path / "d1.json")
    table.say(100, 100, 0)
    with live.serve(ZONE, POOLS.format(path=table.path)) as server:
        live.wait_for(lambda: pool(server)["schedulers"]["wlc"]["why"] == "", 30, "wlc at work")
        table.say(100, 100, 1)
        live.wait_for(lambda: pool(server)["members"]["web3"]["share"] > 0.8, 30, "wlc prefers the idle host")
        assert answers(server)["127.0.0.13"] > 40
        live.wait_for(lambda: (pool(server)["members"]["web3"]["answered"] or 0) > 0.6, 30, "the meter has seen it")

        found = {tcp: server.ask("sticky.lb.example.com.", tcp=tcp).answer[0][0].to_text() for tcp in (False, True)}
        assert len({*found.values(), *answers(server, "sticky", 20), *answers(server, "alias", 20)}) == 1
        spread = {scoped(server, f"10.{n}.0.0") for n in range(40)}
        assert {scope for _, scope in spread} == {24} and len({address for address, _ in spread}) == 3
        counted = server.status()["services"]["sticky.lb.example.com."]
        assert counted["scheduler"] == "sh" and counted["slots"] == {"A": 1024}

        done = server.run("drain", "web3", "--wait", "--timeout", "90s", "--json", timeout=120)
        told = json.loads(done.stdout)
        assert told["ok"] and told["members"]["web/web3"]["phase"] == "quiet", told
        assert "127.0.0.13" not in answers(server) and "127.0.0.13" not in answers(server, "sticky", 20)

        table.path.unlink()
        live.wait_for(lambda: pool(server)["schedulers"]["wlc"]["now"] == "wrr", 30, "degraded")
        assert abs(pool(server)["members"]["web1"]["share"] - 0.5) < 0.01
        said = server.run("events").stdout
        assert said.count("wlc as wrr") == 1 and "wlc works as wrr" in server.run("status").stdout


def scoped(server: live.Server, network: str) -> tuple[str, int]:
    """Who is answered to a client there, and for how many bits of its network."""
    query = dns.message.make_query("sticky.lb.example.com.", "A", use_edns=0, options=[dns.edns.ECSOption(network, 24)])
    reply = dns.query.udp(query, "127.0.0.1", port=server.port, timeout=10)
    (scope,) = [one.scopelen for one in reply.options if isinstance(one, dns.edns.ECSOption)]
    return reply.answer[0][0].to_text(), scope
