"""Hosts as the scenarios need them by the hundred: small web servers, each a process of its own at an address of its
own, that are killed and started in milliseconds. A mother process forks them; they end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import TracebackType

MOTHER = r"""
import ctypes, os, signal, socket, sys

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
libc = ctypes.CDLL(None)

def serve(listener):
    while True:
        try:
            sock, _ = listener.accept()
            sock.settimeout(5)
            if sock.recv(4096):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
            sock.close()
        except OSError:
            pass

for line in iter(sys.stdin.readline, ""):
    address, port = line.split()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, int(port)))
        listener.listen(64)
    except OSError as error:
        print("!", error, flush=True)
        listener.close()
        continue
    mother = os.getpid()
    pid = os.fork()
    if pid == 0:
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != mother:
            os._exit(0)
        os.close(0)
        os.close(1)
        serve(listener)
    listener.close()
    print(pid, flush=True)
"""


class Hosts:
    """`with Hosts(port) as hosts: hosts.start("127.77.1.1"); hosts.kill("127.77.1.1")`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._pids: dict[str, int] = {}
        self._mother = subprocess.Popen(
            [sys.executable, "-c", MOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, address: str) -> None:
        """It listens when this returns."""
        assert address not in self._pids and self._mother.stdin and self._mother.stdout
        self._mother.stdin.write(f"{address} {self.port}\n")
        self._mother.stdin.flush()
        said = self._mother.stdout.readline()
        assert said[:1].isdigit(), f"no server at {address}:{self.port}: {said}"
        self._pids[address] = int(said)

    def kill(self, address: str) -> None:
        """As hard as can be. Its port is closed when the kernel has taken the process apart, which is soon."""
        os.kill(self._pids.pop(address), signal.SIGKILL)

    def is_up(self, address: str) -> bool:
        return address in self._pids

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._mother.kill()
        self._mother.communicate(timeout=30)
