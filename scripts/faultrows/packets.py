"""Packets: R21 malformed ones, R22 every type, opcode, flag and length, R25 what a forger gains."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import amplification
import data
import dns.edns
import dns.exception
import dns.message
import dns.query
import test_fuzz

from faultrows import ground, others
from faultrows.network import inside, namespace
from faultrows.rows import Finding, Run, row
from rrdns.settings import Settings

# ------------------------------------------------------------------ R21


@dataclass
class Target:
    """What `test_fuzz.storm` wants to know of a server."""

    address: str
    port: int
    process: Any
    server: ground.Server

    def value(self, name: str) -> int:
        return ground.total(self.server, name)


@row(
    "R21",
    "100,000 malformed packets",
    "0 dead, replies by rule, worst of other queries < 50 ms, memory +< 2 %, 0 tracebacks",
    gdnsd="dead 0, worst 37 ms, memory +4 % of 3.3 MiB",
)
def malformed(run: Run) -> Finding:
    finding, packets = Finding(), int(100_000 * min(run.scale, 1))
    seed = int.from_bytes(time.time_ns().to_bytes(8, "big")[-4:], "big")
    with ground.site() as (server, behind):
        target: Any = Target("127.0.0.1", server.port, server.process, server)
        test_fuzz.storm(target, 10_000 if packets > 10_000 else 1000, 1)  # warm
        old, before = ground.pids(server), ground.resident(server)
        load = ground.watch(server, max(3.0, packets / 4000), run.rate, allow=[host.address for host in behind])
        breach = ""
        start = time.monotonic()
        try:
            test_fuzz.storm(target, packets, seed)
        except AssertionError as error:
            breach = str(error)
        took = time.monotonic() - start
        figures = load.result()
        finding.at_most("dead", len(set(old) - set(ground.pids(server))), 0)
        finding.at_most("broke a rule", int(bool(breach)), 0)
        finding.notes += [breach[:300]] if breach else []
        ground.count(finding, figures)
        finding.at_most("worst of the others", figures["gap_ms"], 50, "ms", timing=True)
        grown = (ground.resident(server) / before - 1) * 100
        finding.at_most("memory grew by", grown, 2, "%", timing=True)
        finding.at_most("packets that raised", ground.total(server, "errors"), 0)
        finding.at_most("tracebacks in the log", ground.tracebacks(server), 0)
        finding.notes.append(f"seed {seed}, {packets / took:,.0f} packets a second")
    others.compare(run, finding, gdnsd)
    return finding


def gdnsd(peer: others.Peer) -> str:
    chance, load = ground.chance(3), peer.watch(5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", peer.port))
        for at in range(10_000):
            sock.send(test_fuzz.mutated(chance))
            if at % 50 == 0:
                time.sleep(0.01)
    return f"10,000 packets: {'alive' if others.lives(peer.pid) else 'DEAD'}, {others.told(load.result())}"


# ------------------------------------------------------------------ R22

NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 3, 4, 5
TRANSFERS, ANY = (251, 252), 255
Question = tuple[bytes, bytes]  # what is sent, and its name for people


def raw(name: bytes, rtype: int, flags: int = 0x0100) -> bytes:
    """A query, id 0."""
    return b"\0\0" + flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0\0" + name + rtype.to_bytes(2, "big") + b"\0\1"


def wire(text: str) -> bytes:
    return b"".join(bytes((len(one),)) + one.encode() for one in text.rstrip(".").split(".")) + b"\0"


def exchange(port: int, packets: Iterable[bytes], silence: float = 5.0) -> Iterator[tuple[bytes, bytes | None]]:
    """Each with its reply, 100 under way; None for silence."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(silence)
        source = iter(packets)
        while batch := list(itertools.islice(source, 100)):
            for number, packet in enumerate(batch):
                sock.send(number.to_bytes(2, "big") + packet[2:])
            heard: dict[int, bytes] = {}
            while len(heard) < len(batch):
                try:
                    reply = sock.recv(65535)
                except TimeoutError:
                    break
                heard[reply[0] << 8 | reply[1]] = reply
            for number, packet in enumerate(batch):
                yield packet, heard.get(number)


NAMES = {"www.lb.example.com": NOERROR, "nothing.lb.example.com": NXDOMAIN, "www.example.org": REFUSED}


def type_is_right(rcode: int, rtype: int, reply: bytes | None) -> bool:
    """www has an A, and an HINFO for ANY; else no data and one SOA. Transfers are refused."""
    if reply is None:
        return False
    got, answers, authority = reply[3] & 15, reply[7], reply[9]
    if rtype in TRANSFERS:
        return got in (REFUSED, NOTIMP) and not answers
    if got != rcode:
        return False
    if rcode == REFUSED:
        return not answers and not authority
    if rcode == NOERROR and rtype in (1, ANY):
        return answers > 0
    return (answers, authority) == ((1, 0) if rtype == ANY and answers else (0, 1))


@row("R22", "all 65,536 types x 3 names, 16 opcodes x all flags, names of 1 to 300 bytes", "100 % answered by rule, "
     "0 errors", PowerDNS="4.5.0 died of type 65535 (CVE-2021-36754)")  # fmt: skip
def every_type(run: Run) -> Finding:
    finding, step = Finding(), max(1, round(1 / run.scale))
    wrong: list[str] = []
    with ground.serve(ground.ZONE, "pools: {web: {members: [192.0.2.1, 192.0.2.2]}}\n", "--workers", "1") as server:
        asked = right = 0
        for text, rcode in NAMES.items():
            # OPT (41) as a question's type is a type like another
            kinds = sorted({*range(0, 65536, step), *range(0, 300), 65535})
            for packet, reply in exchange(server.port, (raw(wire(text), rtype) for rtype in kinds)):
                rtype = packet[-4] << 8 | packet[-3]
                asked += 1
                good = type_is_right(rcode, rtype, reply)
                right += good
                if not good and len(wrong) < 8:
                    wrong.append(f"{text} type {rtype}: {reply[:12].hex() if reply else 'silence'}")
        finding.all_of("types", right, asked)
        opcodes(server, finding, wrong)
        lengths(server, finding, wrong)
        finding.at_most("packets that raised", ground.total(server, "errors"), 0)
        finding.at_most("tracebacks in the log", ground.tracebacks(server), 0)
        finding.at_most("workers replaced", ground.total(server, "restarts"), 0)
    finding.notes += wrong
    return finding


def opcodes(server: ground.Server, finding: Finding, wrong: list[str]) -> None:
    """Other opcodes NOTIMP; a query cut off (TC) FORMERR; a response (QR) gets silence, whatever else it says."""
    every = range(0, 0x8000, 16)  # opcode, AA, TC, RD, RA, Z, AD, CD; the rcode of a query means nothing
    right = 0
    for packet, reply in exchange(server.port, (raw(wire("www.lb.example.com"), 1, flags) for flags in every)):
        opcode = packet[2] >> 3 & 15
        wanted = NOTIMP if opcode else FORMERR if packet[2] & 0x02 else NOERROR
        good = reply is not None and reply[3] & 15 == wanted and reply[2] >> 3 & 15 == opcode and bool(reply[2] & 0x80)
        right += good
        if not good and len(wrong) < 16:
            wrong.append(f"flags {packet[2:4].hex()}: {reply[:12].hex() if reply else 'silence'}")
    finding.all_of("opcodes and flags", right, len(every))
    responses = [raw(wire("www.lb.example.com"), 1, 0x8000 | opcode << 11) for opcode in range(16)]
    heard = sum(reply is not None for _, reply in exchange(server.port, responses, 0.5))
    finding.at_most("responses that were answered", heard, 0)


def lengths(server: ground.Server, finding: Finding, wrong: list[str]) -> None:
    """Up to 255 bytes a name is a name, here outside our zones (REFUSED); beyond, FORMERR. There is none of two."""
    right, every = 0, [1, *range(3, 301)]
    for packet, reply in exchange(server.port, (raw(long_name(size), 1) for size in every)):
        size = len(packet) - 16
        wanted = FORMERR if size > 255 else REFUSED
        good = reply is not None and reply[3] & 15 == wanted
        right += good
        if not good and len(wrong) < 24:
            wrong.append(f"name of {size} bytes: {reply[:12].hex() if reply else 'silence'}")
    finding.all_of("lengths of names", right, len(every))


def long_name(size: int) -> bytes:
    """A name of so many bytes in all: labels of 63 at most, none empty."""
    out, left = b"", size - 1
    while left:
        label = min(63, left - 1)
        label -= left - label - 1 == 1  # one byte more would hold no label
        out += bytes((label,)) + b"a" * label
        left -= label + 1
    return out + b"\0"


# ------------------------------------------------------------------ R25

RATE, RRL, LASTS, SLIP = 1000, 200, 10.0, Settings().rrl_slip
COOKIE, CLIENT_COOKIE = 10, b"8 bytes!"


@row(
    "R25",
    "amplification: 40 members, ANY, EDNS 4096; a flood of forged queries from one /24",
    "ratio without cookie <= 4.0 by UDP; <= 200 replies/s to the /24; others keep >= 99 %",
    every_server_unlimited="x14.9-16.4",
    NSD="limits to 200/s by default",
)
def amplified(run: Run) -> Finding:
    finding = Finding()
    members = "".join(f"    - 192.0.2.{at}\n" for at in range(1, 41))
    pool = f"pools:\n  web:\n    members:\n{members}"
    files = {"lb.example.com.yaml": ground.ZONE.encode(), "pools.yaml": pool.encode()}
    for title, everything in (("by default", False), ("with udp_ratio_all", True)):
        worst = max(amplification.measure(files, udp_ratio_all=everything), key=lambda case: case.ratio)
        finding.at_most(f"worst ratio {title}", worst.ratio, 4.0)
        finding.notes.append(f"{title}: {worst}")
    ground.need("ip", root=True)
    with namespace() as space:
        inside(space, lambda: flood(finding, pool))
    return finding


def flood(finding: Finding, pool: str) -> None:
    """In a namespace where 198.51.100/24 and 203.0.113/24 are our own, so that any source may be taken."""
    for network in ("198.51.100.0/24", "203.0.113.0/24"):
        ground.run("ip", "route", "add", "local", network, "dev", "lo")
    ground.run("ip", "address", "add", "192.0.2.253/32", "dev", "lo")
    with ground.serve(ground.ZONE, pool, start=False) as server:
        config = server.folder / "settings.yaml"
        config.write_text(f"rrl: {RRL}\nworkers: 2\n")
        server.arguments = ("--config", str(config), "--listen", "192.0.2.253:5399")
        server.start()
        port, stop = 5399, threading.Event()
        got: list[tuple[int, int]] = []  # bytes, flags of each reply to the /24
        forger = ground.thread(forge, port, stop, got)
        honest = {
            "elsewhere": ground.thread(ask_often, "203.0.113.9", port, 1),
            "in the /24 in five tries": ground.thread(ask_often, "198.51.100.200", port, 5),
            "in the /24 with a cookie": ground.thread(ask_often, "198.51.100.201", port, 1, True),
        }
        kept = {name: one.result() for name, one in honest.items()}
        stop.set()
        sent, lasted = forger.result()
        full = sum(not flags & 2 for _, flags in got)
        # a second's worth may go at once, so there is one second more than there were
        finding.at_most("full replies a second to the /24", full / (lasted + 1), RRL * 1.05)
        finding.at_most("cut replies a second (slip)", (len(got) - full) / lasted, (RATE - RRL) / SLIP * 1.2)
        finding.told("forged queries a second", sent / lasted)
        finding.told("bytes sent to the /24 / bytes of the queries", sum(size for size, _ in got) / (sent * 47))
        for name, (asked, answered) in kept.items():
            finding.at_least(f"answered {name}, of {asked}", answered / asked * 100, 99, "%", timing="tries" in name)


def forge(port: int, stop: threading.Event, got: list[tuple[int, int]]) -> tuple[int, float]:
    """Queries from all over the /24, at RATE; how many, in what time. Gathers what would have gone to the victims."""
    query = data.packet("www.lb.example.com")
    socks = []
    for at in range(1, 51):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((f"198.51.100.{at}", 0))
        sock.connect(("192.0.2.253", port))
        sock.setblocking(False)
        socks.append(sock)
    sent, start = 0, time.monotonic()
    while not stop.is_set():
        due = int((time.monotonic() - start) * RATE)
        for number in range(sent, due):
            socks[number % 50].send(query)
        sent = max(sent, due)
        for sock in socks:
            try:
                while reply := sock.recv(4096):
                    got.append((len(reply), reply[2]))
            except BlockingIOError:
                pass
        time.sleep(0.005)
    for sock in socks:
        sock.close()
    return sent, time.monotonic() - start


def ask_often(source: str, port: int, tries: int, cookie: bool = False) -> tuple[int, int]:
    """50 queries a second; cut off: by TCP. Five tries are what Unbound takes. With a cookie: ours, once it has one."""
    asked = answered = 0
    start = time.monotonic()
    known = CLIENT_COOKIE
    while time.monotonic() - start < LASTS:
        options = [dns.edns.GenericOption(COOKIE, known)] if cookie else []
        query = dns.message.make_query(ground.NAME, "A", use_edns=0, options=options)
        first = cookie and known == CLIENT_COOKIE  # how it came by its cookie does not count
        asked += not first
        for _ in range(tries):
            try:
                reply, _ = dns.query.udp_with_fallback(
                    query, "192.0.2.253", timeout=1.0 if tries == 1 else 0.25, port=port, source=source
                )
            except (dns.exception.Timeout, OSError):
                continue
            answered += bool(reply.answer) and not first
            shown = [one.to_wire() or b"" for one in reply.options if one.otype == COOKIE]
            known = shown[0] if shown else known
            break
        time.sleep(max(0.0, start + asked / 50 - time.monotonic()))
    return asked, answered
