"""Directors that fail: R15 one whose table lies, R16 eleven that talk garbage, or not at all."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
import zlib
from collections.abc import Iterator
from typing import Any

import misbehaving
import trustme
from live import serve, wait_for
from misbehaving import Client, Misbehaving, answer, says

from faultrows import ground
from faultrows.rows import Finding, Run, row

APEX = "'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 127.0.0.1}\n"
GOOD = {f"192.0.2.{last}" for last in range(11, 15)}
EVERY, TIMEOUT = 0.3, 1.0
CAP, LATE, MEMORY = 1000, 0.5, 16

# ------------------------------------------------------------------ R15


def table(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"parts": {"web": list(rows)}}).encode()


def server(name: str, address: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "address": address, "state": "up", "weight": 1, **more}


TRUE = [server(f"w{address[-2:]}", address) for address in sorted(GOOD)]
NOT_ONE_HOST = {
    "0.0.0.0",
    "127.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "169.254.1.1",
    "::",
    "::1",
    "ff02::1",
    "fe80::1",
}
STRANGERS, CROWD = "other hosts only", "10,000 more"

LIES: dict[str, bytes] = {
    "an empty list": table(),
    "no part": b'{"parts": {}}',
    "another part only": b'{"parts": {"other": [{"name": "x", "address": "192.0.2.99", "state": "up"}]}}',
    "half of them": table(*TRUE[:2]),
    "one of them": table(TRUE[0]),
    STRANGERS: table(*(server(f"x{at}", f"198.51.100.{at}") for at in range(1, 5))),
    "all down": table(*({**one, "state": "down"} for one in TRUE)),
    "all of weight 0": table(*({**one, "weight": 0} for one in TRUE)),
    "each one five times": table(*(TRUE * 5)),
    "one name for all": table(*({**one, "name": "w"} for one in TRUE)),
    CROWD: table(*TRUE, *(server(f"x{at}", f"10.1.{at // 250}.{at % 250 + 1}") for at in range(10_000))),
    "another family among them": table(*TRUE, server("six", "2001:db8::11")),
    "addresses of no host": table(*TRUE, *(server(f"x{at}", one) for at, one in enumerate(sorted(NOT_ONE_HOST)))),
    "addresses that are none": table(*TRUE, server("x1", "192.0.2.300"), server("x2", "web7"), server("x3", "::1::")),
    "weights that are none": table(*TRUE[:1], *({**one, "weight": -5 - at} for at, one in enumerate(TRUE[1:]))),
    "huge weights": table(TRUE[0], *({**one, "weight": 10 ** (9 + at * 100)} for at, one in enumerate(TRUE[1:]))),
    "weight NaN": table(*TRUE).replace(b'"weight": 1', b'"weight": NaN'),
}  # fmt: skip


LIAR = """
directors:
  liar: {type: http, url: "http://%s/table", interval: 300ms, timeout: 1s, stale_after: 3s}
pools:
  made: {director: {name: liar, part: web}}
  named:
    director: {name: liar, part: web}
    members: {w11: 192.0.2.11, w12: 192.0.2.12, w13: 192.0.2.13, w14: 192.0.2.14}
"""
NAMES = ("made.lb.example.com.", "named.lb.example.com.")
ZONE = APEX + "made: {type: POOL, pool: made}\nnamed: {type: POOL, pool: named}\n"


@row(
    "R15",
    "a director lies: none, half, twice, 10,000 servers, 0.0.0.0, 127/8, multicast, odd weights",
    "never an empty answer while a good member was known; bad entries refused one by one; cap kept; 0 lost",
    BIND="CVE-2024-1737: no cap on records of a name",
)
def lies(run: Run) -> Finding:
    """Each lie stands for five readings, then the truth again until the answers are whole."""
    finding, stands = Finding(), 5 if run.scale >= 1 else 3
    with ground.hosts(1) as (fake,):
        fake.manner = says(answer("200 OK", table(*TRUE)))
        with serve(ZONE, LIAR % f"{fake.address}:{fake.port}", "--workers", "2") as rrdns:
            wait_for(lambda: whole(rrdns), 60, "the truth")
            before = ground.resident(rrdns)
            load = ground.watch(rrdns, len(LIES) * stands * EVERY, run.rate / 5, *NAMES)
            asked = members = 0
            empty: set[str] = set()
            alone: set[str] = set()
            odd: set[str] = set()
            for lie, body in LIES.items():
                fake.manner = says(answer("200 OK", body))
                readings = len(fake.probes)
                while len(fake.probes) <= readings + stands:
                    for name in NAMES:
                        found = both(rrdns, name)
                        asked += 1
                        empty |= set() if found else {lie}
                        alone |= set() if found & GOOD or lie in (STRANGERS, CROWD) else {lie}
                        odd |= {f"{one} ({lie})" for one in found & NOT_ONE_HOST}
                    time.sleep(0.05)
                pools = ground.status(rrdns)["pools"]
                members = max(members, *(len(one["members"]) for one in pools.values()))
                known = {each["address"] for one in pools["made"]["members"].values() for each in one["addresses"]}
                alone |= {lie} if lie == CROWD and not known >= GOOD else set()
                fake.manner = says(answer("200 OK", table(*TRUE)))
                wait_for(lambda: whole(rrdns), 60, f"the truth after {lie}")
            figures = load.result()
            finding.at_most(f"lies that emptied an answer (of {len(LIES)}; {asked} asked)", len(empty), 0)
            finding.at_most("lies that took all good members away", len(alone), 0)
            finding.at_most("addresses of no host in answers", len(odd), 0)
            finding.at_most("members of a pool", members, CAP)
            finding.at_most("memory", ground.resident(rrdns) - before, 4 * MEMORY, "MiB more")
            finding.at_most("tracebacks", ground.tracebacks(rrdns), 0)
            ground.count(finding, figures)
            finding.notes += sorted([*empty, *alone, *odd])
    return finding


def both(rrdns: ground.Server, name: str) -> set[str]:
    """Of either family: one of them may be all that its director has left."""
    return rrdns.addresses(name) | rrdns.addresses(name, "AAAA")


def whole(rrdns: ground.Server) -> bool:
    return all(rrdns.addresses(name) == GOOD for name in NAMES)


# ------------------------------------------------------------------ R16


def bomb(client: Client) -> None:
    """A gigabyte of nothing, packed."""
    client.hear()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    megabyte = bytes(1 << 20)
    client.say(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
    for _ in range(1024):
        client.say(packer.compress(megabyte))
    client.say(packer.flush())


GARBAGE: dict[str, misbehaving.Manner] = {
    "random bytes": says(bytes(range(256)) * 64),
    "random bytes after 200": says(answer("200 OK", bytes(range(256)) * 64)),
    "wrong type": says(answer("200 OK", b"<html><title>Log in</title></html>", "Content-Type: text/html")),
    "gzip bomb": bomb,
    "endless body": misbehaving.endless,
    "1 byte/s": misbehaving.trickles(answer("200 OK", table(*TRUE)), 1),
    "never closes": says(answer("200 OK", table(*TRUE))[:-20], stay=True),
    "500": says(answer("500 Internal Server Error", table(*TRUE))),
    "redirect loop": says(answer("302 Found", b"", "Location: /table")),
    "TLS bad": says(answer("200 OK", table(*TRUE))),  # plain text, where TLS is spoken
    "RST": misbehaving.resets,
}


class Fake:
    """One director, good until it `turns`."""

    def __init__(self, name: str, tls: ssl.SSLContext | None) -> None:
        self.name, self.tls = name, tls
        self._server = Misbehaving(says(answer("200 OK", table(*TRUE))), tls)
        self._server.__enter__()
        self.port = self._server.port

    def turn(self) -> None:
        self.end()
        self._server = Misbehaving(GARBAGE[self.name], port=self.port)
        self._server.__enter__()

    def end(self) -> None:
        self._server.__exit__(None, None, None)


@contextlib.contextmanager
def fakes() -> Iterator[list[Fake]]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with contextlib.ExitStack() as stack:
        found = []
        for name in GARBAGE:
            found.append(Fake(name, tls if name.startswith("TLS") else None))
            stack.callback(found[-1].end)
        yield found


@row(
    "R16",
    f"{len(GARBAGE)} directors turn to garbage: bytes, bomb, endless, drip, 500, loop, TLS, RST",
    f"0 lost; last good kept; memory +<= {MEMORY} MiB; each poll ends <= timeout + {LATE} s",
)
def garbage(run: Run) -> Finding:
    """All at once, a pool for each. They are believed as they were for the whole row. Two of them fill what is read at
    most, 16 MiB, each time: that much is in use now and then, and must not stay."""
    finding, lasts = Finding(), max(8.0, run.seconds / 2)
    with fakes() as there:
        directors = pools = zone = ""
        for at, fake in enumerate(there):
            scheme = "https" if fake.tls else "http"
            directors += (
                f'  d{at}: {{type: http, url: "{scheme}://127.0.0.1:{fake.port}/table", verify: false, '
                f"interval: {EVERY * 1000:.0f}ms, timeout: {TIMEOUT:g}s, stale_after: 10m}}\n"
            )
            pools += f"  p{at}: {{director: {{name: d{at}, part: web}}}}\n"
            zone += f"p{at}: {{type: POOL, pool: p{at}}}\n"
        names = [f"p{at}.lb.example.com." for at in range(len(there))]
        with serve(APEX + zone, f"directors:\n{directors}pools:\n{pools}", "--workers", "2") as rrdns:
            wait_for(lambda: all(rrdns.addresses(name) == GOOD for name in names), 60, "the truth")
            time.sleep(1)
            before = ground.resident(rrdns)
            load = ground.watch(rrdns, lasts, run.rate, *names, allow=sorted(GOOD))
            for fake in there:
                fake.turn()
            took: dict[str, float] = {}
            states: dict[str, str] = {}
            resident: list[float] = []
            end = time.monotonic() + lasts - 1
            while time.monotonic() < end:
                for at, fake in enumerate(there):
                    one = ground.status(rrdns)["directors"][f"d{at}"]
                    took[fake.name] = max(took.get(fake.name, 0.0), one["took"] or 0.0)
                    states[fake.name] = one["state"]
                resident.append(ground.resident(rrdns))
                time.sleep(0.2)
            ground.count(finding, load.result())
            kept = sum(rrdns.addresses(name) == GOOD for name in names)
            finding.all_of("pools with the last good answer", kept, len(there))
            finding.all_of("directors in fault", sum(one == "fault" for one in states.values()), len(there))
            slowest = max(took, key=lambda name: took[name])
            finding.at_most(f"slowest poll ({slowest})", took[slowest], TIMEOUT + LATE, "s", timing=True)
            finding.at_most("... however busy", took[slowest], TIMEOUT + 10, "s")
            finding.at_most("memory kept", min(resident[-10:]) - before, MEMORY, "MiB more")
            finding.at_most("memory with answers under way", max(resident) - before, 3 * MEMORY, "MiB more")
            finding.at_most("tracebacks", ground.tracebacks(rrdns), 0)
            finding.details["took"] = took
    return finding
