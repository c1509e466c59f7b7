"""A worker that keeps the supervisor's contract and knows no DNS: it answers every packet with who it is.

`die` ends it, `hang` stops it. It serves once a control has said TABLE at its socket.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import time

from rrdns.board import FIRST_WORKER, SERVING, STARTING, STOPPING, Board


class FakeWorker:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.index = arguments.index
        self.row = FIRST_WORKER + self.index
        self.board = Board(arguments.board)
        self.board.sign_in(self.row, STARTING)
        self.link = socket.socket(fileno=arguments.link)
        self.udp = [socket.socket(fileno=int(one)) for one in arguments.udp.split(",")]
        self.tcp = [socket.socket(fileno=int(one)) for one in arguments.tcp.split(",")]
        if arguments.cpu is not None:
            os.sched_setaffinity(0, {arguments.cpu})
        self.links: list[socket.socket] = []
        self.serving = self.stopping = False

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self.stop)
        while not self.stopping:
            self.board.beat(self.row)
            there = [self.link, *self.links, *(self.udp + self.tcp if self.serving else [])]
            for sock in select.select(there, [], [], 0.1)[0]:
                if sock is self.link:
                    self.links.append(sock.accept()[0])
                elif sock in self.links:
                    self.listen(sock)
                elif sock in self.udp:
                    self.answer(sock)
                else:
                    self.accept(sock)
        self.board.set(self.row, "state", STOPPING)
        for sock in self.udp if self.serving else []:
            while self.answer(sock):
                pass

    def stop(self, *_: object) -> None:
        self.stopping = True

    def listen(self, link: socket.socket) -> None:
        said = link.recv(100)
        if said == b"HAND":
            kept = [*self.udp, *self.tcp]
            names = [[*sock.getsockname()[:2], at] for at, sock in enumerate(kept)]
            count = len(self.udp)
            facts = {"pid": os.getpid(), "index": self.index, "udp": names[:count], "tcp": names[count:]}
            socket.send_fds(link, [json.dumps(facts).encode() + b"\n"], [sock.fileno() for sock in kept])
        elif said == b"TABLE":
            self.serving = True
            self.board.set(self.row, "state", SERVING)
            return
        self.links.remove(link)
        link.close()

    def answer(self, sock: socket.socket) -> bool:
        try:
            packet, client = sock.recvfrom(4096)
        except BlockingIOError:
            return False
        if packet == b"die":
            os._exit(3)
        if packet == b"hang":
            time.sleep(1000)
        sock.sendto(f"{os.getpid()} {self.index} ".encode() + packet, client)
        self.board.set(self.row, "udp", self.board.get(self.row, "udp") + 1)
        return True

    def accept(self, sock: socket.socket) -> None:
        try:
            client = sock.accept()[0]
        except BlockingIOError:
            return
        with client:
            client.settimeout(2)
            client.sendall(f"{os.getpid()} {self.index} ".encode() + client.recv(4096))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--index", type=int)
    parser.add_argument("--board")
    parser.add_argument("--link", type=int)
    parser.add_argument("--udp")
    parser.add_argument("--tcp")
    parser.add_argument("--cpu", type=int)
    FakeWorker(parser.parse_args()).run()
