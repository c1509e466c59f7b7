"""Real Knot and NSD on free loopback ports, serving zones out of a temporary folder; and how to ask many questions."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rrdns import wire

WINDOW = 48  # questions under way at once: fits every socket buffer
_KNOT = """
server:
    rundir: "{run}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 60
    edns-client-subnet: off
log:
  - target: stderr
    any: warning
database:
    storage: "{run}/db"
template:
  - id: default
    storage: "{run}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
zone:
{zones}
"""
_NSD = """
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    zonesdir: "{run}"
    database: ""
    pidfile: "{run}/nsd.pid"
    xfrdfile: "{run}/xfrd.state"
    xfrdir: "{run}"
    zonelistfile: "{run}/zone.list"
    cookie-secret-file: "{run}/cookies"
    server-count: 1
    tcp-count: 20
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    minimal-responses: yes
    ipv4-edns-size: 1232
    hide-version: yes
remote-control:
    control-enable: no
{zones}
"""


class Silent(TimeoutError):
    """A server gave no reply to the `lost`: one of them it hangs on, if it hangs, the others waited with that."""

    def __init__(self, name: str, lost: Sequence[bytes]) -> None:
        super().__init__(f"{name} is silent to {[one.hex() for one in lost[:3]]}")
        self.name, self.lost = name, lost


@dataclass
class Server:
    """Anything that answers UDP and TCP on one loopback port."""

    name: str
    address: str
    port: int

    def ask(self, packets: Sequence[bytes], tcp: Sequence[bool]) -> list[bytes]:
        """The replies to all packets, in their order; `tcp` says which go over TCP. Their ids are replaced."""
        replies: dict[int, bytes] = {}
        for udp_too in (False, True):
            wanted = [index for index, over in enumerate(tcp) if over is not udp_too]
            for start in range(0, len(wanted), WINDOW):
                part = wanted[start : start + WINDOW]
                sent = {
                    number: (number + 1).to_bytes(2, "big") + packets[index][2:] for number, index in enumerate(part)
                }
                found = self._udp(sent) if udp_too else self._tcp(sent)
                replies.update({part[at]: packets[part[at]][:2] + reply[2:] for at, reply in found.items()})
        return [replies[index] for index in range(len(packets))]

    def _udp(self, sent: Mapping[int, bytes]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((self.address, self.port))
            for _ in range(8):  # loopback loses a datagram only when a buffer is full
                missing = [number for number in sent if number not in found]
                for number in missing:
                    sock.send(sent[number])
                while len(found) < len(sent) and select.select([sock], [], [], 2.0)[0]:
                    reply = sock.recv(65535)
                    found[int.from_bytes(reply[:2], "big") - 1] = reply
                if len(found) == len(sent):
                    return found
        raise Silent(self.name, [sent[number] for number in sent if number not in found])

    def _tcp(self, sent: Mapping[int, bytes]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        with socket.create_connection((self.address, self.port), timeout=20) as sock, sock.makefile("rb") as stream:
            sock.sendall(b"".join(len(packet).to_bytes(2, "big") + packet for packet in sent.values()))
            for _ in sent:
                reply = stream.read(int.from_bytes(stream.read(2), "big"))
                found[int.from_bytes(reply[:2], "big") - 1] = reply
        return found


@contextlib.contextmanager
def knot(zones: Mapping[bytes, str]) -> Iterator[Server]:
    """Knot, serving master files by their apex."""
    with _started("knotd", _KNOT, '  - domain: "{domain}"\n    file: "{file}"', zones, ("-c",)) as server:
        yield server


@contextlib.contextmanager
def nsd(zones: Mapping[bytes, str]) -> Iterator[Server]:
    """NSD, serving master files by their apex; without response rate limiting."""
    with _started("nsd", _NSD, 'zone:\n    name: "{domain}"\n    zonefile: "{file}"', zones, ("-d", "-c")) as server:
        yield server


@contextlib.contextmanager
def _started(
    program: str, config: str, entry: str, zones: Mapping[bytes, str], options: tuple[str, ...]
) -> Iterator[Server]:
    """The program in the foreground, once it answers for every zone; ended by its process object."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or program
    with tempfile.TemporaryDirectory(prefix="rrdns-peer-") as folder:
        run = Path(folder)
        entries = []
        for index, (apex, text) in enumerate(zones.items()):
            (run / f"{index}.zone").write_text(text)
            entries.append(entry.format(domain=wire.name_to_text(apex), file=f"{index}.zone"))
        for _ in range(5):  # somebody else may take the port between our look and the program's
            port = _free_port()
            (run / "peer.conf").write_text(config.format(run=run, port=port, zones="\n".join(entries)))
            with (run / "output").open("wb") as output:
                process = subprocess.Popen(
                    [path, *options, str(run / "peer.conf")], stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            try:
                server = Server(program, "127.0.0.1", port)
                if _answers(server, process, list(zones), run / "output"):
                    yield server
                    return
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(20)
        raise AssertionError(f"{program} does not start:\n{(run / 'output').read_text()[-3000:]}")


def _answers(server: Server, process: subprocess.Popen[bytes], apexes: list[bytes], output: Path) -> bool:
    """Waits until every zone is served; False when the program ended, AssertionError when it refuses a zone."""
    end = time.monotonic() + 20
    missing = apexes
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((server.address, server.port))
        sock.settimeout(0.2)
        while process.poll() is None and time.monotonic() < end:
            try:
                sock.send(b"\0\1\0\0\0\1\0\0\0\0\0\0" + missing[0] + b"\0\6\0\1")
                reply = sock.recv(4096)
            except OSError:
                time.sleep(0.02)
                continue
            if reply[12 : 12 + len(missing[0])] == missing[0] and reply[3] & 15 == 0 and reply[2] & 4:
                missing = missing[1:]
                if not missing:
                    return True
                continue
            time.sleep(0.02)
    if process.poll() is None:
        text = wire.name_to_text(missing[0])
        raise AssertionError(f"{server.name} does not serve {text}:\n{output.read_text()[-3000:]}")
    return False


def _free_port() -> int:
    """A port free for UDP and TCP on loopback."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            port: int = tcp.getsockname()[1]
            return port
