"""A small Internet in two network namespaces: a root, a parent that delegates lb.example. to rrdns, and a client.

client (192.0.2.200) ---cable--- 192.0.2.1      Knot: the root
                                 192.0.2.2      Knot: example., delegates lb.example. to
                                 198.51.100.53  ns1.lb.example. \\ one rrdns, two addresses of
                                 203.0.113.53   ns2.lb.example. / either family
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from live import Server, end_leftovers, wait_for
from namespaces import Namespace, cabled
from needs import needs

ROOT = ("192.0.2.1", "2001:db8:0:1::1")
PARENT = ("192.0.2.2", "2001:db8:0:2::1")
OURS = ("198.51.100.53", "203.0.113.53", "2001:db8:1::53", "2001:db8:2::53")
CLIENT = ("192.0.2.200", "2001:db8:9::1")

ROOT_ZONE = f"""
. 3600 SOA a.root. hostmaster.example. 1 14400 3600 1209600 300
. 3600 NS a.root.
a.root. 3600 A {ROOT[0]}
a.root. 3600 AAAA {ROOT[1]}
example. 3600 NS ns.example.
ns.example. 3600 A {PARENT[0]}
ns.example. 3600 AAAA {PARENT[1]}
"""
PARENT_ZONE = f"""
example. 3600 SOA ns.example. hostmaster.example. 1 14400 3600 1209600 300
example. 3600 NS ns.example.
example. 3600 MX 10 mail.example.
mail.example. 3600 A {PARENT[0]}
ns.example. 3600 A {PARENT[0]}
ns.example. 3600 AAAA {PARENT[1]}
lb.example. 3600 NS ns1.lb.example.
lb.example. 3600 NS ns2.lb.example.
ns1.lb.example. 3600 A {OURS[0]}
ns2.lb.example. 3600 A {OURS[1]}
ns1.lb.example. 3600 AAAA {OURS[2]}
ns2.lb.example. 3600 AAAA {OURS[3]}
"""
OUR_ZONE = f"""
'':
  - {{type: NS, ttl: 3600, values: [ns1.lb.example., ns2.lb.example.]}}
  - {{type: SOA, contact: hostmaster.lb.example.}}
  - {{type: MX, value: {{preference: 10, exchange: mail.example.}}}}
ns1: [{{type: A, ttl: 3600, value: {OURS[0]}}}, {{type: AAAA, ttl: 3600, value: '{OURS[2]}'}}]
ns2: [{{type: A, ttl: 3600, value: {OURS[1]}}}, {{type: AAAA, ttl: 3600, value: '{OURS[3]}'}}]
www: {{type: POOL, ttl: 20, pool: web}}
alias: {{type: CNAME, value: www.lb.example.}}
text: {{type: TXT, values: [one, two]}}
issue: {{type: CAA, value: {{flags: 0, tag: issue, value: ca.example.}}}}
many: {{type: A, values: [{", ".join(f"203.0.113.{n}" for n in range(100, 200))}]}}
"""
POOLS = """
pools:
  web: {members: {web1: 198.51.100.1, web2: 198.51.100.2, web3: 198.51.100.3}}
"""
SETTINGS = ("nsid: rrdns-lab", "version_text: rrdns")

KNOT = """
server:
    rundir: "{run}"
    listen: [{listen}]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{run}/db"
zone:
  - domain: "{domain}"
    file: "{run}/zone"
    zonefile-sync: -1
    journal-content: none
"""


@dataclass
class Lab:
    """Tools run in `client`; `folder` is theirs to write into."""

    client: Namespace
    server: Server
    folder: Path


class InNamespace(Server):
    """A `rrdns serve` with the addresses of a namespace."""

    place: Namespace

    def start(self, port: int = 0) -> None:
        listen = [word for one in OURS for word in ("--listen", f"[{one}]:53" if ":" in one else f"{one}:53")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.place.command(
                    *(sys.executable, "-m", "rrdns", "serve", str(self.zones), *listen),
                    *("--state", str(self.state), "--control", str(self.control), *self.arguments),
                ),
                stdout=log,
                stderr=log,
            )
        wait_for(self._serves, 60, "rrdns serves")


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    needs("knotd")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rrdns-lab-")))
        place, client = stack.enter_context(cabled((*ROOT, *PARENT, *OURS), CLIENT))
        stack.enter_context(_knot(place, folder / "root", ".", ROOT, ROOT_ZONE))
        stack.enter_context(_knot(place, folder / "parent", "example.", PARENT, PARENT_ZONE))
        (folder / "zones").mkdir()
        (folder / "zones" / "lb.example.yaml").write_text(OUR_ZONE)
        (folder / "zones" / "pools.yaml").write_text(POOLS)
        (folder / "rrdns.yaml").write_text("\n".join(SETTINGS) + "\n")
        server = InNamespace(folder, folder / "zones", ("--config", str(folder / "rrdns.yaml")))
        server.place = place
        stack.callback(end_leftovers, server.state)
        stack.callback(lambda: server.end() if hasattr(server, "process") else None)
        try:
            server.start()
            yield Lab(client, server, folder)
        except BaseException:
            with contextlib.suppress(OSError):
                print(server.log, file=sys.stderr)
            raise


@contextlib.contextmanager
def _knot(place: Namespace, run: Path, domain: str, listen: tuple[str, ...], zone: str) -> Iterator[None]:
    run.mkdir()
    (run / "zone").write_text(zone)
    config = run / "knot.conf"
    config.write_text(KNOT.format(run=run, domain=domain, listen=", ".join(f'"{one}"' for one in listen)))
    with place.started("knotd", "-c", str(config), output=run / "output") as process:

        def answers() -> bool:
            assert process.poll() is None, (run / "output").read_text()
            said = place.run("kdig", f"@{listen[0]}", "+timeout=1", "+retry=0", domain, "SOA").stdout
            return "status: NOERROR" in said and "Flags: qr aa" in said

        wait_for(answers, 30, f"Knot serves {domain}")
        yield
