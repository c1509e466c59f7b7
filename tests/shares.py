"""Asks one.lb.example.com. for A and AAAA in turn, N times in all, over many sockets; prints who was answered."""

import collections
import ipaddress
import json
import socket
import sys

from pacer import packet

port, total = int(sys.argv[1]), int(sys.argv[2])
queries = [packet("one.lb.example.com.", kind) for kind in (1, 28)]
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
for sock in sockets:
    sock.connect(("127.0.0.1", port))
    sock.settimeout(10)
count: dict[str, collections.Counter[str]] = {"A": collections.Counter(), "AAAA": collections.Counter()}
window = 8  # in flight on a socket
number = 0
while number < total:
    for sock in sockets:
        for n in range(window):
            sock.send((number + n).to_bytes(4, "big")[2:] + queries[n & 1])
        number += window
    for sock in sockets:
        for _ in range(window):
            reply = sock.recv(4096)
            at = 12 + 20 + 4  # the question is one.lb.example.com.
            size = reply[at + 11]
            address = ipaddress.ip_address(reply[at + 12 : at + 12 + size])
            count["A" if size == 4 else "AAAA"][str(address)] += 1
print(json.dumps(count))
