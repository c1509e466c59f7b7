"""One nginx on all of 127.0.0.0/8 that plays every member of every pool; members are made to fail by a file.

`down(address)` and `down_network(n)` (127.n.x.y) make it say 503, `up...` takes that back.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import machine

CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
worker_rlimit_nofile 60000;
events {{ worker_connections 30000; multi_accept on; }}
http {{
  log_format seen '$msec $server_addr';
  access_log {log};
  keepalive_timeout 0; default_type text/plain; reset_timedout_connection on;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  map $server_addr $network {{ ~^127\\.(?<second>\\d+)\\. $second; }}
  server {{
    listen 0.0.0.0:{port} backlog=8192;
    location / {{
      if (-f {folder}/down/$server_addr) {{ return 503; }}
      if (-f {folder}/down/network-$network) {{ return 503; }}
      return 200 "ok\\n";
    }}
  }}
}}
"""


@dataclass
class Targets:
    folder: Path
    port: int
    pid: int

    def down(self, address: str) -> None:
        (self.folder / "down" / address).touch()

    def up(self, address: str) -> None:
        (self.folder / "down" / address).unlink(missing_ok=True)

    def down_network(self, number: int) -> None:
        self.down(f"network-{number}")

    def up_network(self, number: int) -> None:
        self.up(f"network-{number}")

    def seen(self) -> list[tuple[float, str]]:
        """(time, address) of each HTTP request so far; needs `log=True`."""
        lines = (line.split() for line in (self.folder / "access.log").read_text().splitlines())
        return [(float(words[0]), words[1]) for words in lines if len(words) == 2]


@contextlib.contextmanager
def targets(cpus: tuple[int, ...] = (), log: bool = False) -> Iterator[Targets]:
    with tempfile.TemporaryDirectory(prefix="rrdns-bench-targets-") as text:
        folder = Path(text)
        (folder / "down").mkdir()
        port = machine.free_port("0.0.0.0")
        where = f"{folder}/access.log seen buffer=64k flush=1s" if log else "off"
        (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port, log=where))
        words = [machine.find("nginx") or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        with machine.program([*words, "-e", str(folder / "error.log")], folder / "out", cpus) as process:
            machine.wait_for(lambda: _listens(port), 20, "nginx")
            yield Targets(folder, port, process.pid)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.11", port), 1):
        return True
