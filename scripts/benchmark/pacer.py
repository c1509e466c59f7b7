"""A paced client in a process of its own: one query at a time at even distances, with the kernel's time of each reply.

    python pacer.py --port 5300 --rate 20000 --seconds 5 [--name www.lb.example.com]

A reply's time is the kernel's when it arrived (SO_TIMESTAMPNS; on loopback that is when the server sent it), so the
client's own slowness in reading does not count as latency. Its slowness in sending is told: `send_late_p99_us`,
`send_late_worst_ms`. Latency counts from the moment of sending. Below 10,000 a second it sleeps between queries (and
with --urgent runs before everything else on its CPU); above, it spins, and needs a CPU of its own.
Prints one JSON line. Loopback only, bounded in time.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import data

TIMESTAMP = 35  # SO_TIMESTAMPNS; the socket module has no name for it
IDS = 65536  # then they come round: a reply later than that counts as lost
SPIN = 10_000  # queries a second from which on sleeping would be too coarse
DRAIN = 1_000_000_000
LEAST = 50_000  # nanoseconds


def run(port: int, rate: float, seconds: float, name: str) -> dict[str, Any]:
    body = data.packet(name)[2:]
    packets = [number.to_bytes(2, "big") + body for number in range(IDS)]
    sent_at = array("q", bytes(8 * IDS))
    latencies, lates, replies = array("q"), array("q"), array("q")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.setsockopt(socket.SOL_SOCKET, TIMESTAMP, 1)
    sock.connect(("127.0.0.1", port))
    buffer = bytearray(4096)
    buffers, unpack, clock = [buffer], struct.Struct("qq").unpack, time.time_ns
    spin = rate >= SPIN
    step = int(1e9 / rate)
    number = wrong = failed = 0
    gc.disable()
    due = start = clock() + 1_000_000
    end = start + int(min(seconds, 300) * 1e9)
    while True:
        now = clock()
        if due < end:
            if now >= due:
                ident = number & 0xFFFF
                now = sent_at[ident] = clock()
                try:
                    sock.send(packets[ident])
                except OSError:
                    failed += 1
                lates.append(now - due)
                number += 1
                due += step
        elif now > end + DRAIN or (len(latencies) >= number):
            break
        try:
            _, ancillary, _, _ = sock.recvmsg_into(buffers, 64)
        except BlockingIOError:
            if not spin:
                # never 0: one that goes before all others on its CPU would keep the server from answering
                time.sleep(max(LEAST, min(due - clock(), 1_000_000)) / 1e9)
            continue
        except OSError:
            continue  # an ICMP error of an earlier query: that one is lost
        ident = buffer[0] << 8 | buffer[1]
        asked = sent_at[ident]
        if asked:
            sent_at[ident] = 0
            whole, rest = unpack(ancillary[0][2])
            arrived = whole * 1_000_000_000 + rest
            latencies.append(arrived - asked)
            replies.append(arrived)
            wrong += bool(buffer[3] & 15) or not buffer[7]
    return told(number, wrong, failed, latencies, lates, replies)


def told(sent: int, wrong: int, failed: int, latencies: array[int], lates: array[int],
         replies: array[int]) -> dict[str, Any]:  # fmt: skip
    order, late = sorted(latencies), sorted(lates)
    gaps = sorted((later - earlier for earlier, later in itertools.pairwise(replies)), reverse=True)
    span = (replies[-1] - replies[0]) / 1e9 if len(replies) > 1 else 0.0
    return {
        "sent": sent,
        "answered": len(order),
        "lost": sent - len(order),
        "wrong": wrong,
        "not_sent": failed,
        "rate": len(order) / span if span else 0.0,
        **{f"p{share * 100:g}_us": share_of(order, share) / 1000 for share in (0.5, 0.99, 0.999)},
        "worst_ms": share_of(order, 1.0) / 1e6,
        "gap_ms": gaps[0] / 1e6 if gaps else 0.0,
        "gaps_ms": [gap / 1e6 for gap in gaps[:5]],
        "send_late_p99_us": share_of(late, 0.99) / 1000,
        "send_late_worst_ms": share_of(late, 1.0) / 1e6,
        "sent_over_1ms_late": sum(one > 1_000_000 for one in late) / max(len(late), 1),
    }


def share_of(order: list[int], share: float) -> int:
    return order[min(len(order) - 1, int(len(order) * share))] if order else 0


class Pacer:
    """One in the background; `result()` waits for it."""

    def __init__(self, port: int, rate: float, seconds: float, name: str = data.NAME, cpu: int | None = None,
                 urgent: bool = False) -> None:  # fmt: skip
        words = [sys.executable, str(Path(__file__)), f"--port={port}", f"--rate={rate}", f"--seconds={seconds}"]
        words += [f"--name={name}"] + (["--urgent"] if urgent else []) + ([f"--cpu={cpu}"] if cpu is not None else [])
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._limit = seconds + 60

    def result(self) -> dict[str, Any]:
        try:
            out, _ = self.process.communicate(timeout=self._limit)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(10)
        if self.process.returncode:
            raise SystemExit("bench: the paced client failed")
        return json.loads(out)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--name", default=data.NAME)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--urgent", action="store_true", help="before all others on its CPU (needs root)")
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    with contextlib.suppress(PermissionError):
        if options.urgent and options.rate < SPIN:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        else:
            os.setpriority(os.PRIO_PROCESS, 0, -10)
    print(json.dumps(run(options.port, options.rate, options.seconds, options.name)))


if __name__ == "__main__":
    main()
