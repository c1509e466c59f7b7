"""Every server with the same names and members, started and ended here. One thread or process that answers, each.

Who answers `www` and `*.many` how: rrdns and gdnsd a weighted pool of HTTP-checked members, one address an answer;
PowerDNS a Lua record that picks among members whose port answers (its health functions know no weights);
Knot and NSD, which know no health, one static address, so that the packets are of one size.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import data
import machine

from rrdns.ui.client import Client


@dataclass
class Server:
    """One that runs. `pids` are all of its processes."""

    name: str
    port: int
    pids: list[int]
    folder: Path
    figures: dict[str, list[float]] = field(default_factory=dict)
    started: float = 0.0
    """Seconds from its start to the first answer."""

    def cpu(self) -> float:
        return machine.cpu_seconds(self.pids)

    def ask(self, packet: bytes, timeout: float = 0.05) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect(("127.0.0.1", self.port))
            sock.send(packet)
            return sock.recv(4096)

    # of rrdns only
    @property
    def zones(self) -> Path:
        return self.folder / "zones"

    @property
    def control(self) -> Client:
        return Client(str(self.folder / "control"), 60)

    def pid(self, what: str) -> int:
        status: dict[str, Any] = self.control.get("/status")
        return int(status["workers"][0]["pid"] if what == "worker" else status[what]["pid"])


def _running(name: str, process: Any, port: int, folder: Path, probe: str, seconds: float = 30) -> Server:
    """Waits until the probe's name is answered with NOERROR."""
    server = Server(name, port, [process.pid], folder)
    packet = data.packet(probe)

    def answers() -> bool:
        if process.poll() is not None:
            raise SystemExit(f"bench: {name} ended with {process.returncode}:\n{(folder / 'log').read_text()[-3000:]}")
        reply = server.ask(packet)
        return reply[3] & 15 == 0 and reply[7] > 0

    start = time.monotonic()
    try:
        machine.wait_for(answers, seconds, f"{name} answers {probe}", 0.01)
    except SystemExit as error:
        raise SystemExit(f"{error}\n{(folder / 'log').read_text()[-3000:]}") from None
    server.started = time.monotonic() - start
    server.pids = machine.family(process.pid)
    return server


@contextlib.contextmanager
def rrdns(
    write: Callable[[Path], None],
    *arguments: str,
    cpus: tuple[int, ...] = (),
    probe: str = data.NAME,
    seconds: float = 300,
    name: str = "rrdns",
) -> Iterator[Server]:
    """`write` puts the files into the folder it is given."""
    with tempfile.TemporaryDirectory(prefix="rrdns-bench-") as text:
        folder = Path(text)
        (folder / "zones").mkdir()
        write(folder / "zones")
        port = machine.free_port()
        words = [sys.executable, "-m", "rrdns", "serve", str(folder / "zones"), "--listen", f"127.0.0.1:{port}",
                 "--state", str(folder / "state"), "--control", str(folder / "control")]  # fmt: skip
        with machine.program([*words, *(arguments or ("--workers", "1"))], folder / "log", cpus) as process:
            yield _running(name, process, port, folder, probe, seconds)


def bench_files(port: int) -> Callable[[Path], None]:
    """The names of the comparison, with members on the targets' port."""

    def write(folder: Path) -> None:
        (folder / f"{data.ZONE}.yaml").write_text(data.RRDNS_ZONE)
        (folder / "pools.yaml").write_text(data.rrdns_pools(port))

    return write


@contextlib.contextmanager
def _other(name: str, words: list[str], files: dict[str, str], port: int, cpus: tuple[int, ...]) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="rrdns-bench-") as text:
        folder = Path(text)
        for where, content in files.items():
            (folder / where).parent.mkdir(parents=True, exist_ok=True)
            (folder / where).write_text(content.replace("@FOLDER@", text))
        words = [machine.find(words[0]) or words[0], *(word.replace("@FOLDER@", text) for word in words[1:])]
        with machine.program(words, folder / "log", cpus, cwd=text) as process:
            server = _running(name, process, port, folder, data.NAME)
            time.sleep(1)  # all its processes are there, and members were seen
            server.pids = machine.family(process.pid)
            yield server


def gdnsd(
    targets_port: int,
    cpus: tuple[int, ...] = (),
    threads: int = 1,
    zones: Mapping[str, str] = MappingProxyType({}),
    members: Mapping[str, int] = MappingProxyType(dict(zip(data.MEMBERS, data.WEIGHTS, strict=True))),
) -> contextlib.AbstractContextManager[Server]:
    """`zones`: more of them, master files by name. `members`: weights by address."""
    port = machine.free_port()
    pool = ", ".join(f"w{at} => [ {address}, {weight} ]" for at, (address, weight) in enumerate(members.items()))
    config = f"""
options => {{ listen => [ 127.0.0.1 ], dns_port => {port}, run_dir => @FOLDER@/run, state_dir => @FOLDER@/state,
  udp_threads => {threads}, tcp_threads => 1 }}
service_types => {{ web => {{ plugin => http_status, port => {targets_port}, interval => 5, timeout => 2 }} }}
plugins => {{ weighted => {{ service_types => web, multi => false, pool => {{ {pool} }} }} }}
"""
    files = {"config": config, f"zones/{data.ZONE}": data.master_file("DYNA weighted!pool"), "run/x": "", "state/x": ""}
    files |= {f"zones/{name}": text for name, text in zones.items()}
    return _other("gdnsd", ["gdnsd", "-c", "@FOLDER@", "start"], files, port, cpus)


def knot(cpus: tuple[int, ...] = ()) -> contextlib.AbstractContextManager[Server]:
    port = machine.free_port()
    config = f"""
server:
  rundir: @FOLDER@
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  tcp-reuseport: off
database:
  storage: @FOLDER@/db
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: @FOLDER@
    journal-content: none
zone:
  - domain: {data.ZONE}
    file: zone
"""
    files = {"knot.conf": config, "zone": data.master_file("A 127.0.0.11"), "db/x": ""}
    return _other("knot", ["knotd", "-c", "@FOLDER@/knot.conf"], files, port, cpus)


def nsd(cpus: tuple[int, ...] = ()) -> contextlib.AbstractContextManager[Server]:
    port = machine.free_port()
    config = f"""
server:
  server-count: 1
  ip-address: 127.0.0.1@{port}
  username: ""
  zonesdir: "@FOLDER@"
  database: ""
  pidfile: "@FOLDER@/pid"
  xfrdfile: "@FOLDER@/xfrd.state"
  xfrdir: "@FOLDER@"
  zonelistfile: "@FOLDER@/zone.list"
  rrl-ratelimit: 0
  tcp-count: 1000
remote-control:
  control-enable: no
zone:
  name: {data.ZONE}
  zonefile: zone
"""
    files = {"nsd.conf": config, "zone": data.master_file("A 127.0.0.11")}
    return _other("nsd", ["nsd", "-d", "-c", "@FOLDER@/nsd.conf"], files, port, cpus)


def pdns(targets_port: int, cpus: tuple[int, ...] = ()) -> contextlib.AbstractContextManager[Server]:
    port = machine.free_port()
    members = ", ".join(f"'{one}'" for one in data.MEMBERS)
    config = f"""
launch=bind
bind-config=@FOLDER@/named.conf
local-address=127.0.0.1
local-port={port}
socket-dir=@FOLDER@
config-dir=@FOLDER@
enable-lua-records=yes
receiver-threads=1
distributor-threads=1
daemon=no
guardian=no
disable-syslog=yes
loglevel=4
max-tcp-connections=1000
"""
    pool = f'LUA A "ifportup({targets_port}, {{{members}}})"'
    files = {
        "pdns.conf": config,
        "named.conf": f'zone "{data.ZONE}" {{ type master; file "@FOLDER@/zone"; }};\n',
        "zone": data.master_file(pool),
    }
    return _other("pdns", ["pdns_server", "--config-dir=@FOLDER@"], files, port, cpus)
