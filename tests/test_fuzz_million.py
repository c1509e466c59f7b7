"""A million bad packets against a whole server over loopback, while somebody else goes on asking.

It is alive after, every good query in between was answered, it has not grown, nothing is in the log. How long the
longest gap between two answers was is printed, beside that of an idle server asked in the same way at the same time:
that one is the machine's alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from fuzz import rules
from live import Server, serve
from pacer import pace
from small_zone import question, small_zone
from test_fuzz import exchange, good, mutated
from worker_process import worker

from rrdns.server.recall import MEMO_SIZE

ZONE = f"""
'':
  - {{type: NS, values: [ns1.lb.example.com.]}}
ns1: {{type: A, value: 127.0.0.1}}
www: {{type: POOL, ttl: 20, pool: web}}
alias: {{type: CNAME, value: www.lb.example.com.}}
'*.wild': {{type: CNAME, value: www.lb.example.com.}}
cut: {{type: NS, value: ns.cut.lb.example.com.}}
ns.cut: {{type: A, value: 192.0.2.99}}
moved: {{type: DNAME, value: www.lb.example.com.}}
mail: {{type: MX, value: {{preference: 10, exchange: www.lb.example.com.}}}}
big: {{type: A, values: [{", ".join(f"192.0.2.{n}" for n in range(1, 101))}]}}
"""
POOLS = "pools:\n  web: {members: {a: 192.0.2.10, b: 192.0.2.11, c: 192.0.2.12}}\n"
SETTINGS = "nsid: server-1\nede: true\nversion_text: rrdns\n"

TOTAL = int(os.environ.get("RRDNS_FUZZ_PACKETS", "1000000"))
BATCH = 50
PROBES = 200  # a second
QUARTERS = 4
GROWTH = 1.02


def most(pid: int) -> int:
    """The most memory it ever had resident, in bytes. What is remembered comes and goes, so that less says nothing."""
    found = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(found.split()[1]) * 1024


def sizes(server: Server) -> dict[str, int]:
    status = server.status()
    pids = {"supervisor": status["supervisor"]["pid"], "control": status["control"]["pid"]}
    pids |= {f"worker {one['pid']}": one["pid"] for one in status["workers"]}
    return {what: most(pid) for what, pid in pids.items()}


def batch(chance: random.Random) -> list[bytes]:
    packets = []
    for _ in range(BATCH):
        kind = chance.random()
        if kind < 0.25:
            packets.append(chance.randbytes(chance.randrange(0, 120)))
        elif kind < 0.27:
            packets.append(chance.randbytes(chance.randrange(1000, 5000))[:4096])
        elif kind < 0.9:
            packets.append(mutated(chance))
        else:
            packets.append(good(chance))
    return [packet for packet in packets if packet[:2] != b"\xff\xff"]


def by_tcp(server: Server, chance: random.Random, packets: list[bytes]) -> None:
    """All of a batch over one connection, chopped; what comes after the first that gets silence is not answered."""
    stream = b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)
    got = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while stream:
                size = chance.randrange(1, 2000)
                sock.sendall(stream[:size])
                stream = stream[size:]
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed at a packet that gets silence
        try:
            while data := sock.recv(65536):
                got += data
        except ConnectionResetError:
            pass
    for packet in packets:
        size = int.from_bytes(got[:2], "big")
        if not size:
            return
        rules.judge(packet, got[2 : 2 + size], udp=False)
        got = got[2 + size :]
    assert not got


class Probes(threading.Thread):
    """Somebody else who asks, in a process of its own, for as long as it takes."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.over = threading.Event()
        self.results: list[dict[str, Any]] = []

    def run(self) -> None:
        while not self.over.is_set():
            names = ("www.lb.example.com.", "big.lb.example.com.", "alias.lb.example.com.")
            self.results.append(pace(self.port, PROBES, 10, *names[::2]).result())


def storm(server: Server, total: int, chance: random.Random) -> None:
    """Packets by UDP, each reply judged; each tenth batch goes by TCP instead."""
    done = turn = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect(("127.0.0.1", server.port))
        while done < total:
            packets = batch(chance)
            if turn % 10 == 9:
                by_tcp(server, chance, packets)
            else:
                for packet, reply in zip(packets, exchange(sock, packets), strict=True):
                    try:
                        rules.judge(packet, reply, udp=True)
                    except Exception as error:
                        raise AssertionError(f"{error}: {packet.hex()} -> {(reply or b'').hex()}") from error
            done += len(packets)
            turn += 1


def fill(server: Server, chance: random.Random) -> None:
    """Names, types and cookies that never come again, in packets longer than most that follow, until all that is
    remembered has been full and begun anew, twice: more memory than that it must never take."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect(("127.0.0.1", server.port))
        long = b"\xfd\xe9\0\x60" + bytes(0x60)
        for _ in range(2 * MEMO_SIZE // BATCH + 100):
            names = [f"{chance.randrange(1 << 60):x}.lb.example.com." for _ in range(BATCH)]
            cookies = [b"\0\x0a\0\x08" + chance.randbytes(8) for _ in names]
            exchange(sock, [question(one, chance.randrange(256, 65536), edns=1232, options=long) for one in names])
            exchange(sock, [question("www.lb.example.com.", edns=1232, options=cookie) for cookie in cookies])


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_a_million_packets() -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    chance = random.Random(seed)
    print(f"seed {seed}")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve(ZONE, POOLS, "--workers", "1", start=False))
        config = server.folder / "rrdns.yaml"
        config.write_text(SETTINGS)
        server.arguments += ("--config", str(config))
        server.start()
        pid = server.pid("worker")
        fill(server, chance)
        storm(server, TOTAL, chance)
        idle = stack.enter_context(worker(small_zone()))
        seen = [sizes(server)]
        probes = Probes(server.port), Probes(idle.port)
        for one in probes:
            one.start()
        try:
            for _ in range(QUARTERS):
                storm(server, TOTAL // QUARTERS, chance)
                seen.append(sizes(server))
        finally:
            for one in probes:
                one.over.set()
            for one in probes:
                one.join()
        growth = {what: round(seen[-1][what] / size, 4) for what, size in seen[0].items()}
        print(f"most memory before, and after each quarter: {seen}; {growth}")
        for what, one in zip(("the server under fire", "an idle one beside it"), probes, strict=True):
            told = one.results
            print(f"{what}: {sum(part['answered'] for part in told)} probes, longest gap in each 10 s, in ms:")
            print(f"  {[part['gap_ms'] for part in told]}; p999 {[part['p999_ms'] for part in told]}")
        told = probes[0].results
        assert server.pid("worker") == pid and server.status()["workers"][0]["restarts"] == 0
        assert sum(one["sent"] for one in told) > 0
        assert all(one["lost"] == one["wrong"] == 0 for one in told), told
        assert max(growth.values()) < GROWTH, growth
        assert server.status()["workers"][0]["errors"] == 0
        assert "Traceback" not in server.log and "rror" not in server.log.replace("errors", ""), server.log
