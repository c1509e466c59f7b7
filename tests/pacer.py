"""A paced DNS client in a process of its own: so many queries a second, and what became of each.

    python tests/pacer.py --port 5300 --rate 500 --seconds 10 www.lb.example.com.

Prints one JSON line: sent; answered; late (of those, after more than a second); lost (no reply within three);
wrong (an rcode or address that was not allowed); the longest gap between replies; latency in milliseconds, up to the
moment the kernel had the reply: on a busy machine this process may wait for its CPU as long as the server did.
Loopback only; bounded in time.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import selectors
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKETS = 32  # several source ports, so that each SO_REUSEPORT worker gets its share
LATE, LOST = 1.0, 3.0  # seconds
SO_TIMESTAMPNS = 35  # socket(7); Python has no name for it


def packet(name: str, rtype: int) -> bytes:
    wire = b"".join(bytes((len(label),)) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"
    return b"\1\0\0\1\0\0\0\0\0\1" + wire + rtype.to_bytes(2, "big") + b"\0\1" + b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


def run(options: argparse.Namespace) -> dict[str, Any]:
    if not ipaddress.ip_address(options.address).is_loopback:
        raise SystemExit("only loopback addresses")
    questions = [packet(name, kind) for name in options.names for kind in options.types]
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    selector = selectors.DefaultSelector()
    sockets = []
    for index in range(SOCKETS):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.connect((options.address, options.port))
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        selector.register(sock, selectors.EVENT_READ, index)
        sockets.append(sock)
    allowed = {ipaddress.ip_address(text).packed for text in options.allow}
    waiting: dict[int, float] = {}
    latencies: list[float] = []
    sent = wrong = late = 0
    gap, last = 0.0, 0.0
    start = time.monotonic()
    end = start + min(options.seconds, 600)
    closing = end + LOST
    while True:
        now = time.monotonic()
        if now >= closing or (now >= end and not waiting):
            break
        due = min(int((now - start) * options.rate), int(options.seconds * options.rate)) if now < end else sent
        for number in range(sent, min(due, sent + 200)):
            index = number % SOCKETS
            query = questions[number % len(questions)]
            ident = number // SOCKETS & 0xFFFF
            waiting[index << 16 | ident] = time.time()
            try:
                sockets[index].send(ident.to_bytes(2, "big") + query)
            except OSError:
                pass  # ECONNREFUSED, a full buffer: this query is lost, and counted as such
            sent += 1
        for key, _ in selector.select(max(0.0, min(0.001, 1 / options.rate))):
            while True:
                try:
                    reply, told, _, _ = key.fileobj.recvmsg(4096, 64)  # type: ignore[union-attr]
                except BlockingIOError:
                    break
                except OSError:
                    continue
                seconds, nanoseconds = struct.unpack("qq", told[0][2])
                came = seconds + nanoseconds / 1e9
                asked = waiting.pop(key.data << 16 | reply[0] << 8 | reply[1], None)
                if asked is None:
                    continue
                late += came - asked > LATE
                latencies.append(came - asked)
                if last:
                    gap = max(gap, came - last)
                last = came
                wrong += not is_right(reply, allowed)
    answered = len(latencies)
    latencies.sort()
    at = (
        [latencies[min(len(latencies) - 1, int(len(latencies) * share))] for share in (0.5, 0.99, 0.999)]
        if latencies
        else [0.0] * 3
    )
    return {
        "sent": sent,
        "answered": answered,
        "late": late,
        "lost": sent - answered,
        "wrong": wrong,
        "gap_ms": round(gap * 1000, 1),
        **{f"{name}_ms": round(value * 1000, 2) for name, value in zip(("p50", "p99", "p999"), at, strict=True)},
    }


def is_right(reply: bytes, allowed: set[bytes]) -> bool:
    """NOERROR with an answer, and where addresses were named, each A record one of them."""
    if len(reply) < 12 or reply[3] & 15 or not reply[7]:
        return False
    if not allowed:
        return True
    at = 12
    while reply[at]:
        at += reply[at] + 1
    at += 5
    for _ in range(reply[7]):
        size = reply[at + 11]
        if reply[at + 12 : at + 12 + size] not in allowed:
            return False
        at += 12 + size
    return True


@dataclass
class Pacer:
    """A pacer in the background; `result()` waits for it."""

    process: subprocess.Popen[str]

    def result(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=660)
        assert self.process.returncode == 0
        return json.loads(out)  # type: ignore[no-any-return]


def pace(
    port: int, rate: float, seconds: float, *names: str, allow: tuple[str, ...] = (), address: str = "127.0.0.1"
) -> Pacer:
    more = [f"--allow={one}" for one in allow]
    return Pacer(
        subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__)),
                f"--address={address}",
                f"--port={port}",
                f"--rate={rate}",
                f"--seconds={seconds}",
                *more,
                *names,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--allow", action="append", default=[], help="an address that may be answered; default: any")
    parser.add_argument("--type", dest="types", type=int, action="append", help="record types, as numbers; default 1")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    options.types = options.types or [1]
    print(json.dumps(run(options)))


if __name__ == "__main__":
    main()
