"""A name server whose zone the test edits (Knot), and a resolver in front of it (unbound), both real, on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import dns.query
import peers
from live import wait_for
from needs import needs

ZONE = "example.net."
HEAD = """
example.net. 300 SOA ns.example.net. hostmaster.example.net. {serial} 14400 3600 1209600 5
example.net. 300 NS ns.example.net.
ns.example.net. 300 A 127.0.0.1
"""
KNOT = """
server:
    rundir: "{run}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{run}/db"
zone:
  - domain: example.net
    storage: "{run}"
    file: example.net.zone
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
"""
UNBOUND = """
server:
    interface: 127.0.0.1@{port}
    access-control: 127.0.0.0/8 allow
    directory: "{run}"
    chroot: ""
    username: ""
    pidfile: "{run}/unbound.pid"
    use-syslog: no
    do-daemonize: no
    module-config: "iterator"
    do-not-query-localhost: no
    cache-max-negative-ttl: 2
    num-threads: 1
stub-zone:
    name: "example.net"
    stub-addr: 127.0.0.1@{knot}
remote-control:
    control-enable: no
"""


@dataclass
class Program:
    """A real program in the foreground; `start` again takes the same port."""

    words: tuple[str, ...]
    port: int
    output: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_for(self._answers, 30, f"{self.words[0]} answers: {self.output.read_text()[-2000:]}")

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.output.read_text()[-2000:]
        query = dns.message.make_query(ZONE, "SOA")
        return dns.query.udp(query, "127.0.0.1", timeout=1, port=self.port).rcode() == 0

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)


@dataclass
class Lab:
    folder: Path
    knot: Program
    unbound: Program
    serial: int = 0
    records: dict[str, str] = field(default_factory=dict)

    def set(self, **records: str) -> None:
        """`app1="5 A 127.0.0.11"`, lines for several; "" takes the name away."""
        self.records.update(records)
        self.serial += 1
        lines = [f"{name}.{ZONE} {line}" for name, text in self.records.items() for line in text.splitlines() if line]
        text = HEAD.format(serial=self.serial) + "\n".join(lines) + "\n"
        file = self.folder / "example.net.zone"
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").replace(file)
        if self.knot.process is not None:
            self.knot.process.send_signal(signal.SIGHUP)
            wait_for(self._loaded, 30, "Knot has the new zone")

    def _loaded(self) -> bool:
        query = dns.message.make_query(ZONE, "SOA")
        answer = dns.query.udp(query, "127.0.0.1", timeout=1, port=self.knot.port).answer
        return str(answer[0][0]).split()[2] == str(self.serial)


@contextlib.contextmanager
def lab(**records: str) -> Iterator[Lab]:
    needs("knotd", "unbound")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    knotd, unbound = (str(shutil.which(program, path=path)) for program in ("knotd", "unbound"))
    with tempfile.TemporaryDirectory(prefix="rrdns-names-") as folder:
        run = Path(folder)
        ports = peers._free_port(), peers._free_port()
        (run / "knot.conf").write_text(KNOT.format(run=run, port=ports[0]))
        (run / "unbound.conf").write_text(UNBOUND.format(run=run, port=ports[1], knot=ports[0]))
        one = Lab(
            run,
            Program((knotd, "-c", str(run / "knot.conf")), ports[0], run / "knot.log"),
            Program((unbound, "-d", "-c", str(run / "unbound.conf")), ports[1], run / "unbound.log"),
        )
        one.set(**records)
        try:
            one.knot.start()
            one.unbound.start()
            yield one
        finally:
            one.unbound.end()
            one.knot.end()
