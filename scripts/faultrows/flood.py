"""Sends queries at a rate and waits for nobody: python -m faultrows.flood PORT SECONDS RATE; prints how many."""

from __future__ import annotations

import socket
import sys
import time

import data
from blaster import Batch

TOGETHER = 64


def main() -> None:
    port, seconds, rate = int(sys.argv[1]), min(float(sys.argv[2]), 120), float(sys.argv[3])
    batch = Batch(TOGETHER, data.packet(data.NAME))
    socks = []
    for _ in range(16):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # replies are thrown away, in the kernel
        sock.connect(("127.0.0.1", port))
        socks.append(sock)
    sent, start = 0, time.monotonic()
    while (now := time.monotonic()) - start < seconds:
        if sent < (now - start) * rate:
            batch.send(socks[sent // TOGETHER % 16].fileno(), TOGETHER)
            sent += TOGETHER
        else:
            time.sleep(0.0005)
    print(sent)


if __name__ == "__main__":
    main()
